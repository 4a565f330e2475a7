"""One cell of the suite `scale-quality`: how long one method trains at one number of agents until its policy is good.

It tells what the best policy so far was after every look; see `benchmark.cells`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

import baselines  # noqa: F401 - registers every method
from baselines.base import Effort, Method
from baselines.registry import make_method, nest
from benchmark.cells import Numbers, Tell, main_of
from benchmark.machine import Busy, one_thread
from benchmark.metrics import Context
from benchmark.quality import Enough, Goal, Judge, Look
from benchmark.seeding import seeded
from envs.catalogue import resolve_district


class QualityCell(BaseModel):
    """What is measured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str = Field(description="Its name.")
    scenario: str = Field(description="Address.")
    settings: dict[str, Any] = Field({}, description="Of the method, by dotted name.")
    steps: int = Field(gt=0, description="Agent-steps of training, on which schedules depend.")
    seconds: float = Field(gt=0, description="Of training.")
    seed: int = Field(ge=0, description="Of training.")
    optimum: float = Field(gt=0, description="Of the linear programme, $/h.")


def measure(cell: QualityCell, tell: Tell) -> None:
    """Train on one thread until a policy is good; looking at policies does not count.

    Tells `status` done, "out of time" or "not good" (all steps are done), `seconds` and `steps` of training so far,
    and the `gap` and `violation` of the last policy and of the best one.

    Raises:
        UsageError: the scenario cannot be made, or the method does not run on it.
    """
    with one_thread():
        scenario, method = resolve_district(cell.scenario), make_method(cell.method, nest(cell.settings))
        task, network = scenario.task(), scenario.network()
        price = float(scenario.district.price.max())
        goal = Goal(scenario, Context(oracle="feasible", oracle_objective=cell.optimum, top_price=price))
        tell("training", {})
        judge = _TellingJudge(goal, method, cell.seconds, tell)
        effort = Effort(cell.steps, float("inf"))
        with Busy() as busy, suppress(Enough):
            method.train(task, network, effort, seeded(cell.seed, "train"), lambda row: None, judge)
        last = judge.looks[-1] if judge.looks else None
        good, late = last is not None and last["good"], last is not None and last["seconds"] >= cell.seconds
        tell("", {"status": "done" if good else "out of time" if late else "not good", "busy": busy.share})


class _TellingJudge(Judge):
    """Says what it saw."""

    def __init__(self, goal: Goal, method: Method, limit: float, tell: Tell) -> None:
        super().__init__(goal, method, limit)
        self._tell = tell

    def snapshot(self, fraction: float, steps: int, seconds: float, state: Callable[[], dict[str, Any]]) -> None:
        before = len(self.looks)
        try:
            super().snapshot(fraction, steps, seconds, state)
        finally:
            if len(self.looks) > before:
                self._tell("training", _seen(self.looks))


def _seen(looks: list[Look]) -> Numbers:
    """The last policy, and the one that came closest: the least gap of those within the budget, if there are any."""
    last, best = looks[-1], min(looks, key=lambda look: (max(look["violation"], 0.01), look["gap"]))
    found = {name: last[name] for name in ("seconds", "steps", "gap", "violation")}
    return found | {f"best_{name}": best[name] for name in ("gap", "violation")}


if __name__ == "__main__":
    main_of(QualityCell, measure)
