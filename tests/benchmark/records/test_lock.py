"""Two processes that would be in each other's way: the second says who is at work."""

import os
from pathlib import Path

import pytest

from accord.benchmark.launch import launch
from accord.benchmark.records.lock import alone_at
from accord.benchmark.records.store import Store
from accord.benchmark.specs.run import make_run
from accord.envs.errors import UsageError

SPECS = [make_run("games/two_step", "random", 0, suite="mine")]


def test_a_second_one_at_the_same_work_says_who_is_at_it(tmp_path: Path) -> None:
    with alone_at("suite mine", tmp_path), alone_at("suite other", tmp_path):
        with pytest.raises(UsageError, match=f"^{tmp_path}/: process {os.getpid()} on .* is at work on suite mine; "):
            launch(SPECS, Store(tmp_path))
        assert not list(tmp_path.glob("records/*"))
    with alone_at("suite mine", tmp_path), alone_at("suite mine", tmp_path / "elsewhere"):
        pass


def test_work_that_failed_is_free_again(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), alone_at("suite mine", tmp_path):
        raise ValueError("no")
    with alone_at("suite mine", tmp_path):
        pass
