"""What spaces promise: no observation or state passes its bounds, and what is given must be in them."""

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import accord.envs
from accord.envs.errors import UsageError
from accord.envs.task import Box, Task
from accord.envs.wrappers.discrete_actions import grid_points

SEVEN = "campus_seven/two_groups/hourly-0.35"
ADDRESSES = (
    "paper_seven/ring/average-0.27",
    SEVEN,
    "homes_17/ring/average-0.2",
    "mixed_9/ring/window-17_21-0.5",
    "synthetic_20/ring/cap-0.6",
    "games/two_step",
    "games/penalty_25",
    "allocation_4x2/radius-1/steady",
    "allocation_10x3/radius-1/jumps",
    "allocation_4x2/radius-1/discharging",
    "allocation_30x2/radius-1/failures",
    "mpe2/simple_spread_v3",
    "lbf/8x8-2p-2f-coop",
)


def actions_of(task: Task, batch: int, generator: torch.Generator) -> torch.Tensor:
    """Anywhere in the space, and, half of the time, at its ends."""
    space, n = task.spec.action, task.spec.n_agents
    if not isinstance(space, Box):
        return torch.randint(space.n, (batch, n, 1), generator=generator)
    drawn = torch.rand(batch, n, space.size, generator=generator)
    at_end = torch.rand(drawn.shape, generator=generator) < 0.5
    return space.low + (space.high - space.low) * torch.where(at_end, drawn.round(), drawn)


@pytest.mark.parametrize("address", ADDRESSES)
def test_nothing_passes_the_bounds_of_the_spaces(address: str) -> None:
    env, task = accord.envs.parallel_env(address), accord.envs.make(address)
    seen, whole = env.observation_space("agent_0"), env.state_space
    assert isinstance(seen, gymnasium.spaces.Box)
    generator = torch.Generator().manual_seed(0)
    batch = 1 if address.startswith("lbf") else 4
    for initial in ("zero", "random") if task.spec.plant else ("zero",):
        step = task.reset(batch, generator, initial=initial)  # type: ignore[arg-type]
        for _ in range(min(100, task.spec.horizon)):
            obs, state = step.obs.numpy(), task.state().numpy()
            assert ((obs >= seen.low) & (obs <= seen.high)).all()
            assert ((state >= whole.low) & (state <= whole.high)).all()
            step = task.step(actions_of(task, batch, generator))


def test_fields_that_are_shares_are_bounded_and_others_are_not() -> None:
    env = accord.envs.parallel_env(SEVEN)
    space, fields = env.observation_space("agent_0"), env.task.spec.obs_fields
    assert isinstance(space, gymnasium.spaces.Box)
    ends = {name: (space.low[f.where][0], space.high[f.where][0]) for name, f in fields.items()}
    assert ends["waiting_load"] == (0, np.inf)
    assert ends["soc"] == (0, pytest.approx(1, abs=1e-5))
    assert ends["hour_sin"] == (-1, 1)
    assert ends["weekday"] == (0, 1)
    assert ends["price"] == ends["tariff"] == (-np.inf, np.inf)
    assert env.state_space.low[:7].tolist() == [0] * 7
    assert env.state_space.shape == (env.task.spec.state_dim,)


@pytest.mark.parametrize("seed", [np.int64(7), np.uint8(7), np.int32(7)])
def test_seeds_of_numpy_are_seeds(seed: Any) -> None:
    env = accord.envs.parallel_env(SEVEN)
    assert env.reset(seed=seed)[0]["agent_0"].tolist() == env.reset(seed=7)[0]["agent_0"].tolist()


@pytest.mark.parametrize("seed", [-1, 1.0, True, "1", 2**63])
def test_what_is_no_seed_is_named(seed: Any) -> None:
    with pytest.raises(UsageError, match=r"seed .*: allowed are whole numbers from 0 to 9223372036854775807"):
        accord.envs.parallel_env(SEVEN).reset(seed=seed)


@pytest.mark.parametrize("horizon", [0, -3, 2.5, True, "24", 2**63])
def test_what_is_no_horizon_is_named(horizon: Any) -> None:
    with pytest.raises(UsageError, match=r"horizon .*: allowed are whole numbers of steps from 1"):
        accord.envs.parallel_env(SEVEN, horizon=horizon)


def test_an_action_may_pass_an_end_by_a_rounding() -> None:
    env = accord.envs.parallel_env(SEVEN, start=5)
    outcomes = []
    for high, low in ((np.float32(1.0000001), -1e-8), (1.0, 0.0)):
        env.reset(seed=0)
        outcomes.append(env.step({agent: np.array([low, high]) for agent in env.agents})[1])
    assert outcomes[0] == outcomes[1]


def test_discrete_actions_are_points_of_a_grid_over_the_box() -> None:
    env, plain = (accord.envs.parallel_env(SEVEN, start=5, discrete=levels) for levels in (11, None))
    assert env.action_space("agent_0") == gymnasium.spaces.Discrete(121)
    points = grid_points(Box(2), 11).numpy()
    env.reset(seed=0)
    plain.reset(seed=0)
    one = env.step({agent: 17 * i for i, agent in enumerate(env.agents)})
    other = plain.step({agent: points[17 * i] for i, agent in enumerate(plain.agents)})
    assert one[1] == other[1]
    assert one[4] == other[4]


@pytest.mark.parametrize("levels", [1, 0, -2, 2.0, True, "5", 1001, 10**30])
def test_what_is_no_number_of_levels_is_named(levels: Any) -> None:
    with pytest.raises(UsageError, match=r"discrete .*: allowed are whole numbers from 2"):
        accord.envs.parallel_env(SEVEN, discrete=levels)
