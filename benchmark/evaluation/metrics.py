"""Every metric of a run: one function each, computed from what the harness rolled out.

A metric whose measures a task does not declare is None, never zero. To add one, write a function of
(trajectory, context) and decorate it: the decorator says all that tables, W&B and reproduction must know of it. Outside
packages name a module with such functions in an entry point in `accord.metrics`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from accord.benchmark.evaluation.context import GROWTH_ALLOWED, VIOLATION_ALLOWED, Context, Value
from accord.benchmark.evaluation.excess import all_positive, excess_of, owed_by
from accord.benchmark.evaluation.measured import MEASURED
from accord.benchmark.evaluation.metric import METRICS, Column, metric, register_metric
from accord.benchmark.evaluation.trajectory import DAY, Timings, Trajectory
from accord.envs.plugins import loaded
from accord.envs.toy.coupled_linear import COUPLINGS

IMPRACTICAL_DELAY = 24.0  # hours


@metric("$/h", "low")
def cost(run: Trajectory, context: Context) -> Value:
    """Paid for energy, load still owed at the end charged at the highest tariff."""
    if "bill" not in run.sums or context.top_price is None:
        return None
    return float(run.sums["bill"].sum() + context.top_price * owed_by(run).sum()) / run.hours


@metric("$/h", "low")
def objective(run: Trajectory, context: Context) -> Value:
    """Cost and the price of delay: what the task asks to minimise."""
    paid = cost(run, context)
    if not isinstance(paid, float):
        # A task that bills nothing asks for its local objectives alone.
        return -float(run.sums["reward"].sum()) / run.hours if run.spec.budgets and "bill" not in run.sums else None
    price = run.spec.delay_price * run.spec.price_scale
    waiting = float(run.sums["waiting_load"].sum()) if "waiting_load" in run.sums else 0.0
    return paid + price * waiting / run.hours


@metric("-", "low", column=Column("gap", "%", 100, place=10))
def optimality_gap(run: Trajectory, context: Context) -> Value:
    """By which share of its size the objective is above the optimum; a relaxed budget can make it negative.

    Blank where the optimum is near zero, as it may be under prices of both signs.
    """
    return context.above_optimum(objective(run, context))


@metric("-", "low", section="violation", column=Column("violation", "%", 100, place=20))
def violation(run: Trajectory, context: Context) -> Value:
    """Largest relative excess of a budget, load still owed counted as import that must still come."""
    if not len(run.limits):
        return None
    excess = excess_of(run)
    if any(b.each_step for b in run.spec.budgets):
        return max(0.0, float(excess.max()), max(run.hour_excess))
    return max(0.0, float(excess.max()))


@metric("-", "low", section="violation")
def violation_p95(run: Trajectory, context: Context) -> Value:
    """95th percentile over hours of the relative excess."""
    return float(np.percentile(run.hour_excess, 95)) if run.hour_excess else None


@metric("%", "low", section="violation")
def hours_above(run: Trajectory, context: Context) -> Value:
    """Share of hours above the limit."""
    return 100 * float(np.mean(np.array(run.hour_excess) > 0)) if run.hour_excess else None


@metric("h", "low", section="violation")
def recovery(run: Trajectory, context: Context) -> Value:
    """Hours after which use so far exceeds no budget by over 1 % any more; all of them where it does to the end."""
    if not run.days or not all_positive(run):
        return None
    used, counted = (torch.stack(values) for values in zip(*run.days, strict=True))  # [days, m]
    over = ((used / counted.clamp_min(1) / run.limits - 1).amax(1) > VIOLATION_ALLOWED).nonzero().flatten()
    return float(DAY * (int(over[-1]) + 1)) if len(over) else 0.0


@metric("-", "low", section="violation", column=Column("import peak", "%", 100, 0, place=40))
def import_peak(run: Trajectory, context: Context) -> Value:
    """Highest hour of the district's import, in uncontrolled peaks; the oracle shows the least over optima."""
    if "import_kwh" not in run.series or not context.demand_peak:
        return None
    return max(run.series["import_kwh"]) / context.demand_peak


@metric(
    "-",
    "high",
    section="feasibility",
    column=Column("served", "%", 100, place=20, shown="episodes", optional="blank"),
    adds_up="served",
)
def served(run: Trajectory, context: Context) -> Value:
    """Share of the demand that was served by the end."""
    if "served" in run.sums:
        return float(run.sums["served"])
    return 1 - float(per_demand(owed_by(run).sum(), run.sums["demand"].sum())) if "demand" in run.sums else None


@metric("-", "high", section="feasibility")
def served_worst(run: Trajectory, context: Context) -> Value:
    """The same for the worst agent."""
    owed = owed_by(run)
    return 1 - float(per_demand(owed, run.sums["demand"]).max()) if "demand" in run.sums and owed.numel() else None


@metric("h", "low", section="feasibility", column=Column("delay", "h", place=30))
def delay(run: Trajectory, context: Context) -> Value:
    """Mean delay by Little's law: mean waiting load over mean demand."""
    if "demand" not in run.sums or "waiting_load" not in run.sums:
        return None
    return float(per_demand(run.sums["waiting_load"].sum(), run.sums["demand"].sum()))


@metric("h", "low", section="feasibility")
def delay_worst(run: Trajectory, context: Context) -> Value:
    """The same for the worst agent."""
    if "demand" not in run.sums or "waiting_load" not in run.sums:
        return None
    return float(per_demand(run.sums["waiting_load"], run.sums["demand"]).max())


@metric("-", "low", section="feasibility")
def backlog_growth(run: Trajectory, context: Context) -> Value:
    """Share of the worst agent's demand that is postponed for ever: slope of its queue over the second half."""
    slope = run.backlog.per_time()
    if slope is None or "demand" not in run.sums:
        return None
    return float(per_demand(slope / DAY, run.sums["demand"] / run.hours).max())


@metric("bool", "high", section="feasibility")
def feasible(run: Trajectory, context: Context) -> Value:
    """Budgets met within 1 % and no agent's backlog growing by over 1 % of its demand."""
    excess = violation(run, context)
    if excess is None:
        return None
    return not _violates(excess) and not _postpones(run, context)


@metric("task's own", "high", column=Column("return", decimals=2, place=10, shown="episodes"))
def episode_return(run: Trajectory, context: Context) -> Value:
    """Sum over agents of the local rewards; of an episodic scenario the mean over its episodes, undiscounted."""
    return float(run.sums["reward"].sum())


@metric("-", "high", adds_up="completed")
def completed(run: Trajectory, context: Context) -> Value:
    """Of multi-resource allocation: completions per consumer."""
    return float(run.sums["completed"]) if "completed" in run.sums else None


@metric("-", "low", column=Column("collisions", place=30, shown="episodes", optional="blank"), adds_up="collisions")
def collisions(run: Trajectory, context: Context) -> Value:
    """Of multi-resource allocation: others that were too close to an agent, added up over an episode's steps."""
    return float(run.sums["collisions"].mean()) if "collisions" in run.sums else None


@metric(
    "-",
    "low",
    column=Column("coupling error", "%", 100, place=40, shown="episodes", optional="blank"),
    adds_up="settled_distance",
)
def coupling_error(run: Trajectory, context: Context) -> Value:
    """Of coupled linear systems: by which share a mean distance of the second half is off; the worst coupling's."""
    if "settled_distance" not in run.sums:
        return None
    wanted = torch.tensor([distance for *_, distance in COUPLINGS], dtype=torch.float64)
    return float(((run.sums["settled_distance"] - wanted) / wanted).abs().max())


@metric(
    "-",
    "low",
    column=Column("outside", "%", 100, place=50, shown="episodes", optional="blank"),
    adds_up="outside_share",
)
def outside(run: Trajectory, context: Context) -> Value:
    """Of coupled linear systems: share of the steps after the 20th that the worst agent is outside its bounds in."""
    return float(run.sums["outside_share"].max()) if "outside_share" in run.sums else None


@metric("-", "high", column=Column("savings", "%", 100, place=60))
def savings(run: Trajectory, context: Context) -> Value:
    """What is saved against no control, as a share of its size; blank where that is near zero."""
    return context.below_serve_now(objective(run, context))


@metric("-", "low")
def fairness_bill(run: Trajectory, context: Context) -> Value:
    """Worst agent's change of its bill against `serve_now`, as a share of that; those who paid nothing are left out."""
    if context.serve_now_bill is None or "bill" not in run.sums:
        return None
    before = torch.tensor(context.serve_now_bill, dtype=torch.float64)
    change = ((run.sums["bill"] / before - 1) * before.sign())[before != 0]
    return float(change.max()) if len(change) else None


@metric("h", "low")
def fairness_delay(run: Trajectory, context: Context) -> Value:
    """Worst agent's change of its delay against `serve_now`."""
    if context.serve_now_delay is None or not {"waiting_load", "demand"} <= run.sums.keys():
        return None
    own = per_demand(run.sums["waiting_load"], run.sums["demand"])
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


from accord.benchmark.evaluation import multiplier_metrics  # noqa: E402, F401  (registers its own behind these)

for _entry in MEASURED:
    register_metric(_entry)


def compute(trajectory: Trajectory, context: Context) -> dict[str, Value]:
    """Every metric of a trajectory."""
    return {name: entry.compute(trajectory, context) for name, entry in METRICS.items() if entry.compute is not None}


def timing_metrics(timings: Timings, agent_steps: int) -> dict[str, Value]:
    """Execution: microseconds per agent and step, messages and bytes per agent and step."""
    return {
        "messages": timings.messages / agent_steps,
        "bytes": timings.bytes / agent_steps,
        "act_microseconds": 1e6 * timings.act / agent_steps,
        "step_microseconds": 1e6 * (timings.act + timings.dynamics) / agent_steps,
    }


def per_demand(value: Tensor, demand: Tensor) -> Tensor:
    """Shares of demand; 0 where there is none, for then there is nothing that could wait."""
    return torch.where(demand > 0, value / demand, 0.0)


def _violates(excess: Any) -> bool:
    return bool(excess > VIOLATION_ALLOWED)


def _postpones(run: Trajectory, context: Context) -> bool:
    growth = backlog_growth(run, context)
    return isinstance(growth, float) and growth > GROWTH_ALLOWED


for _ in loaded("accord.metrics"):
    pass  # its module registers what it has
