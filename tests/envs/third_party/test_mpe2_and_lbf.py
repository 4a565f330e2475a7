from collections import deque

import numpy as np
import pytest
import torch
from pettingzoo.test import parallel_api_test, parallel_seed_test

import accord.envs
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError
from accord.envs.scenario import EpisodicScenario
from accord.envs.third_party.mpe2_and_lbf import Foraging

SPREAD, FORAGING = "mpe2/simple_spread_v3", "lbf/8x8-2p-2f-coop"
MOVES = {1: (-1, 0), 2: (1, 0), 3: (0, -1), 4: (0, 1)}
LOAD = 5


def test_spaces_and_horizons_are_those_of_the_originals() -> None:
    spread, foraging = accord.envs.make(SPREAD).spec, accord.envs.make(FORAGING).spec
    assert (spread.n_agents, spread.horizon, spread.obs_dim, spread.action.n) == (3, 25, 18, 5)
    assert (foraging.n_agents, foraging.horizon, foraging.obs_dim, foraging.action.n) == (2, 50, 12, 6)
    assert spread.agent_types.tolist() == [0, 0, 0]
    assert not spread.budgets


def test_uniform_actions_in_simple_spread_earn_what_is_known() -> None:
    scenario, generator = resolve(SPREAD), torch.Generator().manual_seed(0)
    task = scenario.task()
    step, total = task.reset(300, generator), torch.zeros(300)
    while not step.truncated.all():
        step = task.step(torch.randint(5, (300, 3, 1), generator=generator))
        total += step.reward.sum(1)
    assert float(total.mean()) == pytest.approx(scenario.references["random"], abs=4.0)


def toward(own: tuple[int, int], food: tuple[int, int], blocked: set[tuple[int, int]]) -> int:
    """First move of a shortest way to a place beside the food; loads there."""
    queue: deque[tuple[tuple[int, int], int]] = deque([(own, LOAD)])
    seen = {own, *blocked}
    while queue:
        (row, column), first = queue.popleft()
        if abs(row - food[0]) + abs(column - food[1]) == 1:
            return first
        for move, (down, right) in MOVES.items():
            place = (row + down, column + right)
            if place not in seen and min(place) >= 0 and max(place) < 8:
                seen.add(place)
                queue.append((place, move if first == LOAD else first))
    return 0


def gather(obs: np.ndarray) -> int:
    """Both agents go to the first food that is left and load it together."""
    foods = [(int(y), int(x)) for y, x, level in obs[:6].reshape(2, 3) if level > 0]
    own, other = [(int(y), int(x)) for y, x, _ in obs[6:].reshape(2, 3)]
    return toward(own, foods[0], {other, *foods})


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_agents_that_load_together_clear_the_field_and_end_the_game(seed: int) -> None:
    task = accord.envs.make(FORAGING)
    step, total = task.reset(1, torch.Generator().manual_seed(seed)), 0.0
    while not (step.terminated | step.truncated).any():
        actions = [gather(row.numpy()) for row in step.obs[0]]
        step = task.step(torch.tensor(actions).view(1, 2, 1))
        total += float(step.reward.sum())
    assert total == pytest.approx(1.0)
    assert step.terminated.all()


def test_the_time_limit_of_foraging_is_no_end() -> None:
    task = accord.envs.make(FORAGING)
    step = task.reset(2, torch.Generator().manual_seed(0))
    for _ in range(50):
        assert not (step.terminated | step.truncated).any()
        step = task.step(torch.zeros(2, 2, 1, dtype=torch.long))
    assert step.truncated.all()
    assert not step.terminated.any()
    assert step.alive.all()


@pytest.mark.filterwarnings("ignore::UserWarning:pettingzoo")
def test_pettingzoo_accepts_the_foraging_adapter() -> None:
    parallel_api_test(Foraging("Foraging-8x8-2p-2f-coop-v3"), num_cycles=120)
    parallel_seed_test(lambda: Foraging("Foraging-8x8-2p-2f-coop-v3"), num_cycles=40)


def test_a_missing_package_is_one_clear_line() -> None:
    scenario = EpisodicScenario("lbf/other", lambda device: accord.envs.make("games/qtran"), package="no-such-package")
    with pytest.raises(UsageError, match="scenario 'lbf/other' needs the package no-such-package: pip install"):
        scenario.task()


@pytest.mark.parametrize(
    ("address", "said"),
    [("mpe2/tag", "unknown environment 'tag' of mpe2; allowed: simple_spread_v3"), ("lbf/", "of lbf; allowed: 8x8")],
)
def test_unknown_environments_are_named_with_what_is_allowed(address: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        resolve(address)
