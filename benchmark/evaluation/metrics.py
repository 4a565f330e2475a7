"""Every metric of a run: one function each, computed from what the harness rolled out.

A metric whose measures a task does not declare is None, never zero. To add one, write a function of
(trajectory, context) and decorate it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from accord.benchmark.evaluation.trajectory import DAY, Timings, Trajectory

VIOLATION_ALLOWED = 0.01
GROWTH_ALLOWED = 0.01
IMPRACTICAL_DELAY = 24.0  # hours


@dataclass(frozen=True)
class Context:
    """What a run is compared with, the same for every run of a scenario.

    Attributes:
        oracle: "feasible" or "infeasible"; None where there is no linear programme.
        oracle_objective: $/h of the linear programme's optimum.
        oracle_gap: By which share the optimum may lie above that; None where it is exact.
        oracle_cost: $/h of it that is paid for energy.
        oracle_import_peak: Its highest hour, in uncontrolled peaks.
        oracle_imports: Its import of the district, [T] kWh.
        oracle_multipliers: Its optimal multipliers in mean prices, or the certificate's weights, [m].
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
    oracle_imports: list[float] | None = None
    oracle_multipliers: list[float] | None = None
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


Value = float | bool | str | None
Function = Callable[[Trajectory, Context], Value]


@dataclass(frozen=True)
class Metric:
    """A metric's function and how to read it.

    Attributes:
        compute: From trajectory and context.
        unit: Physical unit.
        better: "low" or "high"; empty where neither is better.
    """

    compute: Function
    unit: str
    better: str = ""


METRICS: dict[str, Metric] = {}

# Measured by the clock: they differ from run to run and machine to machine.
CLOCKED = (
    *("train_seconds", "steps_per_second", "act_microseconds", "step_microseconds", "peak_memory"),
    *("solver_gap", "solver_timeouts", "solver_seconds"),
)


def metric(unit: str, better: str = "") -> Callable[[Function], Function]:
    """Decorator: make a function a metric under its own name."""

    def add(function: Function) -> Function:
        METRICS[function.__name__] = Metric(function, unit, better)
        return function

    return add


def compute(trajectory: Trajectory, context: Context) -> dict[str, Value]:
    """Every metric of a trajectory."""
    return {name: entry.compute(trajectory, context) for name, entry in METRICS.items()}


@metric("$/h", "low")
def cost(run: Trajectory, context: Context) -> Value:
    """Paid for energy, load still owed at the end charged at the highest tariff."""
    if "bill" not in run.sums or context.top_price is None:
        return None
    return float(run.sums["bill"].sum() + context.top_price * _owed(run).sum()) / run.hours


@metric("$/h", "low")
def objective(run: Trajectory, context: Context) -> Value:
    """Cost and the price of delay: what the task asks to minimise."""
    paid = cost(run, context)
    if not isinstance(paid, float):
        return None
    price = run.spec.delay_price * run.spec.price_scale
    return paid + price * float(run.sums["waiting_load"].sum()) / run.hours


@metric("-", "low")
def optimality_gap(run: Trajectory, context: Context) -> Value:
    """Objective over the linear programme's optimum, less 1; a relaxed budget can make it negative."""
    value = objective(run, context)
    if context.oracle_objective is None or not isinstance(value, float):
        return None
    return value / context.oracle_objective - 1


@metric("-", "low")
def violation(run: Trajectory, context: Context) -> Value:
    """Largest relative excess of a budget, load still owed counted as import that must still come."""
    if not len(run.limits):
        return None
    members = run.spec.members
    owed = _owed(run)
    debt = (members * owed[:, None]).sum(0) / run.hours if owed.numel() else 0.0
    excess = (run.used / run.counted.clamp_min(1) + debt - run.limits) / run.scales
    if any(b.each_step for b in run.spec.budgets):
        return max(0.0, float(excess.max()), max(run.hour_excess))
    return max(0.0, float(excess.max()))


@metric("-", "low")
def violation_p95(run: Trajectory, context: Context) -> Value:
    """95th percentile over hours of the relative excess."""
    return float(np.percentile(run.hour_excess, 95)) if run.hour_excess else None


@metric("%", "low")
def hours_above(run: Trajectory, context: Context) -> Value:
    """Share of hours above the limit."""
    return 100 * float(np.mean(np.array(run.hour_excess) > 0)) if run.hour_excess else None


@metric("-", "low")
def import_peak(run: Trajectory, context: Context) -> Value:
    """Highest hour of the district's import, in uncontrolled peaks."""
    if "import_kwh" not in run.series or not context.demand_peak:
        return None
    return max(run.series["import_kwh"]) / context.demand_peak


@metric("-", "high")
def served(run: Trajectory, context: Context) -> Value:
    """Share of the demand that was served by the end."""
    if "served" in run.sums:
        return float(run.sums["served"])
    return 1 - float(_owed(run).sum() / run.sums["demand"].sum()) if "demand" in run.sums else None


@metric("-", "high")
def served_worst(run: Trajectory, context: Context) -> Value:
    """The same for the worst agent."""
    return 1 - float((_owed(run) / run.sums["demand"]).max()) if "demand" in run.sums else None


@metric("h", "low")
def delay(run: Trajectory, context: Context) -> Value:
    """Mean delay by Little's law: mean waiting load over mean demand."""
    if "demand" not in run.sums or "waiting_load" not in run.sums:
        return None
    return float(run.sums["waiting_load"].sum() / run.sums["demand"].sum())


@metric("h", "low")
def delay_worst(run: Trajectory, context: Context) -> Value:
    """The same for the worst agent."""
    if "demand" not in run.sums or "waiting_load" not in run.sums:
        return None
    return float((run.sums["waiting_load"] / run.sums["demand"]).max())


@metric("-", "low")
def backlog_growth(run: Trajectory, context: Context) -> Value:
    """Share of the worst agent's demand that is postponed for ever: slope of its queue over the second half."""
    slope = run.backlog.per_time()
    if slope is None or "demand" not in run.sums:
        return None
    return float((slope / DAY / (run.sums["demand"] / run.hours)).max())


@metric("-", "low")
def saturation(run: Trajectory, context: Context) -> Value:
    """Share of (agent, budget) whose multiplier sits at its limit over the second half."""
    if run.multiplier_limit is None or not run.multiplier_steps:
        return None
    return run.saturated / run.multiplier_steps


@metric("1/kh")
def multiplier_drift(run: Trajectory, context: Context) -> Value:
    """Steepest rise of a multiplier over the second half, per 1,000 h."""
    slope = run.drift.per_time()
    return None if slope is None else 1000 * float(slope.max())


@metric("bool", "high")
def feasible(run: Trajectory, context: Context) -> Value:
    """Budgets met within 1 % and no agent's backlog growing by over 1 % of its demand."""
    excess = violation(run, context)
    if excess is None:
        return None
    return not _violates(excess) and not _postpones(run, context)


@metric("task's own", "high")
def episode_return(run: Trajectory, context: Context) -> Value:
    """Sum over agents of the local rewards; of an episodic scenario the mean over its episodes, undiscounted."""
    return float(run.sums["reward"].sum())


@metric("-", "high")
def completed(run: Trajectory, context: Context) -> Value:
    """Of multi-resource allocation: completions per consumer."""
    return float(run.sums["completed"]) if "completed" in run.sums else None


@metric("-", "low")
def collisions(run: Trajectory, context: Context) -> Value:
    """Of multi-resource allocation: others that were too close to an agent, added up over an episode's steps."""
    return float(run.sums["collisions"].mean()) if "collisions" in run.sums else None


@metric("-", "high")
def savings(run: Trajectory, context: Context) -> Value:
    """What is saved against `serve_now`."""
    value = objective(run, context)
    if not context.serve_now_objective or not isinstance(value, float):
        return None
    return 1 - value / context.serve_now_objective


@metric("-", "low")
def fairness_bill(run: Trajectory, context: Context) -> Value:
    """Worst agent's relative change of its bill against `serve_now`."""
    if context.serve_now_bill is None or "bill" not in run.sums:
        return None
    before = torch.tensor(context.serve_now_bill, dtype=torch.float64)
    return float((run.sums["bill"] / before - 1).max())


@metric("h", "low")
def fairness_delay(run: Trajectory, context: Context) -> Value:
    """Worst agent's change of its delay against `serve_now`."""
    if context.serve_now_delay is None or "waiting_load" not in run.sums:
        return None
    own = run.sums["waiting_load"] / run.sums["demand"]
    return float((own - torch.tensor(context.serve_now_delay, dtype=torch.float64)).max())


@metric("kg/h", "low")
def carbon(run: Trajectory, context: Context) -> Value:
    """Emissions of the import, where the district has the intensity."""
    return float(run.sums["carbon"].sum()) / run.hours if "carbon" in run.sums else None


@metric("")
def verdict(run: Trajectory, context: Context) -> Value:
    """feasible, violates (budget), postpones (demand) or both."""
    excess = violation(run, context)
    if excess is None:
        return None
    words = {
        (False, False): "feasible",
        (True, False): "violates",
        (False, True): "postpones",
        (True, True): "both",
    }
    return words[_violates(excess), _postpones(run, context)]


@metric("mean prices", "low")
def consensus_error(run: Trajectory, context: Context) -> Value:
    """Mean over the second half of ‖λ − λ̄‖₂/√N, of the budget with the largest."""
    return run.disagreement / run.multiplier_steps if run.multiplier_steps else None


@metric("mean prices", "low")
def consensus_spread(run: Trajectory, context: Context) -> Value:
    """Largest difference between two agents' multipliers over the second half."""
    return run.spread if run.multiplier_steps else None


@metric("mean prices")
def consensus_bound(run: Trajectory, context: Context) -> Value:
    """Theory's bound on `consensus_error`, for plain gossip with a constant step."""
    return run.bound


def timing_metrics(timings: Timings, agent_steps: int, steps: int) -> dict[str, Value]:
    """Execution: microseconds per agent and step, messages and bytes per agent and step."""
    return {
        "messages": timings.messages / agent_steps,
        "bytes": timings.bytes / agent_steps,
        "act_microseconds": 1e6 * timings.act / agent_steps,
        "step_microseconds": 1e6 * (timings.act + timings.dynamics) / agent_steps,
    }


def _owed(run: Trajectory) -> Tensor:
    """Load still waiting at the end, [N]; the plant starts with none. Empty where the task has no shortfall."""
    if run.final_waiting is None:
        return torch.zeros(0, dtype=torch.float64)
    return run.final_waiting.clamp_min(0.0)


def _violates(excess: Any) -> bool:
    return bool(excess > VIOLATION_ALLOWED)


def _postpones(run: Trajectory, context: Context) -> bool:
    growth = backlog_growth(run, context)
    return isinstance(growth, float) and growth > GROWTH_ALLOWED
