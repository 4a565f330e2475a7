"""Metrics of multipliers: whether they are at their limits, how far apart, and the ledger of what moved them."""

from __future__ import annotations

import torch

from accord.benchmark.evaluation.context import Context, Value
from accord.benchmark.evaluation.excess import all_positive, debt_of, excess_of
from accord.benchmark.evaluation.metric import metric
from accord.benchmark.evaluation.trajectory import Trajectory


@metric("-", "low", section="feasibility")
def saturation(run: Trajectory, context: Context) -> Value:
    """Share of (agent, budget) whose multiplier sits at its limit over the second half."""
    if run.multiplier_limit is None or not run.multiplier_steps:
        return None
    return run.saturated / run.multiplier_steps


@metric("-", section="violation")
def transient(run: Trajectory, context: Context) -> Value:
    """Ledger of the worst budget: the excess that the rise of the mean multiplier over the hours stands for."""
    return _of_worst(run, "level")


@metric("-", "low", section="violation")
def cut(run: Trajectory, context: Context) -> Value:
    """Ledger of the worst budget: use that no price answered, since λ was at its upper limit."""
    return _of_worst(run, "cut")


@metric("-", section="violation")
def lifted(run: Trajectory, context: Context) -> Value:
    """Ledger of the worst budget: thrift that lowered no price, since λ was at 0; it is taken off the excess."""
    return _of_worst(run, "lifted")


@metric("-", section="violation")
def talk_drift(run: Trajectory, context: Context) -> Value:
    """Ledger of the worst budget: what communication moved the mean multiplier by; it is taken off the excess."""
    return _of_worst(run, "talk")


@metric("-", "low", section="violation")
def violation_bound(run: Trajectory, context: Context) -> Value:
    """What the ledger bounds the violation by, without knowing what is lifted; the largest of any budget.

    Budgets of every single hour have none.
    """
    if run.ledger is None or not all_positive(run) or any(budget.each_step for budget in run.spec.budgets):
        return None
    ledger, steps = run.ledger, run.counted.clamp_min(1)
    bound = (ledger.level + ledger.cut - ledger.talk) / steps - ledger.aimed + debt_of(run) / run.limits
    return max(0.0, float(bound.max()))


@metric("-", "low", section="violation")
def ledger_error(run: Trajectory, context: Context) -> Value:
    """By how much the ledger does not add up: float32's rounding; of the budget with the most."""
    if run.ledger is None or not all_positive(run):
        return None
    ledger, steps = run.ledger, run.counted.clamp_min(1)
    told = (ledger.level + ledger.cut - ledger.lifted - ledger.talk) / steps - ledger.aimed
    error = torch.where(run.counted > 0, run.used / steps / run.limits - 1 - told, 0.0)
    return float(error.abs().max())


@metric("1/kh", section="feasibility")
def multiplier_drift(run: Trajectory, context: Context) -> Value:
    """Steepest rise of a multiplier over the second half, per 1,000 h."""
    slope = run.drift.per_time()
    return None if slope is None else 1000 * float(slope.max())


@metric("mean prices", "low", section="feasibility")
def consensus_error(run: Trajectory, context: Context) -> Value:
    """Mean over the second half of ‖λ − λ̄‖₂/√N, of the budget with the largest."""
    return run.disagreement / run.multiplier_steps if run.multiplier_steps else None


@metric("mean prices", "low", section="feasibility")
def consensus_spread(run: Trajectory, context: Context) -> Value:
    """Largest difference between two agents' multipliers over the second half."""
    return run.spread if run.multiplier_steps else None


@metric("mean prices", "low", section="feasibility")
def consensus_error_bound(run: Trajectory, context: Context) -> Value:
    """What theory bounds `consensus_error` by, but for float32's rounding; none for faults that have no bound."""
    return None if run.disagreement_bound is None else run.disagreement_bound / run.multiplier_steps


def _of_worst(run: Trajectory, term: str) -> Value:
    """A term of the ledger of the budget with the largest excess, as a share of its limit."""
    if run.ledger is None or not all_positive(run):
        return None
    worst = int(excess_of(run).argmax())
    return float(getattr(run.ledger, term)[worst] / run.counted[worst].clamp_min(1))
