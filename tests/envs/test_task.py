"""What no task takes: actions of another shape, or no numbers, episodes of no length, a step before a reset."""

import math

import pytest
import torch

from accord.envs.catalogue import resolve
from accord.envs.checks import LOOKED_AT, check_plant
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


@pytest.mark.parametrize("address", [address for address in ADDRESSES if not address.startswith("games")])
@pytest.mark.parametrize("horizon", [3, 100])
def test_actions_that_are_no_numbers_are_refused_soon(address: str, horizon: int) -> None:
    task, generator = fresh(address)
    n, size = task.spec.n_agents, task.spec.action.size
    task.reset(3, generator, horizon=horizon)
    actions = torch.zeros(3, n, size)
    task.step(actions)
    actions[1, n - 1, size - 1] = actions[2, 0, 0] = math.nan

    def go_on() -> None:
        task.step(actions)
        for _ in range(LOOKED_AT - 1):
            task.step(torch.zeros(3, n, size))

    said = rf"^actions that are not finite: agent {n - 1} in copy 1, .*'{task.spec.name}'"
    with pytest.raises(UsageError, match=said):
        go_on()
    assert bool(task.reset(3, generator).obs.isfinite().all())


def test_a_game_refuses_an_action_that_is_no_number() -> None:
    task, generator = fresh("games/climbing")
    task.reset(1, generator)
    with pytest.raises(UsageError, match="an action is out of range"):
        task.step(torch.full((1, 2, 1), math.nan))


def test_finite_numbers_whose_sum_is_not_pass() -> None:
    task, _ = fresh(ADDRESSES[0])
    check_plant(task.spec, torch.full((2, 7), 3e38), 5, 5)


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("value", [0, -1, math.nan, 2.5, True])
@pytest.mark.parametrize("name", ["batch", "horizon"])
def test_an_episode_has_copies_and_steps(address: str, name: str, value: float) -> None:
    task, generator = fresh(address)
    wanted = {"batch": 1, "horizon": 2} | {name: value}
    with pytest.raises(UsageError, match=rf"^{name} {value!r}: allowed for .* are whole numbers from 1$"):
        task.reset(wanted["batch"], generator, horizon=wanted["horizon"])  # type: ignore[arg-type]
