"""Files are complete or as before, however many write them, and one that was cut short is named."""

import errno
import os
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
from helpers.records import record
from pydantic import BaseModel

from accord.benchmark.boards.leaderboard import read_runs, write_runs
from accord.benchmark.figures.curves import read_curves
from accord.benchmark.performance import cells
from accord.benchmark.performance.cells import measured
from accord.benchmark.processes import machine_word
from accord.benchmark.records.files import (
    create_file,
    reading,
    remove_scratch,
    scratch_name,
    write_file,
    write_folder,
)
from accord.benchmark.records.sealed import seal_json
from accord.benchmark.tuning.search import _read
from accord.benchmark.tuning.space import load_search
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


def test_what_stays_is_not_replaced_also_where_it_came_at_the_last_moment(tmp_path: Path) -> None:
    folder, looked = tmp_path / "record", list[Path]()

    def stays(kept: Path) -> bool:
        looked.append(kept)
        sound = (kept / "a").read_bytes() == b"sound"
        if len(looked) == 1:  # another process puts its own there before this one moves the old one away
            (folder / "a").write_bytes(b"sound")
        return sound

    assert write_folder(folder, {"a": b"bad"}, stays)
    assert not write_folder(folder, {"a": b"new"}, stays)
    assert looked[0] == folder != looked[1]
    assert not write_folder(folder, {"a": b"newer"}, stays)
    assert (folder / "a").read_bytes() == b"sound"
    assert os.listdir(tmp_path) == ["record"]


def test_one_of_many_creates_a_file(tmp_path: Path) -> None:
    def create(content: bytes) -> bool:
        try:
            create_file(tmp_path / "a", content)
        except FileExistsError:
            return False
        return True

    contents = [str(n).encode() for n in range(8)]
    with ThreadPoolExecutor(4) as pool:
        created = list(pool.map(create, contents))
    assert [content for content, mine in zip(contents, created, strict=True) if mine] == [(tmp_path / "a").read_bytes()]


def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    write_folder(tmp_path / "record", {"a": b"1"})
    with pytest.raises(FileNotFoundError):
        write_folder(tmp_path / "record", {"a": b"2", "no/such": b"2"})
    (tmp_path / "taken").mkdir()
    with pytest.raises(IsADirectoryError):
        write_file(tmp_path / "taken", b"2")
    assert sorted(os.listdir(tmp_path)) == ["record", "taken"]
    assert (tmp_path / "record" / "a").read_bytes() == b"1"


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    found = list[OSError]()
    for write in (write_file, create_file):
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
        try:
            write(tmp_path / write.__name__, bytes(1000))
        except OSError as fault:
            found.append(fault)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [fault.errno for fault in found] == [errno.EFBIG] * 2
    assert [fault.filename for fault in found] == [str(tmp_path / name) for name in ("write_file", "create_file")]
    assert list(tmp_path.iterdir()) == []  # nor is half of it left


def test_what_dead_processes_were_writing_goes_and_nothing_else(tmp_path: Path) -> None:
    over = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    mine = scratch_name("record")
    dead = mine.replace(f"~{os.getpid()}-", f"~{int(over.stdout)}-")
    elsewhere = dead.replace(machine_word(), "0" * 8)
    for folder in (tmp_path, tmp_path / "records", tmp_path / "policies" / "one"):
        for name in (mine, dead, elsewhere, ".record.damaged", "record.json"):
            write_file(folder / f"{name}x" / "new" / "a", b"1") if name == dead else write_file(folder / name, b"1")
    remove_scratch(tmp_path)
    for folder in (tmp_path, tmp_path / "records", tmp_path / "policies" / "one"):
        assert {path.name for path in folder.iterdir()} - {"records", "policies"} == {
            mine,
            elsewhere,
            ".record.damaged",
            "record.json",
        }


def cut(path: Path, length: int) -> Path:
    path.write_bytes(path.read_bytes()[:length])
    return path


@pytest.mark.parametrize("name", ["runs.parquet", "curves.csv"])
def test_tables_that_were_cut_are_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "runs.parquet":
        write_runs([record()], path)
        assert read_runs(path)
    path.touch()
    cut(path, len(path.read_bytes()) // 2)
    with pytest.raises(
        UsageError, match=f"^{path}: (cannot be read|is not what its digest) .*; restore it, or remove it"
    ):
        read_runs(path) if name == "runs.parquet" else read_curves(path)


class Cell(BaseModel):
    size: int


def test_a_measured_cell_that_was_harmed_or_is_anothers_is_set_aside_and_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    numbers = count(1)  # of what was measured
    monkeypatch.setattr(cells, "_watched", lambda *of: {"status": "done", "n": next(numbers)})
    monkeypatch.setattr(cells, "busy", lambda row: 1.0)
    cell = Cell(size=1)
    assert measured("nowhere", cell, 1.0, 1.0, tmp_path) == ({"status": "done", "n": 1}, True)
    assert measured("nowhere", cell, 1.0, 1.0, tmp_path) == ({"status": "done", "n": 1}, False)
    (path,) = tmp_path.iterdir()
    cut(path, 50)
    assert measured("nowhere", cell, 1.0, 1.0, tmp_path) == ({"status": "done", "n": 2}, True)
    assert f"{path}: is cut short" in caplog.text
    measured("nowhere", Cell(size=2), 1.0, 1.0, tmp_path)
    (other,) = {file for file in tmp_path.glob("[!.]*") if file != path}
    path.write_bytes(other.read_bytes())
    assert measured("nowhere", cell, 1.0, 1.0, tmp_path) == ({"status": "done", "n": 4}, True)
    assert f"{path}: is of something else" in caplog.text


def test_a_search_that_was_cut_is_named(tmp_path: Path) -> None:
    search = load_search("core")
    method = next(iter(search.methods))
    path = tmp_path / f"{method}.json"
    path.write_bytes(seal_json(_read(search, method, tmp_path)))
    assert _read(search, method, tmp_path)["trials"] == []
    cut(path, 50)
    with pytest.raises(UsageError, match=f"^{path}: cannot be read .*; move it away to begin a new search$"):
        _read(search, method, tmp_path)


def test_a_lack_of_memory_is_not_the_files_fault(tmp_path: Path) -> None:
    with pytest.raises(MemoryError), reading(tmp_path, ""):
        raise MemoryError
