"""Controllers that every table carries: nothing, chance, a rule, and a plan with a day of foresight."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from accord.baselines import make_method
from accord.baselines.base import ModelView, RolloutStart, Training
from accord.baselines.control import rule_based
from accord.baselines.control.rule_based import MANY, _try
from accord.baselines.rollout import begin
from accord.benchmark.evaluation.context import Context
from accord.benchmark.evaluation.evaluate import evaluate
from accord.benchmark.launch.runner import run
from accord.envs import make
from accord.envs.catalogue import resolve, resolve_district
from accord.envs.demand_response import DemandResponse
from accord.envs.demand_response.budgets import parse_budget
from accord.envs.demand_response.scenario import budgets_of
from accord.envs.districts.named import make_district
from accord.envs.errors import UsageError
from accord.envs.network import Network
from accord.envs.task import budget_usage


def rolled_out(method: str, address: str, hours: int) -> tuple[float, float, float]:
    """Objective without debt in $, mean delay in hours, largest relative excess of a budget, over the first hours."""
    task = make(address)
    network = Network.build("ring", task.spec.n_agents)
    generator = torch.Generator().manual_seed(0)
    controller = make_method(method).train(task, network, Training.without_effort(generator))
    begin(task, controller, network, 1, generator)
    step = task.reset(1, generator, start=0, horizon=hours)
    paid = waited = needed = 0.0
    used, counted = torch.zeros(len(task.spec.budgets)), torch.zeros(len(task.spec.budgets))
    for _ in range(hours):
        step = task.step(controller.act(step))
        used += budget_usage(task.spec, step).sum((0, 1))
        counted += step.counted[0]
        controller.feedback(step)
        paid -= float(step.reward.sum())
        waited += float(step.measures["waiting_load"].sum())
        needed += float(step.measures["demand"].sum())
    excess = (used / counted - task.spec.limits) / task.spec.limits
    return paid, waited / needed, float(excess.max())


def test_serve_now_never_makes_anyone_wait() -> None:
    assert rolled_out("serve_now", "campus_seven/ring/hourly-0.35", 100)[1] == pytest.approx(0.0, abs=1e-6)


def test_lookahead_is_cheaper_than_serving_at_once_and_keeps_the_hourly_budgets() -> None:
    now, _, unplanned = rolled_out("serve_now", "campus_seven/ring/hourly-0.35", 120)
    planned, delay, excess = rolled_out("lookahead", "campus_seven/ring/hourly-0.35", 120)
    assert planned < now
    assert 0 < delay < 6
    # What is left unused can be used later, so a few days alone are not met exactly.
    assert excess < unplanned / 2


@pytest.mark.parametrize("method", ["lookahead", "mpc"])
def test_a_plan_serves_where_delay_is_free(method: str) -> None:
    assert rolled_out(method, "paper_seven/ring/average-0.27", 240)[1] < 24  # hours of delay


def test_lookahead_plans_with_a_battery_that_float32_holds_a_little_fuller_than_it_is() -> None:
    district = make_district("campus_seven")
    capacity = 140.0000078  # 7e-6 below the next float32
    assert float(torch.tensor(capacity).float()) > capacity + 5e-6
    district = dataclasses.replace(district, battery_kwh=torch.full_like(district.battery_kwh, capacity))
    task = DemandResponse(district, budgets_of(district, parse_budget("hourly-0.35"), 0.35))
    controller = make_method("lookahead").build(task, torch.Generator())
    controller.reset(RolloutStart(task.spec, Network.build("ring", 7), 1, torch.Generator(), ModelView(task)))
    full = {"waiting_load": torch.zeros(1, 7), "soc": torch.full((1, 7), capacity)}
    assert torch.isfinite(controller.act(task.reset(1, torch.Generator(), start=0, initial=full))).all()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where runs of one scenario share its linear programme."""
    return tmp_path_factory.mktemp("runs")


def test_rule_based_meets_the_budget_it_was_tuned_for(root: Path) -> None:
    # Within some 7 % of the optimum: on an average budget a rule without learning is hard to beat.
    record = run("paper_seven/ring/average-0.27", "rule_based", root=root)
    assert record.status == "done", record.error
    assert record.metrics["verdict"] == "feasible"
    assert record.metrics["optimality_gap"] < 0.09


def test_random_is_feasible_on_the_papers_budget_and_doing_nothing_too(root: Path) -> None:
    for method in ("random", "serve_now"):
        assert run("paper_seven/ring/average-0.27", method, root=root).metrics["verdict"] == "feasible"
        assert run("paper_seven/ring/average-0.21", method, root=root).metrics["verdict"] == "violates"


def test_nothing_is_feasible_where_the_oracle_proves_it(tmp_path) -> None:
    oracle = run("paper_seven/ring/average-0.2", "oracle", root=tmp_path)
    assert oracle.metrics["verdict"] == "infeasible"
    assert oracle.metrics["smallest_level"] == pytest.approx(0.206, abs=5e-4)
    # The others are held against it among what is published, see test_metrics.
    assert not run("paper_seven/ring/average-0.2", "rule_based", root=tmp_path).metrics["feasible"]


def test_lookahead_needs_a_model_and_demand_response() -> None:
    scenario = resolve("paper_seven/ring/average-0.27")
    task = scenario.task()
    controller = make_method("lookahead").build(task, torch.Generator())
    with pytest.raises(ValueError, match="model view"):
        controller.reset(RolloutStart(task.spec, scenario.network(), 1, torch.Generator()))
    with pytest.raises(UsageError, match="not demand response"):
        make_method("lookahead").build(object.__new__(_Other), torch.Generator())


def test_uniform_actions_differ_by_seed_and_stay_in_the_box() -> None:
    scenario = resolve("synthetic_7-week/ring/average-0.4")
    results = []
    for seed in (0, 0, 1):
        controller = make_method("random").build(scenario.task(), torch.Generator())
        found = evaluate(scenario, controller, Context(), torch.Generator().manual_seed(seed))
        results.append(float(found.traces["district_import_kwh"].sum()))
    assert results[0] == results[1] != results[2]


class _Other:
    """Not demand response."""

    class spec:  # noqa: N801
        """Its name alone is asked for."""

        name = "other"


def test_the_rule_of_many_buildings_is_tuned_on_some(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def watched(task: DemandResponse, *rest: Any) -> Any:
        tried.append(task.spec.n_agents)
        return _try(task, *rest)

    monkeypatch.setattr(rule_based, "_try", watched)
    scenario = resolve_district("synthetic_300-week/regular-4/average-x1.05")
    method = make_method("rule_based", {"shares": (0.3, 1.0), "patience": (1.0,), "hours": 48})
    method.train(scenario.task(), scenario.network(), Training.without_effort(torch.Generator()))
    assert tried == [MANY]
