"""What no task takes: actions of another shape, episodes of no length, a step before a reset."""

import math

import pytest
import torch

from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError
from accord.envs.task import Task

ADDRESSES = (
    "synthetic_7-week/ring/average-0.4",
    "allocation_5x1/radius-2/jumps",
    "games/climbing",
    "coupled/three",
)


def fresh(address: str) -> tuple[Task, torch.Generator]:
    return resolve(address).task(), torch.Generator().manual_seed(0)


@pytest.mark.parametrize("address", ADDRESSES)
def test_actions_are_one_for_each_copy_and_agent(address: str) -> None:
    task, generator = fresh(address)
    n, size = task.spec.n_agents, task.spec.action.size
    with pytest.raises(UsageError, match="step comes after reset"):
        task.step(torch.zeros(2, n, size))
    task.reset(2, generator)
    for shape in ((2, 1, size), (2, n, 2 * size), (n, size), (1, n, size), (2, n, size, 1)):
        with pytest.raises(UsageError, match=rf"actions of shape .* takes \[2, {n}, {size}\]"):
            task.step(torch.zeros(shape))
    assert bool(task.step(torch.zeros(2, n, size)).reward.isfinite().all())


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("value", [0, -1, math.nan, 2.5, True])
@pytest.mark.parametrize("name", ["batch", "horizon"])
def test_an_episode_has_copies_and_steps(address: str, name: str, value: float) -> None:
    task, generator = fresh(address)
    wanted = {"batch": 1, "horizon": 2} | {name: value}
    with pytest.raises(UsageError, match=rf"^{name} {value!r}: allowed for .* are whole numbers from 1$"):
        task.reset(wanted["batch"], generator, horizon=wanted["horizon"])  # type: ignore[arg-type]
