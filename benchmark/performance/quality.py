"""How good a policy is while it trains, and how long until it is good.

A policy is good that meets the budget, with an objective within `WITHIN` of the optimum. Policies are rolled out
without noise every few seconds (peers: after every iteration), which does not count as training.
`benchmark.performance.throughput` looks at the first `HOURS` hours that a scenario measures, with no warm-up. Peers
know no multipliers, so they are handed prices that suit the optimum: its multiplier on imports, and for the shortfall a
little more than what it pays.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from accord.baselines.base import Controller, Method, NoCheckpoint
from accord.benchmark.evaluation.context import VIOLATION_ALLOWED, Context
from accord.benchmark.evaluation.evaluate import evaluate
from accord.benchmark.seeding import seeded
from accord.envs.catalogue import resolve_district
from accord.envs.demand_response.scenario import DistrictScenario
from accord.envs.errors import UsageError
from accord.envs.scenario import Infeasible

HOURS = 744
WITHIN = 0.1
EVERY, RARELY = 2.0, 0.1  # seconds of training between two looks at our policies, and as a share of them so far
WORTH = 1.25  # of a served unit to a peer, in what the optimum pays for one
Look = dict[str, Any]


class QualityCallback(NoCheckpoint):
    """Looks at what a training has learned every `EVERY` seconds; stops it once that is good or the time is over.

    Attributes:
        looks: What was seen.
        seconds: Spent on looking.
        trained: Seconds of training so far, without those of looking.
        steps: Agent-steps so far.
    """

    def __init__(self, goal: Goal, method: Method, limit: float) -> None:
        """Set up.

        Args:
            goal: What is to be reached.
            method: What is trained.
            limit: Seconds of training, those of looking left out.
        """
        self._limit = limit
        self.looks: list[Look] = []
        self.seconds = self.trained = 0.0
        self.steps = 0
        self._goal, self._method, self._task = goal, method, goal.scenario.task()

    def log(self, row: Mapping[str, float]) -> None:
        """Hear of an iteration; the log of a training that offers no snapshots before its end."""
        self._at(int(row["steps"]), row["seconds"])
        if self.trained >= self._limit:
            raise TargetReached

    def snapshot(self, fraction: float, steps: int, seconds: float, state: Callable[[], dict[str, Any]]) -> None:
        """See `Checkpoint.snapshot`."""
        self._at(steps, seconds)
        if self.looks and self.trained - self.looks[-1]["seconds"] < max(EVERY, RARELY * self.trained):
            return
        controller = self._method.build(self._task, seeded(0, "train"))
        controller.load_state_dict(state())
        self.look(controller)
        if self.looks[-1]["good"] or self.trained >= self._limit:
            raise TargetReached

    def look(self, controller: Controller) -> None:
        """See how good a controller is that is trained as far as was last said."""
        began = time.perf_counter()
        self.looks.append({**self._goal.look(controller, self.trained), "steps": self.steps})
        self.seconds += time.perf_counter() - began

    def _at(self, steps: int, seconds: float) -> None:
        self.steps, self.trained = steps, seconds - self.seconds


class Goal:
    """What a policy must reach on a scenario: the budget met, the objective close to the optimum."""

    def __init__(self, scenario: DistrictScenario, context: Context) -> None:
        """Set up.

        Args:
            scenario: Where policies are rolled out.
            context: The optimum there.
        """
        self.scenario, self._context = scenario, context

    def look(self, controller: Controller, seconds: float) -> Look:
        """Roll a controller out; how good it is after `seconds` of training."""
        found = evaluate(self.scenario, controller, self._context, seeded(0, "evaluate")).metrics
        gap, violation = found["optimality_gap"], found["violation"]
        good = (
            isinstance(gap, float) and isinstance(violation, float) and gap <= WITHIN and violation <= VIOLATION_ALLOWED
        )
        return {"seconds": seconds, "gap": gap, "violation": violation, "good": good}


class PricedGoal(Goal):
    """On the first `HOURS` hours that a scenario measures, with prices that suit the optimum.

    Attributes:
        multiplier: What the optimum adds to the price of an import, in mean prices.
        paid: What it pays for a unit, in mean prices.
    """

    def __init__(self, address: str) -> None:
        """Solve those hours with perfect foresight."""
        whole = resolve_district(address)
        first = whole.district.measured[0]
        scenario = whole.over(replace(whole.protocol, warmup=first, measured=(first, first + HOURS)))
        bound = scenario.optimum()
        if isinstance(bound, Infeasible):
            raise UsageError(f"scenario '{address}': nothing meets its budget over the first {HOURS} hours")
        assert bound.imports is not None
        peak, price = scenario.district.demand_peak, scenario.district.price
        optimum = bound.objective
        context = Context(oracle="feasible", oracle_objective=optimum, demand_peak=peak, top_price=float(price.max()))
        super().__init__(scenario, context)
        self.multiplier = float(bound.multipliers.mean())
        imports = bound.imports.to(price)
        paid = (price[first : first + HOURS] * imports).sum() / imports.sum()
        self.paid = float(paid / scenario.district.mean_price)


class TargetReached(Exception):  # noqa: N818 - not an error
    """Ends a training whose policy has reached its goal, or whose time is over."""


def time_to_quality(row: Mapping[str, Any]) -> float | None:
    """Seconds of training until a row's policy was good; None if it never was."""
    return next((look["seconds"] for look in row.get("looks", []) if look["good"]), None)
