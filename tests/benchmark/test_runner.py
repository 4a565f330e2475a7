from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.base import Controller, Effort
from baselines.dual import DualConfig, Multipliers
from baselines.registry import METHODS, register
from benchmark.evaluate import evaluate
from benchmark.metrics import CLOCKED, Context
from benchmark.runner import execute, prepare_context, prepare_policy, run, seeded
from benchmark.specs import EffortSpec, RunSpec, make_run
from benchmark.store import PolicyFolder, Store, training_digest
from envs.catalogue import resolve
from envs.errors import UsageError
from envs.task import Step

SMALL: dict[str, Any] = {"copies": 4, "agents": 4, "ppo": {"hidden": [16], "minibatch": 192}}
ADDRESS = "paper_seven/two_groups/average-0.27"


def spec(
    address: str = ADDRESS,
    method: str = "consensus-gossip",
    seed: int = 0,
    steps: int = 6000,
    seconds: float = 60.0,
    **settings: Any,
) -> RunSpec:
    return make_run(address, method, seed, settings=SMALL | settings, effort=EffortSpec(steps=steps, seconds=seconds))


def test_two_runs_of_one_spec_are_identical_bit_for_bit(tmp_path: Path) -> None:
    stores = Store(tmp_path / "a"), Store(tmp_path / "b")
    first, second = (execute(spec(actions="sampled"), store) for store in stores)
    assert first.status == second.status == "done"
    assert first.metrics.keys() == second.metrics.keys()
    different = [name for name in first.metrics if first.metrics[name] != second.metrics[name]]
    assert set(different) <= set(CLOCKED)
    traces = [store.traces(first.spec) for store in stores]
    assert {"multipliers", "import_kwh", "waiting_load", "district_import_kwh"} <= set(traces[0])
    for name in traces[0]:
        np.testing.assert_array_equal(traces[0][name], traces[1][name], strict=True)


def test_a_record_holds_what_its_result_depends_on(tmp_path: Path) -> None:
    record = execute(spec(method="serve_now"), Store(tmp_path))
    again = Store(tmp_path).load(record.spec)
    assert again == record
    assert record.provenance.data_digest == resolve(ADDRESS).district.digest
    assert record.provenance.packages["torch"] == torch.__version__
    assert record.metrics["n_agents"] == 7
    assert record.metrics["train_steps"] == 0


@pytest.mark.parametrize(
    "other",
    [
        spec("paper_seven/two_groups/average-0.4"),
        spec("paper_seven/star/average-0.27"),
        spec(method="consensus-primal_dual"),
        spec(dual={"alpha": 0.05, "rounds": 3}),
        spec(actions="sampled"),
    ],
    ids=["level", "network", "rule", "steps", "actions"],
)
def test_runs_that_differ_in_execution_share_a_policy(other: RunSpec) -> None:
    assert other.digest != spec().digest
    assert training_digest(other) == training_digest(spec())


@pytest.mark.parametrize(
    "other",
    [
        spec("campus_seven/two_groups/average-0.27"),
        spec("paper_seven/two_groups/hourly-0.27"),
        spec(seed=1),
        spec(steps=7000),
        spec(copies=5),
    ],
    ids=["district", "budget hours", "seed", "effort", "setting"],
)
def test_runs_that_differ_in_training_do_not_share_a_policy(other: RunSpec) -> None:
    assert training_digest(other) != training_digest(spec())


def test_a_policy_is_trained_once_for_all_runs_that_share_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    execute(spec(), store)
    file = store.policy(training_digest(spec())).path / "policy.pt"
    before = file.stat().st_mtime_ns
    record = execute(spec("paper_seven/star/average-0.3"), store)
    assert record.policy == training_digest(spec())
    assert file.stat().st_mtime_ns == before
    assert [path.name for path in (tmp_path / "policies").iterdir()] == [record.policy]


class StopError(Exception):
    """Raised by a test in the middle of a training."""


def test_an_interrupted_training_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole, parted = Store(tmp_path / "whole"), Store(tmp_path / "parted")
    prepare_policy(spec(), whole)

    def stop(row: Mapping[str, float]) -> None:
        if row["steps"] > 3500:
            raise StopError

    with pytest.raises(StopError):
        prepare_policy(spec(), parted, stop)
    folder = parted.policy(training_digest(spec()))
    kept = folder.load()
    assert kept is not None
    assert 0 < kept["curve"][-1]["steps"] <= 3500
    assert folder.finished() is None

    logged: list[float] = []
    prepare_policy(spec(), parted, lambda row: logged.append(row["steps"]))
    assert logged[0] > kept["curve"][-1]["steps"]
    assert folder.load() is None
    policies = [store.policy(training_digest(spec())).finished() for store in (whole, parted)]
    first, second = policies
    assert first is not None
    assert second is not None
    assert first["finished"]
    assert second["finished"]
    for name, tensor in first["state"]["actor_0"].items():
        assert torch.equal(tensor, second["state"]["actor_0"][name]), name
    untimed = [[{k: v for k, v in row.items() if k != "seconds"} for row in p["curve"]] for p in (first, second)]
    assert untimed[0] == untimed[1]


def test_a_training_that_hits_its_limit_is_a_row_with_what_it_reached(tmp_path: Path) -> None:
    record = execute(spec(steps=100_000_000, seconds=0.3), Store(tmp_path))
    assert record.status == "out of time"
    assert "of 100000000 agent-steps" in record.error
    assert 0 < float(record.metrics["train_steps"] or 0) < 1e8
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
    record = run("paper_seven/ring/average-0.27", "serve_now", root=tmp_path)
    assert record.summary["violation"] == 0.0
    with pytest.raises(UsageError, match="unknown method"):
        run("paper_seven/ring/average-0.27", "serve_later", root=tmp_path)


class Watcher(Controller):
    """Asks for nothing in the warm-up, then for everything; notes what it saw."""

    def __init__(self) -> None:
        self.waiting: list[float] = []
        self.stored: list[float] = []
        self.level: list[float] = []

    def reset(self, *args: Any, **others: Any) -> None:
        super().reset(*args, **others)
        self.multipliers = Multipliers("gossip", DualConfig(alpha=0.5), self.spec, self.network, 1)

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


def test_generators_of_different_purposes_are_independent() -> None:
    draws = {(s, p): torch.rand(1, generator=seeded(s, p)).item() for s in (0, 1) for p in ("train", "evaluate")}
    assert len(set(draws.values())) == 4
    assert draws[0, "train"] == torch.rand(1, generator=seeded(0, "train")).item()


def test_a_half_written_record_is_no_record(tmp_path: Path) -> None:
    store = Store(tmp_path)
    record = execute(spec(method="oracle"), store)
    half = tmp_path / "records" / ".half-x"
    half.mkdir()
    (half / "record.json").write_text("{")
    assert store.records() == [record]
    (store.folder(record.spec) / "record.json").write_text("{}")
    with pytest.raises(UsageError, match="not a record of this version"):
        store.records()


def test_the_comparison_of_a_scenario_does_not_depend_on_its_network(tmp_path: Path) -> None:
    store = Store(tmp_path)
    context = prepare_context(spec(), store)
    assert context.oracle == "feasible"
    assert store.load_context(resolve("paper_seven/star/average-0.27")) == context
    assert store.load_context(resolve("paper_seven/star/average-0.3")) is None


def test_a_policy_folder_starts_empty(tmp_path: Path) -> None:
    folder = PolicyFolder(tmp_path / "p")
    assert folder.load() is None
    assert folder.finished() is None
    assert Effort(1, 2.0) == EffortSpec(steps=1, seconds=2.0).effort()
