"""What a replay keeps, gives back and saves."""

import pytest
import torch
from torch import Tensor

from accord.baselines.training.replay import Replay


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(*numbers: int) -> dict[str, Tensor]:
    """Sequences of three steps that carry a number."""
    return {"obs": torch.tensor(numbers, dtype=torch.float32).expand(3, -1).clone()}


def held(replay: Replay, seed: int = 0) -> set[float]:
    return set(replay.sample(500, seeded(seed))["obs"].flatten().tolist())


def test_the_newest_sequences_push_out_the_oldest() -> None:
    replay = Replay(5, torch.device("cpu"))
    replay.add(rows(0, 1, 2))
    assert (len(replay), held(replay)) == (3, {0, 1, 2})
    replay.add(rows(3, 4, 5))
    assert (len(replay), held(replay)) == (5, {1, 2, 3, 4, 5})
    replay.add(rows(6, 7))
    assert held(replay) == {3, 4, 5, 6, 7}
    assert replay.sample(4, seeded())["obs"].shape == (3, 4)


@pytest.mark.parametrize("first", [(0, 1, 2), (0, 1, 2, 3, 4), (0, 1, 2, 3, 4, 5, 6)])
def test_replay_goes_on_where_it_was_saved(first: tuple[int, ...]) -> None:
    replay, fresh = (Replay(7, torch.device("cpu")) for _ in range(2))
    for part in (first, (10, 11, 12)):
        replay.add(rows(*part))
    fresh.load_state_dict(replay.state_dict())
    for each in (replay, fresh):
        each.add(rows(20, 21, 22))
    for seed in range(3):
        assert torch.equal(replay.sample(50, seeded(seed))["obs"], fresh.sample(50, seeded(seed))["obs"])
