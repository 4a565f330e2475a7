"""What lies on disk: complete or absent, and refused in one line where it is of another version."""

from pathlib import Path

import pytest

from accord.benchmark.launch.runner import execute
from accord.benchmark.records import store as store_module
from accord.benchmark.records.identity import policy_here
from accord.benchmark.records.sealed import seal_json
from accord.benchmark.records.store import CHECKPOINT, PolicyFolder, Store
from accord.benchmark.specs.resolved import resolve_run
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


def test_a_policy_folder_starts_empty(tmp_path: Path) -> None:
    folder = PolicyFolder(tmp_path / "p")
    assert folder.load() is None
    assert folder.finished() is None
