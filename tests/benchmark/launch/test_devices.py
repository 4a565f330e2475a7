"""Runs on a GPU, pretended where there is none: their numbers, their place in the store and in tables."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.pretended_gpu import GPU, pretended_gpu
from helpers.records import FEASIBLE, record

from accord.benchmark import run
from accord.benchmark.boards.leaderboard import leaderboard, read_runs, write_runs
from accord.benchmark.evaluation.metrics import METRICS
from accord.benchmark.launch.runner import execute
from accord.benchmark.records.record import Record
from accord.benchmark.records.store import Store
from accord.benchmark.report.reproduce import compare
from accord.benchmark.specs import resolved
from accord.benchmark.specs.resolved import resolve_run
from accord.benchmark.specs.run import Device, EffortSpec, RunSpec, make_run
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError
from accord.envs.scenario import Hours

WEEK = "synthetic_4-week/ring/average-0.4"
SMALL: dict[str, dict[str, Any]] = {
    "consensus-gossip": {"copies": 2, "agents": 2, "ppo": {"hidden": [4], "epochs": 1, "rollout_steps": 24}},
    "ippo": {"lanes": 8, "ppo": {"hidden": [4], "epochs": 1}},  # so small that a processor does not part it either
    "rule_based": {"shares": [0.5], "patience": [1.0], "hours": 24},
}
CLOCKED = {name for name, entry in METRICS.items() if entry.clocked}


def spec(device: Device, method: str = "consensus-gossip", address: str = WEEK) -> RunSpec:
    # A learning curve over hours is drawn on many of them.
    effort = EffortSpec(steps=200, seconds=3_600, snapshots=int(address.startswith("games")))
    return make_run(address, method, 0, settings=SMALL.get(method), effort=effort, device=device)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """`cuda` is the pretended one."""
    there = {"cpu": torch.device("cpu"), "cuda": GPU}
    monkeypatch.setattr(resolved, "device_of", lambda device, name="": there[device])


def both(store: Store, method: str = "consensus-gossip", address: str = WEEK) -> tuple[Record, Record]:
    """The records of both devices, over a day of the measured hours where there are any."""
    scenario = resolve(address)
    if isinstance(scenario.protocol, Hours):
        scenario = scenario.over(Hours(scenario.protocol.training, 5_832, (5_856, 5_880)))
    here = execute(resolve_run(spec("cpu", method, address), scenario), store)
    with pretended_gpu():
        there = execute(resolve_run(spec("cuda", method, address), scenario), store)
    assert (here.error, there.error) == ("", "")
    return here, there


def measured(record: Record) -> dict[str, Any]:
    return {name: value for name, value in record.metrics.items() if name not in CLOCKED}


@pytest.mark.parametrize(
    ("method", "address"),
    [("consensus-gossip", WEEK), ("rule_based", WEEK), ("ippo", "games/climbing")],
)
def test_a_run_on_a_gpu_is_the_processors_and_stands_beside_it(
    gpu: None, tmp_path: Path, method: str, address: str
) -> None:
    store = Store(tmp_path)
    here, there = both(store, method, address)
    assert measured(here) == measured(there)
    kept = [store.load(spec(device, method, address)) for device in ("cpu", "cuda")]
    assert kept == [here, there]
    assert here.spec.digest != there.spec.digest
    arrays, others = store.traces(here.spec), store.traces(there.spec)
    arrays.pop("curve_seconds", None)
    for name in arrays:
        np.testing.assert_array_equal(arrays[name], others[name], strict=True)


def test_policies_are_apart_and_so_are_rows(gpu: None, tmp_path: Path) -> None:
    records = here, there = both(Store(tmp_path))
    assert here.policy != there.policy
    assert here.policy_name != there.policy_name
    write_runs(records, tmp_path / "runs.parquet")
    rows = leaderboard(read_runs(tmp_path / "runs.parquet"))
    assert sorted(rows["setup"]) == ["", "on cuda"]
    assert [*leaderboard(records[1:])["setup"]] == ["on cuda"]  # beside other methods' rows of the processor too


def test_what_keeps_to_the_processor_is_one_run_whatever_is_asked_for() -> None:
    for method, address in [("lookahead", WEEK), ("oracle", WEEK), ("random", "mpe2/simple_spread_v3")]:
        specs = [make_run(address, method, 0, device=device, runs_here=False) for device in ("cpu", "cuda")]
        assert specs[0] == specs[1]


def test_a_rerun_on_a_gpu_need_not_agree_to_the_last_bit() -> None:
    here, moved = record(objective=2.0, import_peak=0.5, **FEASIBLE), {"import_peak": 1.0}
    there = here.model_copy(update={"spec": here.spec.model_copy(update={"device": "cuda"})})
    assert not compare(here, here.model_copy(update={"metrics": here.metrics | moved}), [here]).held
    seeds = [there.model_copy(update={"metrics": there.metrics | {"objective": float(n)}}) for n in (1, 2, 3)]
    found = compare(seeds[1], seeds[1].model_copy(update={"metrics": seeds[1].metrics | moved}), seeds)
    assert found.held
    assert "a GPU, which does not sum in one order" in found.how


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:1", "gpu", "meta", ""])
def test_a_device_that_is_not_here_is_said_before_anything_begins(tmp_path: Path, device: str) -> None:
    with pytest.raises(UsageError, match=f"^device '{device}': is not here; allowed on this machine: cpu$"):
        run(WEEK, "consensus-gossip", device=device, root=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
