"""A change in the middle of the measured hours, and policies that were trained elsewhere."""

import pytest
import torch

from accord.baselines.base import Controller, RolloutStart
from accord.baselines.registry import make_method
from accord.benchmark.boards.leaderboard import leaderboard
from accord.benchmark.boards.tables import lay_out
from accord.benchmark.evaluation.context import Context
from accord.benchmark.evaluation.evaluate import evaluate
from accord.benchmark.launch.runner import run
from accord.benchmark.records.provenance import provenance_here
from accord.benchmark.records.record import Record
from accord.benchmark.seeding import seeded
from accord.benchmark.specs.resolved import resolve_run
from accord.benchmark.specs.run import EffortSpec, make_run
from accord.envs.catalogue import resolve_district
from accord.envs.errors import UsageError
from accord.envs.task import Step

BASE = "campus_seven/two_groups/hourly-0.35"
EFFORT = EffortSpec(steps=1000)


def test_the_second_half_is_measured_under_the_new_level_and_the_rest_warms_up_under_the_old() -> None:
    changed, base = resolve_district(f"{BASE}~0.3"), resolve_district(BASE)
    assert changed.district.measured == (1824, 2904)
    before = changed.trained_on
    assert (before.address, before.budget_name, before.level) == (base.address, base.budget_name, base.level)
    assert before.district.digest == base.district.digest
    assert changed.budgets()[0].limit == pytest.approx(base.budgets()[0].limit * 0.3 / 0.35)


def test_a_changed_tariff_runs_twelve_hours_late_and_only_in_the_second_half() -> None:
    changed, base = resolve_district(f"{BASE}~tariff"), resolve_district(BASE)
    assert torch.equal(changed.district.price[12:], base.district.price[:-12])
    assert torch.equal(changed.trained_on.district.price, base.district.price)
    assert changed.level == base.level


class Watcher(Controller):
    """Serves everything and notes which limit and price it sees."""

    def __init__(self) -> None:
        self.limits: list[float] = []
        self.prices: list[float] = []

    def act(self, step: Step) -> torch.Tensor:
        self.limits.append(float(self.spec.limits[0]))
        self.prices.append(float(step.obs[0, 0, self.spec.obs_fields["price"].where]))
        return torch.ones(*step.reward.shape, 2)


@pytest.mark.parametrize("change", ["0.3", "tariff"])
def test_a_controller_meets_the_change_after_the_warm_up_without_being_reset(change: str) -> None:
    scenario, watcher = resolve_district(f"{BASE}~{change}"), Watcher()
    evaluate(scenario, watcher, Context(), seeded(0, "evaluate"))
    base = scenario.trained_on
    limits = [base.budgets()[0].limit] * 1824 + [scenario.budgets()[0].limit] * 1080
    assert watcher.limits == pytest.approx(limits)
    prices = torch.cat([base.district.price[:1824], scenario.district.price[1824:2904]]) / base.district.mean_price
    assert watcher.prices == pytest.approx(prices.tolist(), rel=1e-5)


@pytest.mark.parametrize("name", ["consensus-gossip", "mappo-augmented"])
def test_multipliers_stay_where_they_are_and_aim_at_the_new_level_from_then_on(name: str) -> None:
    scenario = resolve_district(f"{BASE}~0.3")
    task, after = scenario.trained_on.task(), scenario.task().spec
    moved = []
    dual = {"unit": "base_load", "alpha": 0.15, "tighten": 0.03}
    settings = {"dual": dual} if name.startswith("consensus") else {"constraints": {"dual": dual}}
    for spec in (task.spec, after):
        controller = make_method(name, settings).build(task, seeded(0, "train"))
        controller.reset(RolloutStart(task.spec, scenario.network(), 1, seeded(0, "evaluate")))
        step = task.reset(1, seeded(0, "evaluate"), start=744)
        before = controller.diagnostics()["multipliers"]
        # On to an hour whose budget has a price, so that no projection hides the step.
        while before[..., step.active[0, 0].argmax()].min() < 0.1:
            step = task.step(torch.ones(1, 7, 2))
            controller.feedback(step)
            before = controller.diagnostics()["multipliers"].clone()
        controller.change(spec)
        assert torch.equal(controller.diagnostics()["multipliers"], before)
        controller.feedback(task.step(torch.ones(1, 7, 2)))
        moved.append(controller.diagnostics()["multipliers"].mean(1) - before.mean(1))
    # One share for each of the agents: the step of the hour that counts is larger by α times what is missing.
    less = (task.spec.limits[0] - after.limits[0]) / 7 / task.spec.usage_scale * (1 - dual["tighten"])
    assert float((moved[1] - moved[0]).max()) == pytest.approx(float(dual["alpha"] * less), rel=1e-3)


def test_a_table_says_where_policies_of_another_district_were_trained() -> None:
    spec = make_run("homes_17/ring/hourly-0.27", "consensus-gossip", 0, effort=EFFORT, trained_on=BASE)
    record = Record(spec=spec, status="done", error="", metrics={}, provenance=provenance_here())
    own = record.model_copy(update={"spec": spec.model_copy(update={"trained_on": ""})})
    said = f"trained on `{BASE}`"
    assert said in lay_out([record], leaderboard([record])).tables[0].opening
    assert said not in lay_out([own], leaderboard([own])).tables[0].opening


@pytest.mark.parametrize("method", ["consensus-gossip", "mappo-augmented", "mappo-lagrangian"])
def test_what_changes_and_where_it_runs_does_not_change_what_was_trained(method: str) -> None:
    at_base = resolve_run(make_run(BASE, method, 0, effort=EFFORT)).policy
    assert resolve_run(make_run(f"{BASE}~0.3", method, 0, effort=EFFORT)).policy == at_base
    assert resolve_run(make_run(f"{BASE}~tariff", method, 0, effort=EFFORT)).policy == at_base
    elsewhere = make_run("homes_17/ring/hourly-0.27", method, 0, effort=EFFORT, trained_on=BASE)
    assert resolve_run(elsewhere).policy == at_base
    assert resolve_run(elsewhere.model_copy(update={"trained_on": ""})).policy != at_base


def test_a_policy_of_one_district_runs_another(tmp_path) -> None:
    settings = {"lanes": 14, "ppo": {"hidden": [8], "minibatch": 336}}
    record = run(
        "mixed_9/ring/average-0.4", "mappo-lagrangian", settings=settings, steps=700, root=tmp_path, trained_on=BASE
    )
    # Twenty-four multipliers do not fit a single budget: that is an answer, not a crash.
    assert record.status == "failed"
    assert "multipliers" in record.error
    other = run(
        "mixed_9/ring/hourly-0.4", "mappo-lagrangian", settings=settings, steps=700, root=tmp_path, trained_on=BASE
    )
    assert other.status == "done"
    assert other.metrics["n_agents"] == 9


@pytest.mark.parametrize("word", ["hourly-0.35~", "hourly-0.35~0", "hourly-0.35~much", "hourly-0.35~0.3~0.2"])
def test_a_change_without_meaning_is_refused_in_one_line(word: str) -> None:
    with pytest.raises(UsageError, match="after ~ must be a level above 0 or the word tariff"):
        resolve_district(f"campus_seven/ring/{word}")


@pytest.mark.parametrize(
    ("faults", "low", "high"),
    [("", -1e-6, 1e-6), ("+loss-0.5", -1e-6, 1e-6), ("+liar_adds--0.005", -0.2, -0.05), ("+rounding-0.25", -0.4, -0.1)],
)
def test_a_ledger_tells_what_faults_of_a_network_move(faults: str, low: float, high: float) -> None:
    scenario = resolve_district(f"campus_seven/two_groups{faults}/hourly-0.35")
    controller = make_method("price_taker").build(scenario.task(), seeded(0, "t"))
    found = evaluate(scenario, controller, Context(top_price=1.0), seeded(0, "t")).metrics
    drift, error = found["talk_drift"], found["ledger_error"]
    assert isinstance(drift, float)
    assert isinstance(error, float)
    assert low < drift < high
    assert error < 1e-6
    assert (found["violation"] == 0) == (drift > -0.05)
    bound, apart = found["consensus_error_bound"], found["consensus_error"]
    assert (bound is None) == (faults not in ("", "+loss-0.5"))
    assert isinstance(apart, float)
    assert bound is None or (isinstance(bound, float) and apart <= bound)
