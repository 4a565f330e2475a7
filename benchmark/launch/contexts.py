"""What a run is compared with: the linear programme's optimum and `serve_now`'s figures, once per scenario."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Literal

from accord.baselines.base import Bound, Infeasible
from accord.baselines.registry import REFERENCES, make_method
from accord.benchmark.evaluation.evaluate import evaluate
from accord.benchmark.evaluation.metrics import Context, Value
from accord.benchmark.records.store import Store
from accord.benchmark.seeding import seeded
from accord.benchmark.specs.suite import RunSpec
from accord.envs.catalogue import DistrictScenario, resolve
from accord.envs.errors import UsageError

log = logging.getLogger("accord")
ORACLE = "oracle"  # the reference whose optimum is every run's yardstick
Hours = Literal["measured", "validation"]


def compared_on(spec: RunSpec) -> dict[Hours, DistrictScenario]:
    """What a run is compared with a linear programme on: its measured hours, and those of its learning curve."""
    scenario = resolve(spec.scenario)
    if not isinstance(scenario, DistrictScenario):
        return {}
    found: dict[Hours, DistrictScenario] = {"measured": scenario}
    if has_curve(spec):
        found["validation"] = scenario.validation
    return found


def has_curve(spec: RunSpec) -> bool:
    """A learning curve is drawn where a policy was trained, not of what becomes of it after a change or elsewhere."""
    trained_here = spec.training_scenario.address == resolve(spec.scenario).address
    return spec.effort is not None and spec.effort.snapshots > 0 and trained_here


def prepare_context(scenario: DistrictScenario, store: Store) -> Context:
    """The linear programme's answer and `serve_now`'s figures for a scenario, computed once."""
    context = store.load_context(scenario)
    if context is None:
        context = _make_context(scenario)
        store.save_context(scenario, context)
    return context


def reference_metrics(spec: RunSpec, context: Context) -> dict[str, Value]:
    """A bound's row: nothing was rolled out, so most metrics are blank."""
    scenario, solved = resolve(spec.scenario), context
    if not isinstance(scenario, DistrictScenario):
        raise UsageError(f"method {spec.method}: '{scenario.address}' has no budgets to bound anything under")
    if spec.method != ORACLE:
        solved = _with_bound(context, scenario, REFERENCES[spec.method]().solve(scenario))
    metrics = comparison(context)
    if solved.oracle == "feasible" and solved.oracle_objective is not None:
        served, optimum = context.serve_now_objective, context.oracle_objective
        metrics |= {
            "objective": solved.oracle_objective,
            "cost": solved.oracle_cost,
            "import_peak": solved.oracle_import_peak,
            "optimality_gap": solved.oracle_objective / optimum - 1 if optimum else None,
            "violation": 0.0,
            "feasible": True,
            "verdict": "feasible",
            "savings": 1 - solved.oracle_objective / served if served else None,
        }
    elif solved.oracle == "infeasible":
        metrics |= {"feasible": False, "verdict": "infeasible", "smallest_level": solved.smallest_level}
    return metrics


def comparison(context: Context) -> dict[str, Value]:
    """What a run was compared with."""
    found: dict[str, Value] = {"oracle": context.oracle, "oracle_objective": context.oracle_objective}
    return found if context.oracle_gap is None else found | {"oracle_gap": context.oracle_gap}


def _make_context(scenario: DistrictScenario) -> Context:
    district = scenario.district
    solved = Context(demand_peak=district.demand_peak, top_price=float(district.price.max()), level=scenario.level)
    try:
        solved = _with_bound(solved, scenario, REFERENCES[ORACLE]().solve(scenario))
    except UsageError as too_large:
        log.warning("%s: no optimum: %s", scenario.address, too_large)
    plain_controller = make_method("serve_now").build(scenario.task(), seeded(0, "serve_now"))
    base = evaluate(scenario, plain_controller, solved, seeded(0, "serve_now"))
    sums = base.trajectory.sums
    value = base.metrics["objective"]
    return replace(
        solved,
        serve_now_objective=value if isinstance(value, float) else None,
        serve_now_bill=sums["bill"].tolist(),
        serve_now_delay=(sums["waiting_load"] / sums["demand"]).tolist(),
    )


def _with_bound(context: Context, scenario: DistrictScenario, bound: Bound | Infeasible) -> Context:
    """The context with a reference's answer in the place of the oracle's."""
    if isinstance(bound, Bound):
        return replace(
            context,
            oracle="feasible",
            oracle_objective=bound.objective,
            oracle_gap=bound.gap or None,
            oracle_cost=bound.cost,
            oracle_import_peak=float(bound.imports.max()) / scenario.district.demand_peak,
            oracle_imports=bound.imports.tolist(),
            oracle_multipliers=bound.multipliers.tolist(),
        )
    return replace(
        context,
        oracle="infeasible",
        smallest_level=bound.smallest_level,
        oracle_multipliers=bound.weights.tolist(),
    )
