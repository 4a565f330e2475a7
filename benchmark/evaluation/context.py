"""What a run is compared with, and what counts as feasible."""

from __future__ import annotations

import math
from dataclasses import dataclass

VIOLATION_ALLOWED = 0.01
GROWTH_ALLOWED = 0.01
NEAR_ZERO = 0.05  # of what stands beside it: a number below that is nothing to measure others by
Value = float | bool | str | None  # of a metric


@dataclass(frozen=True)
class Context:
    """What a run is compared with, the same for every run of a scenario.

    Attributes:
        oracle: "feasible" or "infeasible"; None where there is no linear programme.
        oracle_objective: $/h of the linear programme's optimum.
        oracle_gap: By which share the optimum may lie above that; None where it is exact.
        oracle_cost: $/h of it that is paid for energy, the least over optima; None where it is not known.
        oracle_import_peak: Its highest hour, the least over optima, in uncontrolled peaks; None where it is not known.
        serve_now_objective: $/h.
        serve_now_bill: $ of each agent, [N].
        serve_now_delay: Hours of each agent, [N].
        demand_peak: Uncontrolled peak, kWh.
        top_price: Highest tariff of the calendar, $/kWh.
        smallest_level: Least level of the budget that can be met, where it was computed.
        level: The budget's level.
    """

    oracle: str | None = None
    oracle_objective: float | None = None
    oracle_gap: float | None = None
    oracle_cost: float | None = None
    oracle_import_peak: float | None = None
    serve_now_objective: float | None = None
    serve_now_bill: list[float] | None = None
    serve_now_delay: list[float] | None = None
    demand_peak: float | None = None
    top_price: float | None = None
    smallest_level: float | None = None
    level: float | None = None

    def above_optimum(self, objective: Value) -> float | None:
        """By which share an objective is above the optimum, see `relative_change`; None without one."""
        return relative_change(objective, self.oracle_objective, self.serve_now_objective)

    def below_serve_now(self, objective: Value) -> float | None:
        """By which share an objective is below that without control, see `relative_change`; None without one."""
        change = relative_change(objective, self.serve_now_objective, self.oracle_objective)
        return None if change is None else 0.0 - change

    @property
    def proves_impossible(self) -> bool:
        """No run can be feasible: even the budgets with the allowed violation on top cannot be met."""
        if self.oracle != "infeasible" or self.smallest_level is None or self.level is None:
            return False
        return self.smallest_level > self.level * (1 + VIOLATION_ALLOWED)


def relative_change(value: Value, base: float | None, beside: float | None = None) -> float | None:
    """By which share of its size a number is above another one, whatever the sign of that.

    Under prices of both signs an objective may be near zero. A share of that would be huge and say nothing: it is None
    where the other number is 0, or less than `NEAR_ZERO` of what stands beside it.

    Args:
        value: The number.
        base: The other one.
        beside: A third one of the same kind, which says how large such numbers are; None for none.
    """
    if not base or not isinstance(value, float) or abs(base) < NEAR_ZERO * abs(beside or 0.0):
        return None
    return 0.0 + (value / base - 1) * math.copysign(1.0, base)  # no zero with a sign
