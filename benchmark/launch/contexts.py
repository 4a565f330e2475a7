"""What a run is compared with: a scenario's optimum and the figures without control, once per scenario."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Literal

from accord.baselines.registry import REFERENCES, make_method
from accord.benchmark.evaluation.context import Context, Value
from accord.benchmark.evaluation.evaluate import Evaluation, evaluate
from accord.benchmark.evaluation.metrics import per_demand
from accord.benchmark.records.identity import context_key
from accord.benchmark.records.store import Store
from accord.benchmark.seeding import seeded
from accord.benchmark.specs.resolved import ResolvedRun
from accord.envs.errors import UsageError
from accord.envs.scenario import Bound, Hours, Infeasible, Scenario

log = logging.getLogger("accord")
ORACLE = "oracle"  # the reference whose optimum is every run's yardstick
Compared = Literal["measured", "validation"]


def compared_on(run: ResolvedRun) -> dict[Compared, Scenario]:
    """What a run is compared with an optimum on: its measured hours, and those of its learning curve."""
    if not isinstance(run.scenario.protocol, Hours):
        return {}
    found: dict[Compared, Scenario] = {"measured": run.scenario}
    validation = run.scenario.validation
    if run.has_curve and validation is not None:
        found["validation"] = validation
    return found


def context_lease(scenario: Scenario) -> str:
    """Names the work on what a scenario's runs are compared with."""
    return f"context-{context_key(scenario)}"


def prepare_context(scenario: Scenario, store: Store, *, wait: bool = True) -> Context:
    """A scenario's optimum and its figures without control, computed once; empty where it is measured in episodes.

    Args:
        scenario: The scenario.
        store: Where they are kept.
        wait: For another process that is at it.

    Raises:
        TakenError: another process is at it.
    """
    if not isinstance(scenario.protocol, Hours):
        return Context()
    if (kept := store.load_context(scenario)) is not None:
        return kept
    with store.leases.hold(context_lease(scenario), wait=wait):
        if (kept := store.load_context(scenario)) is not None:
            return kept
        context = _make_context(scenario)
        store.save_context(scenario, context)
    return context


def reference_metrics(run: ResolvedRun, context: Context) -> dict[str, Value]:
    """A bound's row: nothing was rolled out, so most metrics are blank."""
    scenario, method, solved = run.scenario, run.spec.method, context
    if not scenario.budgets():
        raise UsageError(f"method {method}: '{scenario.address}' has no budgets to bound anything under")
    if method != ORACLE or context.oracle is None:  # the oracle says why there is no optimum
        solved = _with_bound(context, scenario, REFERENCES[method]().solve(scenario))
    metrics = comparison(context)
    if solved.oracle == "feasible" and solved.oracle_objective is not None:
        metrics |= {
            "objective": solved.oracle_objective,
            "cost": solved.oracle_cost,
            "import_peak": solved.oracle_import_peak,
            "optimality_gap": context.above_optimum(solved.oracle_objective),
            "violation": 0.0,
            "feasible": True,
            "verdict": "feasible",
            "savings": context.below_serve_now(solved.oracle_objective),
        }
    elif solved.oracle == "infeasible":
        metrics |= {"feasible": False, "verdict": "infeasible", "smallest_level": solved.smallest_level}
    return metrics


def comparison(context: Context) -> dict[str, Value]:
    """What a run was compared with."""
    found: dict[str, Value] = {"oracle": context.oracle, "oracle_objective": context.oracle_objective}
    return found if context.oracle_gap is None else found | {"oracle_gap": context.oracle_gap}


def scales_of(scenario: Scenario) -> Context:
    """What numbers are shown against, without anything that another run did."""
    scales = scenario.scales
    return Context(demand_peak=scales.peak, top_price=scales.top_price, level=scales.level)


def without_control(scenario: Scenario, context: Context) -> Evaluation:
    """Roll out what a scenario's runs are compared with: the rule of today, where no network fails."""
    generator = seeded(0, scenario.uncontrolled)
    plain = make_method(scenario.uncontrolled).build(scenario.task(), generator)
    return evaluate(scenario.sound, plain, context, generator)


def _make_context(scenario: Scenario) -> Context:
    solved = scales_of(scenario)
    try:
        optimum = scenario.optimum()
    except UsageError as too_large:
        log.warning("%s: no optimum: %s", scenario.address, too_large)
        optimum = None
    if optimum is not None:
        solved = _with_bound(solved, scenario, optimum)
    if not scenario.uncontrolled:
        return solved
    base = without_control(scenario, solved)
    sums = base.trajectory.sums
    value, delays = base.metrics["objective"], {"waiting_load", "demand"} <= sums.keys()
    return replace(
        solved,
        serve_now_objective=value if isinstance(value, float) else None,
        serve_now_bill=sums["bill"].tolist() if "bill" in sums else None,
        serve_now_delay=per_demand(sums["waiting_load"], sums["demand"]).tolist() if delays else None,
    )


def _with_bound(context: Context, scenario: Scenario, bound: Bound | Infeasible) -> Context:
    """The context with a reference's answer in the place of the optimum."""
    if isinstance(bound, Infeasible):
        return replace(
            context,
            oracle="infeasible",
            smallest_level=bound.smallest_level,
        )
    peak = scenario.scales.peak
    return replace(
        context,
        oracle="feasible",
        oracle_objective=bound.objective,
        oracle_gap=bound.gap or None,
        oracle_cost=bound.cost,
        oracle_import_peak=bound.import_peak / peak if bound.import_peak is not None and peak else None,
    )
