"""What a run is compared with, and what counts as feasible."""

from __future__ import annotations

from dataclasses import dataclass

VIOLATION_ALLOWED = 0.01
GROWTH_ALLOWED = 0.01
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

    @property
    def proves_impossible(self) -> bool:
        """No run can be feasible: even the budgets with the allowed violation on top cannot be met."""
        if self.oracle != "infeasible" or self.smallest_level is None or self.level is None:
            return False
        return self.smallest_level > self.level * (1 + VIOLATION_ALLOWED)
