"""A box of actions as a grid."""

import pytest
import torch

import accord.envs
from accord.envs.errors import UsageError
from accord.envs.task import Box, Discrete
from accord.envs.wrappers.discrete_actions import GridTask, grid_points


def test_grid_has_every_combination_ends_included() -> None:
    points = grid_points(Box(2, -1.0, 1.0), 3)
    assert points.tolist() == [[a, b] for a in (-1.0, 0.0, 1.0) for b in (-1.0, 0.0, 1.0)]


def test_an_index_does_what_its_point_does() -> None:
    address = "campus_seven/ring/hourly-0.35"
    plain, gridded = accord.envs.make(address), GridTask(accord.envs.make(address), 5)
    assert gridded.spec.action == Discrete(25)
    starts = [task.reset(3, torch.Generator().manual_seed(0), initial="random") for task in (plain, gridded)]
    assert torch.equal(starts[0].obs, starts[1].obs)
    points = grid_points(plain.spec.action, 5)
    for index in (0, 7, 24):
        chosen = torch.full((3, 7, 1), index)
        one, other = plain.step(points[index].expand(3, 7, 2)), gridded.step(chosen)
        assert torch.equal(one.obs, other.obs)
        assert torch.equal(one.reward, other.reward)
    assert torch.equal(plain.state(), gridded.state())


def test_a_task_with_discrete_actions_has_no_grid() -> None:
    with pytest.raises(UsageError, match="its actions are discrete"):
        GridTask(accord.envs.make("games/climbing"), 3)
