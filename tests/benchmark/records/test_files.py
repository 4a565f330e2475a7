"""Files are complete or as before, however many write them, and one that was cut short is named."""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers.records import record
from pydantic import BaseModel

from accord.benchmark.boards.leaderboard import read_runs, write_runs
from accord.benchmark.evaluation.context import Context
from accord.benchmark.figures.curves import read_curves
from accord.benchmark.performance.cells import measured
from accord.benchmark.records.files import read_traces, reading, write_file, write_folder
from accord.benchmark.records.provenance import digest_of_sources
from accord.benchmark.records.store import PolicyFolder, Store
from accord.benchmark.specs.run import digest_of
from accord.benchmark.tuning.search import _read
from accord.benchmark.tuning.space import load_search
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError


def test_of_two_that_write_one_folder_one_wins_and_both_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "record"

    def write(content: bytes) -> None:
        for _ in range(100):
            write_folder(folder, {"a": content, "b": content})

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, (b"one", b"two")))
    assert (folder / "a").read_bytes() == (folder / "b").read_bytes()
    assert os.listdir(tmp_path) == ["record"]


def test_a_folder_that_is_written_anew_keeps_nothing_of_the_old_one(tmp_path: Path) -> None:
    write_folder(tmp_path / "record", {"a": b"1", "b": b"1"})
    write_folder(tmp_path / "record", {"a": b"2"})
    assert {path.name: path.read_bytes() for path in (tmp_path / "record").iterdir()} == {"a": b"2"}


def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    write_folder(tmp_path / "record", {"a": b"1"})
    with pytest.raises(FileNotFoundError):
        write_folder(tmp_path / "record", {"a": b"2", "no/such": b"2"})
    (tmp_path / "taken").mkdir()
    with pytest.raises(IsADirectoryError):
        write_file(tmp_path / "taken", b"2")
    assert sorted(os.listdir(tmp_path)) == ["record", "taken"]
    assert (tmp_path / "record" / "a").read_bytes() == b"1"


def cut(path: Path, length: int) -> Path:
    path.write_bytes(path.read_bytes()[:length])
    return path


@pytest.mark.parametrize("length", [0, 200], ids=["empty", "half"])
@pytest.mark.parametrize(
    ("name", "save", "load"),
    [
        ("policy.pt", PolicyFolder.finish, PolicyFolder.finished),
        ("checkpoint.pt", PolicyFolder.save, PolicyFolder.load),
        ("snapshots.pt", lambda folder, state: folder.save_snapshots([state]), PolicyFolder.load_snapshots),
    ],
    ids=["policy", "checkpoint", "snapshots"],
)
def test_what_a_training_left_is_named_where_it_was_cut(
    tmp_path: Path,
    name: str,
    save: Callable[[PolicyFolder, dict[str, object]], None],
    load: Callable[[PolicyFolder], object],
    length: int,
) -> None:
    folder = PolicyFolder(tmp_path)
    save(folder, {"curve": []})
    assert load(folder)
    path = cut(tmp_path / name, length)
    with pytest.raises(UsageError, match=f"^{path}: cannot be read .*; remove .* again|anew$"):
        load(folder)


def test_a_comparison_that_was_cut_is_named(tmp_path: Path) -> None:
    store, scenario = Store(tmp_path), resolve("paper_seven/ring/average-0.3")
    store.save_context(scenario, Context(oracle="feasible"))
    (path,) = tmp_path.glob("contexts/*.json")
    cut(path, 20)
    with pytest.raises(UsageError, match=f"^{path}: cannot be read .*; remove it, and it is computed again$"):
        store.load_context(scenario)


def test_records_and_traces_that_were_cut_are_named(tmp_path: Path) -> None:
    store, made = Store(tmp_path), record()
    store.save(made, {"district_import_kwh": np.arange(100.0)})
    folder = store.folder(made.spec)
    assert store.load(made.spec) == made
    path = cut(folder / "traces.npz", 100)
    with pytest.raises(UsageError, match=f"^{path}: cannot be read .*; remove its folder"):
        store.traces(made.spec)
    path = cut(folder / "record.json", 100)
    with pytest.raises(UsageError, match=f"^{path}: cannot be read .Invalid JSON.*; remove its folder") as error:
        store.load(made.spec)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("name", ["runs.parquet", "curves.csv"])
def test_tables_that_were_cut_are_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "runs.parquet":
        write_runs([record()], path)
        assert read_runs(path)
    path.touch()
    cut(path, len(path.read_bytes()) // 2)
    with pytest.raises(UsageError, match=f"^{path}: cannot be read .*; restore it, or remove it"):
        read_runs(path) if name == "runs.parquet" else read_curves(path)


class Cell(BaseModel):
    size: int


def test_a_measured_cell_that_was_cut_is_named(tmp_path: Path) -> None:
    what = {"cell": {"size": 1}, "limits": {"seconds": 1.0, "memory_gib": 1.0}, "code": digest_of_sources()}
    path = tmp_path / f"{digest_of(what)}.json"
    path.write_text(json.dumps({**what, "row": {"status": "done"}}))
    assert measured("nowhere", Cell(size=1), 1.0, 1.0, tmp_path) == ({"status": "done"}, False)
    cut(path, 50)
    with pytest.raises(UsageError, match=f"^{path}: cannot be read .*; remove it, and the cell is measured again$"):
        measured("nowhere", Cell(size=1), 1.0, 1.0, tmp_path)


def test_a_search_that_was_cut_is_named(tmp_path: Path) -> None:
    search = load_search("core")
    method = next(iter(search.methods))
    path = tmp_path / f"{method}.json"
    path.write_text(json.dumps(_read(search, method, tmp_path)))
    assert _read(search, method, tmp_path)["trials"] == []
    cut(path, 50)
    with pytest.raises(UsageError, match=f"^{path}: cannot be read .*; move it away to begin a new search$"):
        _read(search, method, tmp_path)


def test_a_lack_of_memory_is_not_the_files_fault(tmp_path: Path) -> None:
    with pytest.raises(MemoryError), reading(tmp_path, ""):
        raise MemoryError


def test_a_run_without_traces_has_none(tmp_path: Path) -> None:
    assert read_traces(tmp_path / "traces.npz") == {}
