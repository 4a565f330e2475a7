"""What was torn, changed, or put in another's place is named, set aside and made again; nothing of it is used."""

import io
import json
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from helpers.damage import DAMAGES, LOSSES, Damage
from helpers.records import record

from accord.benchmark.evaluation.context import Context
from accord.benchmark.places import Place
from accord.benchmark.records.files import write_file
from accord.benchmark.records.sealed import DamagedError, check_zip, open_json, seal_json, seal_zip
from accord.benchmark.records.store import PolicyFolder, Store
from accord.envs.catalogue import resolve

FIELDS = {"a": [1, 2.5, None], "b": {"c": "ü"}}
STATE = {"curve": [], "state": {"w": torch.arange(3.0)}}


def saved(content: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def test_sealed_files_are_read_by_everything_else_too(tmp_path: Path) -> None:
    assert open_json(seal_json(FIELDS)) == FIELDS
    assert json.loads(seal_json(FIELDS)).items() >= FIELDS.items()
    sealed = seal_zip(saved({"w": torch.arange(3)}))
    check_zip(sealed)
    assert torch.load(io.BytesIO(sealed), weights_only=True)["w"].tolist() == [0, 1, 2]
    assert zipfile.ZipFile(io.BytesIO(sealed)).testzip() is None
    with pytest.raises(ValueError, match="ends in a comment"):
        seal_zip(sealed)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_every_damage_is_noticed(damage: Damage) -> None:
    generator = Random(0)
    archive, text = seal_zip(saved({"w": torch.arange(300.0)})), seal_json(FIELDS)
    for _ in range(300):
        with pytest.raises(DamagedError):
            check_zip(damage(archive, generator))
        harmed = damage(text, generator)
        try:
            assert open_json(harmed) == FIELDS  # a space in place of another
        except DamagedError:
            continue


@pytest.mark.parametrize("damage", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("name", ["policy.pt", "checkpoint.pt", "snapshots.pt"])
def test_what_a_training_left_is_set_aside(
    root: Place, name: str, damage: Damage, caplog: pytest.LogCaptureFixture
) -> None:
    folder = PolicyFolder(root / "policies" / "one")
    folder.save(STATE)
    folder.save_snapshots([{"fraction": 0.5}])
    if name == "policy.pt":
        folder.finish(STATE)
    path = folder.path / name
    write_file(path, damage(path.read_bytes(), Random(1)))
    with caplog.at_level("WARNING", "accord"):
        assert folder.finished() is None
        assert folder.load_snapshots() == ([{"fraction": 0.5}] if name == "checkpoint.pt" else [])
        assert folder.load() is None
    assert caplog.text.count(str(path)) == 1
    assert not path.exists()
    assert (folder.path / f".{name}.damaged").exists()


def test_another_policys_file_is_not_taken_for_ones_own(root: Place, caplog: pytest.LogCaptureFixture) -> None:
    one, other = (PolicyFolder(root / name) for name in ("one", "other"))
    one.finish(STATE)
    write_file(other.path / "policy.pt", (one.path / "policy.pt").read_bytes())
    with caplog.at_level("WARNING", "accord"):
        assert other.finished() is None
    assert "is of another policy" in caplog.text
    kept = one.finished()
    assert kept is not None
    assert torch.equal(kept["state"]["w"], STATE["state"]["w"])  # type: ignore[index]


@pytest.mark.parametrize("damage", LOSSES.values(), ids=LOSSES)
def test_a_damaged_comparison_is_computed_again(root: Place, damage: Damage, caplog: pytest.LogCaptureFixture) -> None:
    store, scenario = Store(root), resolve("paper_seven/ring/average-0.3")
    other = resolve("paper_seven/ring/average-0.4")
    context = Context(oracle="feasible", oracle_objective=2.0)
    store.save_context(scenario, context)
    assert store.load_context(scenario) == context
    (path,) = root.glob("contexts/*.json")
    write_file(store._context_path(other), path.read_bytes())
    with caplog.at_level("WARNING", "accord"):
        assert store.load_context(other) is None
        assert "is of another scenario" in caplog.text
        write_file(path, damage(path.read_bytes(), Random(2)))
        assert store.load_context(scenario) is None
    assert f"{path}: " in caplog.text


@pytest.mark.parametrize("damage", LOSSES.values(), ids=LOSSES)
def test_a_damaged_record_is_left_out_and_set_aside_when_its_run_is_asked_for(
    root: Place, damage: Damage, caplog: pytest.LogCaptureFixture
) -> None:
    store, made, sound = Store(root), record(), record(seed=1)
    for one in (made, sound):
        store.save(one, {"district_import_kwh": np.arange(100.0)})
    path = store.folder(made.spec) / "record.json"
    write_file(path, damage(path.read_bytes(), Random(3)))
    with caplog.at_level("WARNING", "accord"):
        assert store.records() == [sound]
        assert store.load(made.spec) is None
    assert caplog.text.count(str(path.parent)) >= 2
    assert not path.parent.exists()
    store.save(made, {})
    assert store.load(made.spec) == made


def test_another_runs_record_and_traces_are_not_taken_for_ones_own(
    root: Place, caplog: pytest.LogCaptureFixture
) -> None:
    store, made, other = Store(root), record("random"), record()
    for one in (made, other):
        store.save(one, {"district_import_kwh": np.arange(5.0)})

    def copy(name: str) -> None:
        write_file(store.folder(other.spec) / name, (store.folder(made.spec) / name).read_bytes())

    copy("traces.npz")
    with caplog.at_level("WARNING", "accord"):
        assert store.traces(other.spec) == {}
        copy("record.json")
        assert store.records() == [made]
        assert store.load(other.spec) is None
    assert "is of another run" in caplog.text
    assert f"is the record of another run, {made.spec.label}" in caplog.text
    assert store.traces(made.spec)["district_import_kwh"].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("damage", LOSSES.values(), ids=LOSSES)
def test_damaged_traces_are_named_and_not_drawn(root: Place, damage: Damage, caplog: pytest.LogCaptureFixture) -> None:
    store, made = Store(root), record()
    store.save(made, {"district_import_kwh": np.arange(100.0)})
    path = store.folder(made.spec) / "traces.npz"
    write_file(path, damage(path.read_bytes(), Random(4)))
    with caplog.at_level("WARNING", "accord"):
        assert store.traces(made.spec) == {}
    assert str(path) in caplog.text
