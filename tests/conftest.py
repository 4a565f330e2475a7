"""What every test shares: one torch thread, since the workers of the suite share few cores, and who tests what."""

from pathlib import Path
from typing import Any

import pytest
import torch
from xdist.scheduler import LoadFileScheduling

torch.set_num_threads(1)

# A worker tests all of these, which share what takes long to make; other files are tested one by one.
TOGETHER = "tests/benchmark/cli/"
# Begun first, so that no worker is left alone with one of them at the end.
LONG = (
    TOGETHER,
    *(f"tests/benchmark/{name}" for name in ("launch/test_local", "performance", "report", "studies", "tuning")),
    *("tests/test_installation", "tests/test_examples", "tests/baselines/test_conformance"),
    *("tests/baselines/control", "tests/baselines/learners", "tests/envs/optimum", "tests/benchmark"),
)


class Scheduling(LoadFileScheduling):
    """A file, or the folder of files that share their fixtures, is tested by one worker."""

    def _split_scope(self, nodeid: str) -> str:
        return TOGETHER if nodeid.startswith(TOGETHER) else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(Path(__file__).parents[1]).as_posix()
        return next((i for i, start in enumerate(LONG) if path.startswith(start)), len(LONG))

    items.sort(key=place)
