"""One cell of the suite `scale-quality`: how long one method trains at one number of agents until its policy is good.

It tells what the best policy so far was after every training; see `benchmark.performance.cells`.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

import accord.baselines  # noqa: F401 - registers every method
from accord.baselines.base import Effort, Method, Training
from accord.baselines.registry import make_method, nest
from accord.benchmark.evaluation.context import VIOLATION_ALLOWED, Context
from accord.benchmark.machine import Busy, one_thread
from accord.benchmark.performance.cells import Numbers, Tell, main_of
from accord.benchmark.performance.quality import Goal, Look, QualityCallback, TargetReached
from accord.benchmark.seeding import seeded
from accord.envs.catalogue import resolve_district
from accord.envs.demand_response.scenario import DistrictScenario

SEEN = ("gap", "violation")


class QualityCell(BaseModel):
    """What is measured."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    method: str = Field(description="Its name.")
    scenario: str = Field(description="Address.")
    settings: dict[str, Any] = Field({}, description="Of the method, by dotted name.")
    steps: int = Field(gt=0, description="Agent-steps of the first training, on which schedules depend.")
    seconds: float = Field(gt=0, description="Of all trainings.")
    seed: int = Field(ge=0, description="Of the first training.")
    optimum: float = Field(gt=0, description="Of the linear programme, $/h.")


def measure(cell: QualityCell, tell: Tell) -> None:
    """Train on one thread until a policy is good; looking at policies does not count.

    How long a training has to be is not known, and schedules depend on it: one that ends without a good policy is
    followed by another one of twice the steps and the next seed, and all of them count.

    Tells `status` done or "out of time", `trainings`, `seconds` and `steps` of all of them so far, and the `gap` and
    `violation` of the last policy and of the best one.

    Raises:
        UsageError: the scenario cannot be made, or the method does not run on it.
    """
    with one_thread():
        scenario, method = resolve_district(cell.scenario), make_method(cell.method, nest(cell.settings))
        price = float(scenario.district.price.max())
        goal = Goal(scenario, Context(oracle="feasible", oracle_objective=cell.optimum, top_price=price))
        tell("training", {})
        seconds, steps, looks, good = 0.0, 0, list[Look](), False
        with Busy() as busy:
            for training in count():
                judge = QualityCallback(goal, method, cell.seconds - seconds)
                _train(judge, scenario, method, cell.steps * 2**training, cell.seed + training)
                seconds, steps, looks = seconds + judge.trained, steps + judge.steps, looks + judge.looks
                spent = {"trainings": training + 1, "seconds": seconds, "steps": steps}
                tell("training", spent | (_seen(looks) if looks else {}))
                good = bool(judge.looks) and judge.looks[-1]["good"]
                if good or seconds >= cell.seconds:
                    break
        tell("", {"status": "done" if good else "out of time", "busy": busy.share})


def _train(judge: QualityCallback, scenario: DistrictScenario, method: Method, steps: int, seed: int) -> None:
    """One training, as far as the judge lets it go; what it leaves is looked at."""
    task, network = scenario.task(), scenario.network()
    with suppress(TargetReached):
        effort = Effort(steps, float("inf"))
        controller = method.train(task, network, Training(effort, seeded(seed, "train"), judge.log, judge))
        if not judge.looks or judge.looks[-1]["steps"] < judge.steps:
            judge.look(controller)


def _seen(looks: list[Look]) -> Numbers:
    """The last policy, and the one that came closest: the least gap of those within the budget, if there are any."""
    last, best = looks[-1], min(looks, key=lambda look: (max(look["violation"], VIOLATION_ALLOWED), look["gap"]))
    return {name: last[name] for name in SEEN} | {f"best_{name}": best[name] for name in SEEN}


if __name__ == "__main__":
    main_of(QualityCell, measure)
