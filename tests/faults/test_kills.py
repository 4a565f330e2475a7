"""Kill -9 at any moment, a fault at every change of a file: a plain rerun gives an undisturbed sweep's numbers."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest
from helpers.cases import Draw
from helpers.sharing import Side
from helpers.tortured import Ending, made_good, one_by_one, side_by_side, told

KILLS = 50


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], Ending]:
    """What the sweep measures, and how many changes of files it takes."""
    root = tmp_path_factory.mktemp("undisturbed") / "runs"
    ending = told(Side(one_by_one, root, 0, ""))
    assert set(ending.statuses) == {"done"}
    return made_good(root), ending


@pytest.mark.parametrize("what", ["killed", "full", "broken"])
def test_a_fault_at_every_change_of_a_file(
    undisturbed: tuple[dict[str, object], Ending], what: str, tmp_path: Path, draw: Draw
) -> None:
    expected, whole = undisturbed
    assert whole.changes > 60
    # Each change is tried with one kind of error, and every one with a process that is gone.
    numbers = range(1, whole.changes + 1) if what == "killed" else range(1 + (what == "full"), whole.changes + 1, 2)
    for at, (name, _) in zip(numbers, draw(f"changes: {what}", len(numbers)), strict=True):
        root = tmp_path / f"{at}" / "runs"
        side = Side(one_by_one, root, at, what)
        ending = told(side)
        side.process.join()
        assert (ending is None) == (what == "killed"), name
        if ending is not None and ending.line:
            assert str(root) in ending.line, name
        assert made_good(root) == expected, name


def test_a_process_that_is_killed_at_any_moment(
    undisturbed: tuple[dict[str, object], Ending], tmp_path: Path, draw: Draw
) -> None:
    expected, _ = undisturbed
    began = time.perf_counter()
    assert told(whole := Side(side_by_side, tmp_path / "whole" / "runs")) > 0
    assert set(told(whole).statuses) == {"done"}
    lasts, killed = time.perf_counter() - began, set[str]()
    for number, (name, generator) in enumerate(draw("kills", KILLS)):
        root = tmp_path / str(number) / "runs"
        side = Side(side_by_side, root)
        group = told(side)
        time.sleep(generator.uniform(0, lasts))
        there = [psutil.Process(group), *psutil.Process(group).children()] if psutil.pid_exists(group) else []
        if there:
            victim = generator.choice(there)
            killed.add("launcher" if victim.pid == group else "job")
            os.kill(victim.pid, signal.SIGKILL)
        told(side)
        side.process.join()
        assert made_good(root) == expected, name
    assert killed == {"launcher", "job"}
