"""What lies on disk: complete or absent, and refused in one line where it is of another version."""

from pathlib import Path

import pytest
import torch
from helpers.records import record
from helpers.sharing import Side, save_and_load

from accord.benchmark.launch.runner import execute
from accord.benchmark.records import store as store_module
from accord.benchmark.records.identity import policy_here
from accord.benchmark.records.sealed import seal_json
from accord.benchmark.records.store import CHECKPOINT, PolicyFolder, Store
from accord.benchmark.specs.resolved import Identity, resolve_run
from accord.benchmark.specs.run import EffortSpec, make_run
from accord.envs.errors import UsageError

ADDRESS = "synthetic_7-week/ring/average-0.4"
SMALL = {"copies": 2, "agents": 2, "ppo": {"hidden": [8], "minibatch": 96, "epochs": 1}}
EFFORT = EffortSpec(steps=200, seconds=3_600)


def test_a_half_written_record_is_no_record(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(tmp_path)
    record = execute(resolve_run(make_run(ADDRESS, "oracle", 0)), store)
    half = tmp_path / "records" / ".half-x"
    half.mkdir()
    (half / "record.json").write_text("{")
    assert store.records() == [record]
    path = store.folder(record.spec) / "record.json"
    path.write_bytes(seal_json({}))
    with caplog.at_level("WARNING", "accord"):
        assert store.records() == []
    assert f"{path}: not a record of this version" in caplog.text
    with pytest.raises(UsageError, match="not a record of this version"):
        store.load(record.spec)


def test_an_unfinished_training_of_another_version_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, wanted = Store(tmp_path), make_run(ADDRESS, "consensus-gossip", 0, settings=SMALL, effort=EFFORT)
    checkpoint = store.policy(policy_here(resolve_run(wanted))).path / "checkpoint.pt"
    PolicyFolder(checkpoint.parent).save({"curve": [], "rollouts": 3})
    monkeypatch.setattr(store_module, "CHECKPOINT", CHECKPOINT + 1)
    record = execute(resolve_run(wanted), store)
    assert record.status == "failed"
    assert str(checkpoint) in record.error
    assert "without this file it begins anew" in record.error
    checkpoint.unlink()
    assert execute(resolve_run(wanted), store).status == "done"


def test_a_run_without_traces_has_none(tmp_path: Path) -> None:
    store, made = Store(tmp_path), record()
    assert store.traces(made.spec) == {}
    store.save(made, {})
    assert store.traces(made.spec) == {}


def test_a_record_that_holds_is_not_replaced(tmp_path: Path) -> None:
    store, failed, first, second = Store(tmp_path), record(status="failed"), record(cost=1.0), record(cost=2.0)
    other = first.model_copy(update={"identity": Identity(data="", network="", code="changed")})
    late = record(status="out of time")
    turns = [(failed, failed), (late, late), (first, late), (other, other), (failed, failed), (first, first)]
    for saved, kept in [*turns, (second, first), (failed, first), (late, first)]:
        assert store.save(saved, {}) == kept
        assert store.load(saved.spec) == kept


def test_many_processes_save_and_load_at_once(tmp_path: Path) -> None:
    sides = [Side(save_and_load, tmp_path, process, 100) for process in range(4)]
    assert [side.pipe.recv() for side in sides] == [0] * 4
    assert len(Store(tmp_path).records()) == 3
    assert not [path for path in (tmp_path / "records").iterdir() if path.name.startswith(".")]


def test_a_policy_folder_starts_empty(tmp_path: Path) -> None:
    folder = PolicyFolder(tmp_path / "p")
    assert folder.load() is None
    assert folder.finished() is None


def test_what_a_gpu_has_left_is_read_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Store(tmp_path).policy("p-t")
    with monkeypatch.context() as elsewhere:  # tensors say in the file where they were
        elsewhere.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
        folder.save({"training": torch.arange(3)})
        folder.finish({"state": torch.arange(4)})
    found = folder.finished()
    assert found is not None
    assert found["state"].tolist() == [0, 1, 2, 3]
    assert found["state"].device.type == "cpu"
