"""The power goes while a sweep runs: a rerun on what the disk holds then gives an undisturbed sweep's numbers."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.cases import Draw
from helpers.sharing import Side
from helpers.tortured import made_good, side_by_side, told

pytestmark = pytest.mark.skipif(
    os.name == "nt" or os.geteuid() != 0 or not Path("/dev/loop-control").exists() or shutil.which("mkfs.ext4") is None,
    reason="a disk image is mounted, which root alone may",
)
CUTS = 20


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    """A disk image, as a folder."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_the_power_goes(tmp_path: Path, draw: Draw) -> None:
    expected, image = made_good(tmp_path / "undisturbed"), tmp_path / "disk"
    subprocess.run(["truncate", "--size", "64M", str(image)], check=True)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    with mounted(image, tmp_path / "whole") as folder:
        began = time.perf_counter()
        told(side := Side(side_by_side, folder / "runs"))
        assert set(told(side).statuses) == {"done"}
        lasts = time.perf_counter() - began
    unfinished = 0
    for number, (name, generator) in enumerate(draw("power cuts", CUTS)):
        running, cut = tmp_path / "running", tmp_path / f"cut-{number}"
        subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
        with mounted(image, running) as folder:
            side = Side(side_by_side, folder / "runs")
            told(side)
            time.sleep(generator.uniform(0, lasts))
            # What was written and not flushed is not in the image.
            shutil.copyfile(image, cut)
            told(side)
            side.process.join()
        with mounted(cut, tmp_path / "after") as folder:
            found = folder / "runs"
            unfinished += not found.exists() or len(list(found.glob("records/[!.]*/record.json"))) < len(expected)
            assert made_good(found) == expected, name
        cut.unlink()
    assert unfinished >= CUTS // 4
