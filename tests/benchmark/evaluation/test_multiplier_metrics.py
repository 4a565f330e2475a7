"""What moved multipliers, against rollouts whose sums are known."""

from dataclasses import replace
from typing import get_args

import pytest
import torch

from accord.baselines.base import RolloutStart
from accord.baselines.consensus.price_taker import PriceTakerConfig, PriceTakerController
from accord.baselines.multipliers.moving import Rule
from accord.baselines.registry import make_method
from accord.benchmark.evaluation.context import Context
from accord.benchmark.evaluation.evaluate import evaluate, roll
from accord.benchmark.evaluation.trajectory import Trajectory
from accord.benchmark.seeding import seeded
from accord.envs.catalogue import resolve
from accord.envs.scenario import Hours


@pytest.mark.parametrize("rule", ["gossip", "broadcast", "independent"])
def test_unprojected_dual_ascent_pays_for_every_excess(rule: str) -> None:
    """Σ_t (usage − c) = N·(λ̄_T − λ̄_0)/α: mixing keeps the mean, so the mean sums up the excess."""
    scenario, alpha, start = resolve("paper_seven/two_groups/average-0.27"), 0.05, 50.0
    dual = {"alpha": alpha, "unit": "base_load", "tighten": 0.0, "step_rule": "constant"}
    settings = {"dual": dual | {"lambda_start": start, "lambda_max": 1e4}}
    task, network, generator = scenario.task(), scenario.network(), seeded(0, "t")
    controller = make_method(f"consensus-{rule}", settings).build(task, generator)
    controller.reset(RolloutStart(task.spec, network, 1, generator))
    trajectory = Trajectory(task.spec, 480)
    with torch.inference_mode():
        roll(task, controller, 0, 480, generator, network, trajectory)
    excess = float(trajectory.used[0] - 480 * trajectory.limits[0]) / task.spec.usage_scale
    moved = float(controller.diagnostics()["multipliers"].double().mean()) - start
    assert abs(moved) > 0.1
    assert excess == pytest.approx(7 * moved / alpha, rel=1e-3)


@pytest.mark.parametrize("rule", get_args(Rule))
@pytest.mark.parametrize("unit", ["base_load", "share"])
def test_the_ledger_of_multipliers_adds_up_and_bounds_the_violation(rule: Rule, unit: str) -> None:
    dual = {"alpha": 0.1, "unit": unit, "tighten": 0.02, "lambda_max": 0.3}
    scenario = resolve("campus_seven/star/hourly-0.35")
    assert isinstance(scenario.protocol, Hours)
    scenario = scenario.over(replace(scenario.protocol, warmup=0, measured=(48, 288)))
    controller = PriceTakerController(PriceTakerConfig.model_validate({"rule": rule, "dual": dual}))
    found = evaluate(scenario, controller, Context(top_price=1.0), seeded(0, "t"))
    numbers = {name: number for name, number in found.metrics.items() if isinstance(number, float)}
    assert numbers["cut"] > 0.1
    ledger = found.trajectory.ledger
    assert ledger is not None
    assert ledger.lifted.max() > 0
    assert numbers["ledger_error"] < 1e-6
    assert 0.1 < numbers["violation"] <= numbers["violation_bound"] + 1e-6
    run, debt = found.trajectory, numbers["violation"] + numbers["lifted"] + numbers["talk_drift"] + 0.02
    debt -= numbers["transient"] + numbers["cut"]
    assert run.final_waiting is not None
    assert debt == pytest.approx(float(run.final_waiting.sum() / run.hours / run.limits[0]), abs=1e-6)


@pytest.mark.parametrize(
    ("address", "share"),
    [
        ("homes_17/ring/feeder-0.25", "equal"),
        ("campus_seven/two_groups/hourly-0.3", "own_peak"),
        ("campus_seven/two_groups/hourly-0.35~0.3", "equal"),
        ("campus_seven/two_groups/cap-0.6", "equal"),
    ],
)
def test_the_ledger_adds_up_whatever_the_budgets_and_parts_of_them(address: str, share: str) -> None:
    method = make_method("price_taker", {"dual": {"share": share, "lambda_max": 1.0}})
    scenario = resolve(address)
    built = method.build(scenario.task(), seeded(0, "t"))
    found = evaluate(scenario, built, Context(top_price=1.0), seeded(0, "t")).metrics
    error, bound, violation = found["ledger_error"], found["violation_bound"], found["violation"]
    assert isinstance(error, float)
    assert error < 1e-6
    assert (bound is None) == ("cap" in address)
    assert isinstance(violation, float)
    assert bound is None or (isinstance(bound, float) and violation <= bound + 1e-6)


def test_gossip_disagrees_less_than_its_bound() -> None:
    scenario = resolve("campus_seven/path/hourly-0.35")
    assert isinstance(scenario.protocol, Hours)
    scenario = scenario.over(replace(scenario.protocol, warmup=0, measured=(48, 288)))
    found = evaluate(scenario, PriceTakerController(PriceTakerConfig()), Context(top_price=1.0), seeded(0, "t")).metrics
    bound, measured = found["consensus_error_bound"], found["consensus_error"]
    assert isinstance(bound, float)
    assert isinstance(measured, float)
    assert 0 < measured <= bound < 20 * measured
