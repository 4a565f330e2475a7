from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from accord.baselines.base import Controller, Method, RolloutStart, Training
from accord.baselines.multipliers.moving import DualConfig, Multipliers
from accord.baselines.registry import METHODS, register
from accord.benchmark.evaluation.context import Context
from accord.benchmark.evaluation.evaluate import evaluate
from accord.benchmark.evaluation.metrics import METRICS
from accord.benchmark.launch.runner import execute, prepare_policy, run
from accord.benchmark.records.identity import policy_here
from accord.benchmark.records.store import Store
from accord.benchmark.seeding import seeded
from accord.benchmark.specs.resolved import resolve_run
from accord.benchmark.specs.run import EffortSpec, RunSpec, make_run
from accord.envs.catalogue import resolve, resolve_district
from accord.envs.errors import UsageError
from accord.envs.task import Step

SMALL: dict[str, Any] = {"copies": 4, "agents": 4, "ppo": {"hidden": [16], "minibatch": 192}}
ADDRESS = "synthetic_7-week/two_groups/average-0.4"
PAPER = "paper_seven/two_groups/average-0.27"  # whose episodes are short

CLOCKED = {name for name, entry in METRICS.items() if entry.clocked}


def spec(
    address: str = ADDRESS,
    method: str = "consensus-gossip",
    seed: int = 0,
    steps: int = 6000,
    seconds: float = 3_600.0,
    snapshots: int = 0,
    **settings: Any,
) -> RunSpec:
    effort = EffortSpec(steps=steps, seconds=seconds, snapshots=snapshots)
    learns = method in METHODS and METHODS[method].method.learns
    return make_run(address, method, seed, settings=SMALL | settings if learns else settings, effort=effort)


def test_two_runs_of_one_spec_are_identical_bit_for_bit(tmp_path: Path) -> None:
    stores = Store(tmp_path / "a"), Store(tmp_path / "b")
    first, second = (execute(resolve_run(spec(actions="sampled")), store) for store in stores)
    assert first.status == second.status == "done"
    assert first.metrics.keys() == second.metrics.keys()
    different = [name for name in first.metrics if first.metrics[name] != second.metrics[name]]
    assert set(different) <= CLOCKED
    traces = [store.traces(first.spec) for store in stores]
    assert {"multipliers", "import_kwh", "waiting_load", "district_import_kwh"} <= set(traces[0])
    for name in traces[0]:
        np.testing.assert_array_equal(traces[0][name], traces[1][name], strict=True)


def test_a_record_holds_what_its_result_depends_on(tmp_path: Path) -> None:
    record = execute(resolve_run(spec(method="serve_now")), Store(tmp_path))
    again = Store(tmp_path).load(record.spec)
    assert again == record
    assert record.provenance.data_digest == resolve(ADDRESS).district.digest
    assert record.provenance.packages["torch"] == torch.__version__
    assert record.metrics["n_agents"] == 7
    assert record.metrics["train_steps"] == 0


@pytest.mark.parametrize(
    "other",
    [
        spec("synthetic_7-week/two_groups/average-0.5"),
        spec("synthetic_7-week/star/average-0.4"),
        spec(method="consensus-primal_dual"),
        spec(dual={"alpha": 0.05, "rounds": 3}),
        spec(actions="sampled"),
    ],
    ids=["level", "network", "rule", "steps", "actions"],
)
def test_runs_that_differ_in_execution_share_a_policy(other: RunSpec) -> None:
    assert other.digest != spec().digest
    assert resolve_run(other).policy == resolve_run(spec()).policy


@pytest.mark.parametrize(
    "other",
    [
        spec("campus_seven/two_groups/average-0.4"),
        spec("synthetic_7-week/two_groups/hourly-0.4"),
        spec(seed=1),
        spec(steps=7000),
        spec(copies=5),
    ],
    ids=["district", "budget hours", "seed", "effort", "setting"],
)
def test_runs_that_differ_in_training_do_not_share_a_policy(other: RunSpec) -> None:
    assert resolve_run(other).policy != resolve_run(spec()).policy


def test_a_policy_is_trained_once_for_all_runs_that_share_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    execute(resolve_run(spec()), store)
    file = store.policy(policy_here(resolve_run(spec()))).path / "policy.pt"
    before = file.stat().st_mtime_ns
    record = execute(resolve_run(spec("synthetic_7-week/star/average-0.5")), store)
    assert record.policy == resolve_run(spec()).policy
    assert file.stat().st_mtime_ns == before
    assert [path.name for path in (tmp_path / "policies").iterdir()] == [record.policy_name]


class StopError(Exception):
    """Raised by a test in the middle of a training."""


def test_an_interrupted_training_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole, parted, wanted = Store(tmp_path / "whole"), Store(tmp_path / "parted"), spec(PAPER, snapshots=4)
    prepare_policy(resolve_run(wanted), whole)

    def stop(row: Mapping[str, float]) -> None:
        if row["steps"] > 3500:
            raise StopError

    with pytest.raises(StopError):
        prepare_policy(resolve_run(wanted), parted, stop)
    folder = parted.policy(policy_here(resolve_run(wanted)))
    kept = folder.load()
    assert kept is not None
    assert 0 < kept["curve"][-1]["steps"] <= 3500
    assert folder.finished() is None

    logged: list[float] = []
    prepare_policy(resolve_run(wanted), parted, lambda row: logged.append(row["steps"]))
    assert logged[0] > kept["curve"][-1]["steps"]
    assert folder.load() is None
    policies = [store.policy(policy_here(resolve_run(wanted))).finished() for store in (whole, parted)]
    first, second = policies
    assert first is not None
    assert second is not None
    assert first["finished"]
    assert second["finished"]
    for name, tensor in first["state"]["actor_0"].items():
        assert torch.equal(tensor, second["state"]["actor_0"][name]), name
    untimed = [[{k: v for k, v in row.items() if "seconds" not in k} for row in p["curve"]] for p in (first, second)]
    assert untimed[0] == untimed[1]
    assert [row["steps"] for row in first["snapshots"]] == [row["steps"] for row in second["snapshots"]]
    assert len(first["snapshots"]) == 4
    for ours, theirs in zip(first["snapshots"], second["snapshots"], strict=True):
        for module, tensors in ours["state"].items():
            for name, tensor in tensors.items():
                assert torch.equal(tensor, theirs["state"][module][name]), name
    assert folder.load_snapshots() == []


def test_a_training_that_hits_its_limit_is_a_row_with_what_it_reached(tmp_path: Path) -> None:
    record = execute(resolve_run(spec(steps=100_000_000, seconds=0.3)), Store(tmp_path))
    assert record.status == "out of time"
    assert "of 100000000 agent-steps" in record.error
    assert 0 < float(record.metrics["train_steps"] or 0) < 1e8
    assert record.metrics["learned_steps"] == record.metrics["train_steps"]
    assert record.metrics["verdict"] in ("feasible", "violates", "postpones", "both")


@pytest.fixture
def registered() -> Iterator[None]:
    """Forget every method that a test registers."""
    before = dict(METHODS)
    yield
    METHODS.clear()
    METHODS.update(before)


@pytest.mark.usefixtures("registered")
def test_what_goes_wrong_is_a_row_and_is_tried_again(tmp_path: Path) -> None:
    calls = []

    class Fragile(METHODS["serve_now"].method):  # type: ignore[misc]
        def train(self, *args: Any) -> Controller:
            calls.append(args)
            if len(calls) == 1:
                raise ValueError("two\nlines")
            if len(calls) == 2:
                raise MemoryError("no more")
            controller: Controller = super().train(*args)
            return controller

    register("fragile", "nothing")(Fragile)
    first = run(ADDRESS, "fragile", root=tmp_path)
    assert first.status == "failed"
    assert first.error.startswith("ValueError: two lines (test_runner.py:")
    assert first.metrics == {"n_agents": 7}
    second = run(ADDRESS, "fragile", root=tmp_path)
    assert (second.status, second.error) == ("out of memory", "no more")
    assert run(ADDRESS, "fragile", root=tmp_path) == second
    assert len(calls) == 2


@pytest.mark.usefixtures("registered")
def test_a_controller_whose_numbers_diverge_is_a_failed_row_and_not_a_feasible_one(tmp_path: Path) -> None:
    class Diverged(Controller):
        def act(self, step: Step) -> torch.Tensor:
            return torch.full((*step.reward.shape, 2), torch.nan)

    class Diverges(METHODS["serve_now"].method):  # type: ignore[misc]
        def build(self, *args: Any) -> Controller:
            return Diverged()

    register("diverges", "nothing")(Diverges)
    record = run(ADDRESS, "diverges", root=tmp_path)
    assert record.status == "failed"
    assert "not finite" in record.error
    assert "feasible" not in record.metrics


def test_a_run_of_one_is_three_lines_of_python(tmp_path: Path) -> None:
    record = run("synthetic_7-week/ring/average-0.9", "serve_now", root=tmp_path)
    assert record.summary["violation"] == 0.0
    with pytest.raises(UsageError, match="unknown method"):
        run("synthetic_7-week/ring/average-0.9", "serve_later", root=tmp_path)


class Watcher(Controller):
    """Asks for nothing in the warm-up, then for everything; notes what it saw."""

    def __init__(self) -> None:
        self.waiting: list[float] = []
        self.stored: list[float] = []
        self.level: list[float] = []

    def reset(self, start: RolloutStart) -> None:
        super().reset(start)
        self.multipliers = Multipliers("gossip", DualConfig(alpha=0.5), start)

    def act(self, step: Step) -> Tensor:
        self.waiting.append(float(step.measures["waiting_load"].sum()))
        self.stored.append(float(step.measures["soc"].sum()))
        self.level.append(float(self.multipliers.lam.sum()))
        return torch.full((1, self.spec.n_agents, 2), 0.5)

    def feedback(self, step: Step) -> None:
        self.multipliers.update(step)


def test_a_warm_up_keeps_the_multipliers_and_resets_the_plant() -> None:
    scenario, watcher = resolve("campus_seven/two_groups/hourly-0.25"), Watcher()
    found = evaluate(scenario, watcher, Context(demand_peak=1.0, top_price=1.0), seeded(0, "t"))
    warm = 744
    assert len(watcher.waiting) == warm + 2160
    assert found.trajectory.hours == 2160
    assert len(found.traces["district_import_kwh"]) == 2160
    assert watcher.waiting[0] == watcher.stored[0] == watcher.level[0] == 0.0
    assert watcher.waiting[warm - 1] > 0
    assert watcher.stored[warm - 1] > 0
    assert watcher.waiting[warm] == watcher.stored[warm] == 0.0
    assert watcher.level[warm] > 0


def test_a_learning_curve_is_measured_on_the_validation_hours_and_ends_at_the_policy(tmp_path: Path) -> None:
    store, address = Store(tmp_path), "synthetic_7-week/two_groups/hourly-0.6"
    record, plain = execute(resolve_run(spec(address, snapshots=3)), store), execute(resolve_run(spec(address)), store)
    traces, policy = store.traces(record.spec), store.policy(record.policy_name).finished()
    assert policy is not None
    steps = traces["curve_steps"]
    assert len(policy["snapshots"]) == len(steps) == 3
    assert all(steps[i] >= (i + 1) / 3 * 6000 for i in range(3))
    assert (np.diff(steps) > 0).all()
    assert (np.diff(traces["curve_seconds"]) > 0).all()
    scenario = resolve_district(address)
    context = store.load_context(scenario.validation)
    assert context is not None
    assert context.oracle == "feasible"
    entry = METHODS[record.spec.method].method
    controller = entry(entry.config_type(**record.spec.config)).build(scenario.task(), seeded(0, "t"))
    controller.load_state_dict(policy["state"])
    end = evaluate(scenario.validation, controller, context, seeded(0, "t")).metrics
    assert traces["curve_gap"][-1] == end["optimality_gap"]
    assert traces["curve_violation"][-1] == end["violation"]
    # Looking at a training on its way changes nothing of what comes out.
    assert {name for name in plain.metrics if plain.metrics[name] != record.metrics[name]} <= CLOCKED


class Fixed(Controller):
    """Both agents take the action that its only parameter names."""

    def __init__(self) -> None:
        self.linear = torch.nn.Linear(1, 1)

    def modules(self) -> dict[str, torch.nn.Module]:
        return {"linear": self.linear}

    def act(self, step: Step) -> Tensor:
        return self.linear.bias.detach().long().expand(len(step.obs), 2)[..., None]


class Learner(Method):
    """Finds the better joint action of the two-step game half way through its training."""

    learns = True

    def build(self, task: Any, generator: torch.Generator) -> Controller:
        return Fixed()

    def train(self, task: Any, network: Any, training: Training) -> Controller:
        controller, steps = Fixed(), training.effort.steps
        for done in range(1, 5):
            controller.linear.bias.data.fill_(float(done > 2))
            training.log({"steps": steps * done / 4, "seconds": float(done)})
            training.checkpoint.snapshot(done / 4, steps * done // 4, float(done), controller.state_dict)
        return controller


@pytest.mark.usefixtures("registered")
def test_an_episodic_run_has_a_return_and_a_curve_of_returns(tmp_path: Path) -> None:
    register("learner", "nothing")(Learner)
    effort = EffortSpec(steps=400, seconds=9.0, snapshots=4)
    record = execute(resolve_run(make_run("games/two_step", "learner", 0, effort=effort)), Store(tmp_path))
    assert (record.status, record.error) == ("done", "")
    assert record.metrics["episode_return"] == 8
    assert record.metrics["n_agents"] == 2
    assert record.metrics["oracle"] is None
    traces = Store(tmp_path).traces(record.spec)
    assert traces["curve_return"].tolist() == [7, 7, 8, 8]
    assert traces["curve_steps"].tolist() == [100, 200, 300, 400]
    assert "curve_gap" not in traces
    assert not (tmp_path / "contexts").exists()


@pytest.mark.usefixtures("registered")
def test_a_curve_keeps_the_first_offer_past_each_of_its_points(tmp_path: Path) -> None:
    register("learner", "nothing")(Learner)
    effort = EffortSpec(steps=400, seconds=9.0, snapshots=3)
    record = execute(resolve_run(make_run("games/two_step", "learner", 0, effort=effort)), Store(tmp_path))
    assert Store(tmp_path).traces(record.spec)["curve_steps"].tolist() == [200, 300, 400]


def test_a_policy_from_before_there_were_curves_serves_a_run_with_one(tmp_path: Path) -> None:
    store, wanted = Store(tmp_path), resolve_run(spec(snapshots=2))
    policy = prepare_policy(wanted, store)
    assert policy is not None
    store.policy(policy_here(wanted)).finish({name: value for name, value in policy.items() if name != "snapshots"})
    record = execute(wanted, store)
    assert (record.status, record.error) == ("done", "")


def test_settings_of_another_version_are_named() -> None:
    old = spec().model_copy(update={"config": {"no_such": 1}})
    with pytest.raises(UsageError, match=r"consensus-gossip.* settings of another version: unknown key 'no_such'"):
        resolve_run(old)
    with pytest.raises(UsageError, match="unknown method 'nobody'"):
        resolve_run(spec().model_copy(update={"method": "nobody"}))
