"""The oracle: a scenario's optimum with perfect foresight, or the proof that its budgets cannot be met."""

from __future__ import annotations

from typing import ClassVar

from accord.baselines.base import Bound, Infeasible, Reference
from accord.baselines.registry import register_reference
from accord.envs.catalogue import DistrictScenario, Scenario
from accord.envs.errors import UsageError
from accord.envs.optimum.linear_program import Certificate, solve


@register_reference("oracle")
class Oracle(Reference):
    """The linear program of `envs.optimum.linear_program` over a scenario's measured hours."""

    summary: ClassVar[str] = "optimum with perfect foresight (linear program, HiGHS)"

    def solve(self, scenario: Scenario) -> Bound | Infeasible:
        """The scenario's optimum, or the proof that it has none.

        Raises:
            UsageError: the scenario is not a district's, or its linear program is too large to solve.
        """
        if not isinstance(scenario, DistrictScenario):
            raise UsageError(f"method oracle: '{scenario.address}' is not demand response")
        start, end = scenario.district.measured
        found = solve(scenario.district, scenario.budgets(), start, end - start)
        if isinstance(found, Certificate):
            return Infeasible(found.weights, found.excess, found.scale * scenario.level, scenario.level)
        return Bound(found.objective, found.cost, found.imports, found.multipliers, scenario.level, found.gap)
