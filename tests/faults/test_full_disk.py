"""A disk that is full, has no inode left or is read-only: one line that names the file, and on it goes with room."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.cases import Draw
from helpers.sharing import Side
from helpers.tortured import made_good, one_by_one, sweep, told

from accord.benchmark.records.store import Store

pytestmark = pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="a disk is mounted, which root alone may")
ROOM = "64m"


@contextmanager
def disk(folder: Path, limits: str) -> Iterator[Path]:
    """A small disk in memory."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", limits, "accord-test", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def resize(folder: Path, limits: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{limits}", str(folder)], check=True)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What the sweep measures where there is room."""
    return made_good(tmp_path_factory.mktemp("roomy") / "runs")


@pytest.mark.parametrize(
    ("kind", "unit"), [("blocks", "size={}k,nr_inodes=1000"), ("inodes", f"size={ROOM},nr_inodes={{}}")]
)
def test_a_full_disk(expected: dict[str, object], kind: str, unit: str, tmp_path: Path, draw: Draw) -> None:
    full = 0
    for number, (name, generator) in enumerate(draw(f"full disks: {kind}", 15)):
        room = generator.randint(4, 160 if kind == "blocks" else 40)
        with disk(tmp_path / f"disk-{number}", unit.format(room)) as folder:
            ending = told(side := Side(one_by_one, folder / "runs", 0, ""))
            side.process.join()
            stopped = ending.line or [status for status in ending.statuses if status != "done"]
            full += bool(stopped)
            if ending.line:
                assert "No space left on device" in ending.line, name
                assert str(folder) in ending.line, name
            store = Store(folder / "runs")
            before = [record for record in store.records() if record.status == "done"]
            resize(folder, f"size={ROOM},nr_inodes=1000")
            assert made_good(folder / "runs") == expected, name
            after = {record.spec.digest: record for record in store.records()}
            assert [after[record.spec.digest] for record in before] == before, name  # they were not made again
    assert full >= 5


def test_a_read_only_store(expected: dict[str, object], tmp_path: Path) -> None:
    with disk(tmp_path / "disk", f"size={ROOM}") as folder:
        root = folder / "runs"
        store, specs = Store(root), sweep()
        assert made_good(root) == expected
        shutil.rmtree(store.folder(specs[-1]))
        resize(folder, f"ro,size={ROOM}")
        ending = told(Side(one_by_one, root, 0, ""))
        assert "Read-only file system" in ending.line
        assert str(root) in ending.line
        assert len(store.records()) == len(specs) - 1
        resize(folder, f"rw,size={ROOM}")
        assert made_good(root) == expected
