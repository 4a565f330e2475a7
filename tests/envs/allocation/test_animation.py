"""Pictures of an episode, read back."""

from pathlib import Path

import torch
from PIL import Image

from accord.envs.allocation.animation import EVERY, animate
from accord.envs.allocation.dynamics import DT, Allocation, ResourceAllocation


def test_an_episode_becomes_pictures(tmp_path: Path) -> None:
    task = ResourceAllocation(Allocation(6, 2, 1.0, "failures"))
    path = tmp_path / "episode.gif"
    total = animate(task, lambda step: torch.ones(1, 6, 2), path, torch.Generator().manual_seed(0), steps=12)
    with Image.open(path) as picture:
        assert picture.n_frames == 12 / EVERY
        assert picture.info["duration"] == 1000 * DT * EVERY
        first = picture.convert("RGB").tobytes()
        picture.seek(5)
        assert picture.convert("RGB").tobytes() != first
    assert isinstance(total, float)
