"""A batch of a task as a Gymnasium `VectorEnv`: the task's own numbers, what follows an end, every refusal."""

import sys
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from pettingzoo import ParallelEnv

import accord.envs
from accord.envs.errors import UsageError
from accord.envs.wrappers import vector
from accord.envs.wrappers.parallel import TaskFromParallel
from accord.envs.wrappers.vector import VectorTask

SEVEN = "campus_seven/two_groups/hourly-0.35"


def test_environments_are_the_agents_of_the_copies_with_the_numbers_of_the_task() -> None:
    env, task = accord.envs.vector_env(SEVEN, 3, price=0.5), accord.envs.make(SEVEN, price=0.5)
    assert (env.num_envs, env.observation_space.shape, env.action_space.shape) == (21, (21, 44), (21, 2))
    assert env.single_observation_space == accord.envs.parallel_env(SEVEN).observation_space("agent_0")
    seen, _ = env.reset(seed=7)
    step = task.reset(3, torch.Generator().manual_seed(7))
    assert np.array_equal(seen, step.obs.flatten(0, 1).numpy())
    for n in range(5):
        actions = torch.rand(3, 7, 2, generator=torch.Generator().manual_seed(n))
        step = task.step(actions)
        seen, rewards, terminations, truncations, infos = env.step(actions.reshape(21, 2).numpy())
        assert seen in env.observation_space
        assert np.array_equal(seen, step.obs.flatten(0, 1).numpy())
        assert np.array_equal(rewards, step.reward.flatten().numpy())
        assert np.array_equal(infos["cost/hour_05"], step.usage.flatten().numpy())
        assert np.array_equal(infos["soc"], step.measures["soc"].flatten().numpy())
        assert np.array_equal(infos["price"], step.measures["price"].repeat_interleave(7).numpy())
        assert infos["_soc"].all()
        assert not (terminations | truncations).any()
        assert np.array_equal(env.state(), task.state().numpy())


def ends(env: VectorTask) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]]:
    """Three steps of episodes of two."""
    env.reset(seed=0)
    outcomes = [env.step(np.full(env.action_space.shape, 0.5)) for _ in range(3)]
    return [(seen, rewards, truncations, infos) for seen, rewards, _, truncations, infos in outcomes]


def test_the_step_after_an_end_begins_the_next_episode() -> None:
    env = accord.envs.vector_env(SEVEN, 2, horizon=2)
    assert env.metadata["autoreset_mode"] == gymnasium.vector.AutoresetMode.NEXT_STEP
    first, last, fresh = ends(env)
    assert [bool(truncations.all()) for _, _, truncations, _ in (first, last, fresh)] == [False, True, False]
    assert last[1].all()
    assert not fresh[1].any()
    assert not fresh[3]["usage/import"].any()
    task = accord.envs.make(SEVEN)
    generator = torch.Generator().manual_seed(0)
    task.reset(2, generator, horizon=2)
    again = task.reset(2, generator, horizon=2).obs
    assert np.array_equal(fresh[0], again.flatten(0, 1).numpy())


def test_before_gymnasium_1_the_step_that_ends_begins_the_next_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    next_step = ends(accord.envs.vector_env(SEVEN, 2, horizon=2))
    monkeypatch.setattr(vector, "NEXT_STEP", False)
    first, last, fresh = ends(accord.envs.vector_env(SEVEN, 2, horizon=2))
    assert [bool(truncations.all()) for _, _, truncations, _ in (first, last, fresh)] == [False, True, False]
    assert np.array_equal(last[1], next_step[1][1])
    assert np.array_equal(last[0], next_step[2][0])  # of the next episode
    assert np.array_equal(np.stack(last[3]["final_observation"]), next_step[1][0])
    assert last[3]["final_info"][3]["usage/import"] == next_step[1][3]["usage/import"][3] > 0
    assert "final_observation" not in first[3]


def test_wrappers_of_gymnasium_take_it() -> None:
    env = RecordEpisodeStatistics(accord.envs.vector_env("games/climbing", 2))
    assert env.action_space == gymnasium.spaces.MultiDiscrete([3] * 4)
    env.reset(seed=0)
    for _ in range(25):
        *_, infos = env.step(np.zeros(4, dtype=np.int64))
    assert infos["episode"]["r"].tolist() == [25 * 11 / 2] * 4


def test_an_agent_that_stops_stays_until_its_copy_ends() -> None:
    env = accord.envs.vector_env("allocation_10x2/radius-1/failures", 4, horizon=100)
    env.reset(seed=0)
    alive = np.ones(40)
    for n in range(100):
        _, rewards, terminations, truncations, infos = env.step(np.zeros((40, 2)))
        assert not rewards[alive == 0].any()
        assert not terminations.any()
        assert truncations.all() == (n == 99)
        assert (infos["alive"] <= alive).all()
        alive = infos["alive"]
    assert 0 < alive.sum() < 40


@pytest.mark.parametrize(
    ("address", "actions", "said"),
    [
        (
            SEVEN,
            np.zeros((13, 2)),
            r"an array \(13, 2\) of float64 from 0 to 0; allowed: an array \(14, 2\) of numbers in \[0",
        ),
        (SEVEN, np.full((14, 2), np.nan), "from nan to nan; allowed: an array"),
        (SEVEN, np.full((14, 2), 1.1), r"from 1\.1 to 1\.1; allowed: an array"),
        (SEVEN, [["a", "b"]] * 14, "allowed: an array"),
        (
            "games/climbing",
            np.zeros(4),
            r"of float64 from 0 to 0; allowed: an array \(4,\) of whole numbers from 0 to 2",
        ),
        ("games/climbing", np.array([0, 1, 2, 3]), "from 0 to 3; allowed: an array"),
    ],
)
def test_wrong_actions_are_named(address: str, actions: Any, said: str) -> None:
    env = accord.envs.vector_env(address, 2)
    env.reset(seed=0)
    with pytest.raises(UsageError, match=said):
        env.step(actions)


@pytest.mark.parametrize("copies", [0, -1, 2.0, True, "2"])
def test_what_is_no_number_of_copies_is_named(copies: Any) -> None:
    with pytest.raises(UsageError, match=r"copies .*: allowed are whole numbers from 1"):
        accord.envs.vector_env(SEVEN, copies)


class Lottery(ParallelEnv):
    """One agent, whose episode is as long as its seed is odd or even."""

    metadata: ClassVar[dict[str, Any]] = {"name": "lottery"}
    possible_agents: ClassVar[list[str]] = ["a"]
    max_cycles = 9

    def observation_space(self, agent: str) -> gymnasium.spaces.Space:
        return gymnasium.spaces.Box(0, 1, (1,), np.float32)

    def action_space(self, agent: str) -> gymnasium.spaces.Space:
        return gymnasium.spaces.Discrete(2)

    def reset(self, seed: int | None = None, options: dict | None = None) -> Any:
        assert seed is not None
        self.agents, self.left = ["a"], 2 + seed % 2
        return {"a": np.zeros(1, np.float32)}, {"a": {}}

    def step(self, actions: Any) -> Any:
        self.left -= 1
        self.agents = ["a"] if self.left else []
        return {"a": np.zeros(1, np.float32)}, {"a": 1.0}, {"a": not self.left}, {"a": False}, {"a": {}}


def test_copies_that_end_at_different_steps_are_refused() -> None:
    env = VectorTask(TaskFromParallel(Lottery), 2)
    env.reset(seed=0)
    env.step(np.zeros(2, dtype=np.int64))
    with pytest.raises(UsageError, match="'lottery': its copies end at different steps; allowed is copies=1"):
        env.step(np.zeros(2, dtype=np.int64))
    alone = VectorTask(TaskFromParallel(Lottery), 1)
    alone.reset(seed=0)
    left = alone.task._envs[0].left  # type: ignore[attr-defined]
    ended = [bool(alone.step(np.zeros(1, dtype=np.int64))[2][0]) for _ in range(left)]
    assert ended == [False] * (left - 1) + [True]


def test_torchrl_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tensordict", "torchrl"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match="torchrl_env needs the package torchrl: pip install torchrl"):
        accord.envs.torchrl_env(SEVEN, 2)
