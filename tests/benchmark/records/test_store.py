"""What lies on disk: complete or absent, and refused in one line where it is of another version."""

import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.records import record
from helpers.sharing import Side, save_and_load

from accord.benchmark.launch.runner import execute
from accord.benchmark.places import Place, place_from
from accord.benchmark.records import store as store_module
from accord.benchmark.records.identity import policy_here
from accord.benchmark.records.sealed import seal_json
from accord.benchmark.records.store import CHECKPOINT, PolicyFolder, Store
from accord.benchmark.specs.resolved import Identity, resolve_run
from accord.benchmark.specs.run import EffortSpec, make_run
from accord.benchmark.urls import Url
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


def test_records_are_in_the_order_of_their_seeds(root: Place) -> None:
    store, seeds = Store(root), [2, 10, 999_999, 1_000_000]
    for seed in seeds:
        store.save(record(seed=seed), {})
    assert [found.spec.seed for found in store.records()] == seeds


def test_a_run_without_traces_has_none(root: Place) -> None:
    store, made = Store(root), record()
    assert store.traces(made.spec) == {}
    store.save(made, {})
    assert store.traces(made.spec) == {}


def test_a_record_that_holds_is_not_replaced(root: Place) -> None:
    store, failed, first, second = Store(root), record(status="failed"), record(cost=1.0), record(cost=2.0)
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


def test_a_policy_folder_starts_empty(root: Place) -> None:
    folder = PolicyFolder(root / "p")
    assert folder.load() is None
    assert folder.finished() is None


def test_a_new_record_leaves_nothing_of_the_old_one(root: Place) -> None:
    store, made = Store(root), record(status="failed")
    store.save(made, {"district_import_kwh": np.arange(5.0)})
    store.mark_tracked(made.spec)
    assert store.tracked(made.spec)
    store.mark_leaderboard_tracked("hand", "state")
    assert (store.tracked_leaderboard("hand"), store.tracked_leaderboard("other")) == ("state", "")
    again = record(cost=1.0)
    store.save(again, {})
    assert (store.load(made.spec), store.traces(made.spec), store.tracked(made.spec)) == (again, {}, False)
    assert store.records() == [again]
    assert not list((root / "leases").glob("*"))


@pytest.mark.parametrize("writes", range(6))
def test_behind_a_url_a_record_that_was_cut_short_is_absent(writes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is changed last, there is the whole record or none, never one with arrays of another."""
    store = Store(place_from(f"memory://{uuid.uuid4().hex}"))
    old, new = record(status="failed"), record(cost=1.0)
    store.save(old, {"district_import_kwh": np.zeros(5)})
    left = [writes]

    def cut(change: Callable[..., None]) -> Callable[..., None]:
        def until(url: Url, *given: Any, **named: Any) -> None:
            if "records" in str(url):
                left[0] -= 1
                if left[0] < 0:
                    raise KeyboardInterrupt
            change(url, *given, **named)

        return until

    with monkeypatch.context() as patch:
        for name in ("write", "unlink"):
            patch.setattr(Url, name, cut(getattr(Url, name)))
        with suppress(KeyboardInterrupt):
            store.save(new, {"district_import_kwh": np.ones(5)})
    found = store.load(new.spec)
    assert found in (None, old if writes == 0 else new)
    assert (found is None) == (0 < writes < 4)
    if found is not None:
        assert store.traces(new.spec)["district_import_kwh"].tolist() == [float(found == new)] * 5
    assert store.save(new, {}) == new


def test_a_place_that_launches_cannot_share_has_a_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(place_from("memory://x"))
    store.begin()
    assert not caplog.text
    monkeypatch.setattr(Url, "is_exclusive", lambda url: False)
    store.begin()
    assert "memory://x: of several launches at once its file system cannot give work to one alone" in caplog.text


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
