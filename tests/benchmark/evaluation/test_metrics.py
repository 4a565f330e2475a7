from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from accord.baselines.base import RolloutStart
from accord.baselines.registry import make_method
from accord.benchmark.boards.leaderboard import read_runs
from accord.benchmark.evaluation.context import Context, Value
from accord.benchmark.evaluation.evaluate import evaluate, roll
from accord.benchmark.evaluation.metrics import METRICS, compute, timing_metrics
from accord.benchmark.evaluation.trajectory import Timings, Trajectory
from accord.benchmark.launch.runner import run
from accord.benchmark.records.record import Record
from accord.benchmark.seeding import seeded
from accord.envs.catalogue import family_of, resolve, resolve_district
from accord.envs.demand_response.budgets import parse_budget
from accord.envs.demand_response.scenario import DISTRICTS, smallest_level
from accord.envs.task import Box, Budget, Step, TaskSpec

ROOT = Path(__file__).parents[3]
HOURS = 96
DAY = torch.ones(24, dtype=torch.bool)
LIMIT = 3.0
CONTEXT = Context(
    oracle="feasible",
    oracle_objective=8.0,
    serve_now_objective=20.0,
    serve_now_bill=[100.0, 200.0],
    serve_now_delay=[0.0, 1.0],
    demand_peak=5.0,
    top_price=4.0,
)


def spec(budgets: tuple[Budget, ...], **changes: Any) -> TaskSpec:
    return TaskSpec(
        name="toy",
        n_agents=2,
        obs_fields={},
        action=Box(1),
        state_dim=0,
        horizon=HOURS,
        budgets=budgets,
        resources=("import",),
        price_scale=2.0,
        delay_price=0.1,
        **changes,
    )


def budget(hours: Tensor = DAY, limit: float = LIMIT, **changes: Any) -> Budget:
    return Budget("all", 0, hours, limit, limit, **changes)


def rolled(
    imports: Callable[[int], list[float]],
    waiting: Callable[[int], list[float]] = lambda t: [0.0, 0.0],
    multipliers: Callable[[int], list[float]] = lambda t: [0.0, 0.0],
    budgets: tuple[Budget, ...] | None = None,
    measures: bool = True,
    hours: int = HOURS,
    **extra: Callable[[int], Tensor],
) -> Trajectory:
    """A trajectory whose every number is given: price 2, demand 1 and 2 kWh in each hour."""
    chosen = (budget(),) if budgets is None else budgets
    trajectory = Trajectory(spec(chosen), hours, multiplier_limit=5.0)
    done = torch.zeros(1, dtype=torch.bool)
    for t in range(hours):
        used = torch.tensor([imports(t)])
        shown = {
            "import_kwh": used,
            "waiting_load": torch.tensor([waiting(t)]),
            "demand": torch.tensor([[1.0, 2.0]]),
            "price": torch.tensor([2.0]),
            **{name: value(t) for name, value in extra.items()},
        }
        counted = torch.tensor([[float(b.hours[t % 24]) for b in chosen]])
        step = Step(
            obs=torch.zeros(1, 2, 0),
            reward=-2.0 * used,
            usage=used[..., None],
            shortfall=torch.zeros(1, 2),
            active=torch.ones(1, 1, len(chosen)),
            counted=counted,
            measures=shown if measures else {},
            terminated=done,
            truncated=done,
            alive=torch.ones(1, 2, dtype=torch.bool),
        )
        trajectory.add(step, torch.tensor([[value] for value in multipliers(t)]))
    return trajectory


def value(name: str, trajectory: Trajectory, context: Context = CONTEXT) -> Value:
    compute_one = METRICS[name].compute
    assert compute_one is not None
    return compute_one(trajectory, context)


def test_cost_is_what_was_paid_and_what_is_owed_at_the_top_price() -> None:
    run = rolled(lambda t: [1.0, 2.0], lambda t: [0.0, 6.0])
    assert value("cost", run) == pytest.approx(2 * 3 + 4 * 6 / HOURS)


def test_objective_adds_the_price_of_delay() -> None:
    run = rolled(lambda t: [1.0, 2.0], lambda t: [0.0, 6.0])
    objective = 2 * 3 + 4 * 6 / HOURS + 0.1 * 2.0 * 6
    assert value("objective", run) == pytest.approx(objective)
    assert value("optimality_gap", run) == pytest.approx(objective / 8 - 1)
    assert value("savings", run) == pytest.approx(1 - objective / 20)


def test_violation_counts_load_still_owed_as_import_to_come() -> None:
    assert value("violation", rolled(lambda t: [1.0, 2.3])) == pytest.approx(0.1)
    assert value("violation", rolled(lambda t: [0.0, 1.0])) == 0.0
    owing = rolled(lambda t: [1.0, 1.9], lambda t: [28.8 * (t == HOURS - 1), 0.0])
    assert value("violation", owing) == pytest.approx((2.9 + 28.8 / HOURS - 3) / 3, rel=1e-5)


def test_a_budget_is_averaged_over_its_own_hours_and_agents() -> None:
    evening = torch.zeros(24, dtype=torch.bool)
    evening[18:22] = True
    second = torch.tensor([False, True])
    # 2.4 in the evening and 0 elsewhere, of the second agent alone.
    run = rolled(lambda t: [9.0, 2.4 * (18 <= t % 24 < 22)], budgets=(budget(evening, 2.0, agents=second),))
    assert value("violation", run) == pytest.approx(0.2)
    assert value("violation_p95", run) == pytest.approx(0.2)
    assert value("hours_above", run) == 100.0


def test_a_limit_on_every_hour_is_violated_by_one() -> None:
    run = rolled(lambda t: [0.0, 6.0 if t == 50 else 0.0], budgets=(budget(each_step=True),))
    assert value("violation", run) == pytest.approx(1.0)


def test_hourly_excess_has_a_percentile_and_a_share() -> None:
    run = rolled(lambda t: [0.0, 3.0 + 0.03 * (t - 47)])
    assert value("violation_p95", run) == pytest.approx(np.percentile([0.01 * (t - 47) for t in range(HOURS)], 95))
    assert value("hours_above", run) == pytest.approx(100 * 48 / 96)


def test_the_peak_is_the_districts_and_not_an_agents() -> None:
    run = rolled(lambda t: [4.0 * (t == 3), 4.0 * (t == 4) + 1.5 * (t == 3)])
    assert value("import_peak", run) == pytest.approx(5.5 / 5)


def test_service_and_delay_name_the_worst_agent() -> None:
    run = rolled(lambda t: [0.0, 0.0], lambda t: [4.8, 4.8])
    assert value("served", run) == pytest.approx(1 - 9.6 / (3 * HOURS))
    assert value("served_worst", run) == pytest.approx(1 - 4.8 / HOURS)
    assert value("delay", run) == pytest.approx(9.6 / 3)
    assert value("delay_worst", run) == pytest.approx(4.8)


def test_growth_is_the_slope_of_the_worst_queue_over_the_second_half() -> None:
    # The first agent's queue grows by 2 % of its demand, the second's is large and stands still.
    run = rolled(lambda t: [0.0, 0.0], lambda t: [0.02 * t, 30.0])
    assert value("backlog_growth", run) == pytest.approx(0.02, rel=1e-4)
    early = rolled(lambda t: [0.0, 0.0], lambda t: [min(t, 48) * 0.5, 0.0])
    assert value("backlog_growth", early) == pytest.approx(0.0, abs=1e-6)


def test_a_daily_swing_of_the_queue_is_no_growth() -> None:
    run = rolled(lambda t: [0.0, 0.0], lambda t: [10.0 + 9.0 * np.sin(t * 2 * np.pi / 24), 0.0])
    assert value("backlog_growth", run) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("used", "growth", "verdict"),
    [(3.02, 0.0, "feasible"), (3.3, 0.0, "violates"), (2.0, 0.02, "postpones"), (3.3, 0.02, "both")],
)
def test_the_verdict_says_what_is_wrong(used: float, growth: float, verdict: str) -> None:
    run = rolled(lambda t: [0.0, used], lambda t: [growth * t, 0.0])
    assert value("verdict", run) == verdict
    assert value("feasible", run) == (verdict == "feasible")


def test_multipliers_are_judged_over_the_second_half() -> None:
    run = rolled(lambda t: [1.0, 1.0], multipliers=lambda t: [9.0, 0.0] if t < 48 else [5.0, 0.01 * t])
    assert value("saturation", run) == pytest.approx(0.5)
    assert value("multiplier_drift", run) == pytest.approx(10.0)
    assert value("consensus_spread", run) == pytest.approx(5 - 0.48)
    assert value("consensus_error", run) == pytest.approx(np.mean([(5 - 0.01 * t) / 2 for t in range(48, 96)]))


@pytest.mark.parametrize(("until", "recovered"), [(0, 0.0), (72, 8 * 24.0), (480, 480.0)])
def test_recovery_ends_with_the_last_day_on_which_use_so_far_was_over_a_budget(until: int, recovered: float) -> None:
    run = rolled(lambda t: [0.0, 5.0 if t < until else 2.0], hours=480)
    assert value("recovery", run) == recovered


def test_fairness_is_the_worst_change_against_no_control() -> None:
    run = rolled(lambda t: [1.0, 1.0], lambda t: [3.0, 3.0])  # bills of 192 against 100 and 200
    assert value("fairness_bill", run) == pytest.approx(0.92)
    assert value("fairness_delay", run) == pytest.approx(3.0)


def test_an_agent_without_demand_has_nothing_that_could_wait() -> None:
    def demand(first: float, second: float) -> Callable[[int], Tensor]:
        return lambda t: torch.tensor([[first, second]])

    one = rolled(lambda t: [0.0, 1.0], lambda t: [0.0, 1.0], demand=demand(0.0, 2.0))
    shares = ("served", "served_worst", "delay", "delay_worst", "backlog_growth")
    assert [value(name, one) for name in shares] == pytest.approx([191 / 192, 191 / 192, 0.5, 0.5, 0.0])
    assert value("fairness_delay", one) == 0.0
    nobody = rolled(lambda t: [0.0, 0.0], demand=demand(0.0, 0.0))
    assert [value(name, nobody) for name in shares] == [1.0, 1.0, 0.0, 0.0, 0.0]


def test_the_change_of_a_bill_is_a_share_of_its_size() -> None:
    run = rolled(lambda t: [1.0, -1.0])  # bills of 192 and -192
    assert value("fairness_bill", run, replace(CONTEXT, serve_now_bill=[0.0, -384.0])) == pytest.approx(0.5)
    assert value("fairness_bill", run, replace(CONTEXT, serve_now_bill=[0.0, 0.0])) is None


def test_carbon_is_weighed_by_the_hours_intensity() -> None:
    run = rolled(lambda t: [1.0, 2.0], carbon=lambda t: torch.tensor([0.1 if t < 48 else 0.3]))
    assert value("carbon", run) == pytest.approx(3 * 0.2)


def test_the_return_sums_the_agents_rewards() -> None:
    assert value("episode_return", rolled(lambda t: [1.0, 2.0])) == pytest.approx(-6.0 * HOURS)


def test_what_a_task_does_not_declare_is_none_and_never_zero() -> None:
    bare = compute(rolled(lambda t: [0.0, 0.0], budgets=(), measures=False), Context())
    assert {name for name, found in bare.items() if found is not None} == {"episode_return"}
    unbudgeted = compute(rolled(lambda t: [0.0, 0.0], budgets=()), CONTEXT)
    assert unbudgeted["violation"] is None
    assert unbudgeted["verdict"] is None
    assert unbudgeted["carbon"] is None
    assert unbudgeted["cost"] == 0.0


def test_execution_is_timed_per_agent_and_step() -> None:
    found = timing_metrics(Timings(act=2.0, dynamics=1.0, messages=800.0, bytes=1600.0), 400)
    assert found == {"messages": 2.0, "bytes": 4.0, "act_microseconds": 5000.0, "step_microseconds": 7500.0}


@pytest.mark.parametrize(("district", "known"), [("paper_seven", False), ("homes_17", True)])
def test_carbon_is_blank_where_the_data_have_none(district: str, known: bool) -> None:
    scenario = resolve(f"{district}/ring/average-0.3")
    controller = make_method("serve_now").build(scenario.task(), seeded(0, "t"))
    task, network, generator = scenario.task(), scenario.network(), seeded(0, "t")
    controller.reset(RolloutStart(task.spec, network, 1, generator))
    trajectory = Trajectory(task.spec, 48)
    roll(task, controller, 0, 48, generator, network, trajectory)
    assert (value("carbon", trajectory) is not None) == known


def beyond_the_possible(records: list[Record]) -> list[str]:
    """Feasible runs where the linear programme proves budgets of c·(1 + 1 %) out of reach."""
    feasible = [record for record in records if record.metrics.get("feasible")]
    wrong = {address for address in {record.spec.scenario for record in feasible} if cannot_be_met(address)}
    return [record.spec.label for record in feasible if record.spec.scenario in wrong]


def cannot_be_met(address: str) -> bool:
    if family_of(address) is not DISTRICTS:
        return False  # games and the like have no budgets
    name = parse_budget(address.split("/")[2])
    if name.relative and not name.change:  # a multiple of the smallest level, which need not be worked out
        return 1.01 * name.level < 1
    scenario = resolve_district(address)
    return smallest_level(scenario.district_name, name.kind, name.intervals) > 1.01 * scenario.level


def test_no_run_is_feasible_where_nothing_can_be(tmp_path: Path) -> None:
    settings = {"copies": 4, "agents": 4, "ppo": {"hidden": [16]}, "dual": {"alpha": 0.05, "eta": 0.05}}
    records = [
        run("synthetic_7-week/complete/average-0.29", "consensus-gossip", settings=settings, steps=5000, root=tmp_path),
        run("synthetic_7-week/complete/average-0.29", "rule_based", root=tmp_path),
        run("synthetic_7-week/complete/average-0.29", "oracle", root=tmp_path),
    ]
    assert all(record.status == "done" for record in records)
    published = [record for path in sorted(ROOT.glob("results/*/runs.parquet")) for record in read_runs(path)]
    assert not beyond_the_possible(published + records)
    assert beyond_the_possible([records[0].model_copy(update={"metrics": {"feasible": True}})])
    assert [record.metrics["feasible"] for record in records] == [False] * 3


def test_serve_now_has_the_figures_that_are_known_of_it() -> None:
    scenario = resolve("paper_seven/ring/average-0.27")
    controller = make_method("serve_now").build(scenario.task(), seeded(0, "t"))
    found = evaluate(scenario, controller, Context(), seeded(0, "t"))
    used = float(found.trajectory.used[0] / found.trajectory.hours) / scenario.district.demand_peak
    assert used == pytest.approx(0.2225, abs=5e-5)
    assert found.metrics["delay"] == 0.0
    assert found.metrics["verdict"] == "feasible"
