"""The oracle: a scenario's optimum with perfect foresight, or the proof that its budgets cannot be met."""

from __future__ import annotations

from typing import ClassVar

from accord.baselines.base import Reference
from accord.baselines.registry import register_reference
from accord.envs.errors import UsageError
from accord.envs.scenario import Bound, Infeasible, Scenario


@register_reference("oracle")
class Oracle(Reference):
    """The yardstick that a scenario brings: of districts a linear program over the measured hours."""

    summary: ClassVar[str] = "optimum with perfect foresight (linear program, HiGHS)"

    def solve(self, scenario: Scenario) -> Bound | Infeasible:
        """The scenario's optimum, or the proof that it has none.

        Raises:
            UsageError: the scenario brings no yardstick, or its linear program is too large to solve.
        """
        found = scenario.optimum()
        if found is None:
            raise UsageError(f"method oracle: nobody computes an optimum of '{scenario.address}'")
        return found
