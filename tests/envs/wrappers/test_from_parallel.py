"""A third-party PettingZoo environment as a Task: deaths, masks, padding, seeds, and every refusal."""

from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
import torch
from pettingzoo import ParallelEnv
from pettingzoo.test.example_envs import generated_agents_parallel_v0

import accord.envs
from accord.envs.errors import UsageError
from accord.envs.task import Box, Discrete
from accord.envs.wrappers.parallel import ParallelTask, TaskFromParallel

SEVEN = "campus_seven/two_groups/hourly-0.35"


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("address", [SEVEN, "homes_17/ring/average-0.2"])
def test_there_and_back_again_gives_the_rewards_of_the_original(address: str) -> None:
    there = TaskFromParallel(lambda: accord.envs.parallel_env(address))
    task = accord.envs.make(address)
    first = int(torch.randint(2**31 - 1 - 2, (1,), generator=seeded(5)))
    back = there.reset(2, seeded(5), horizon=30, initial="random")
    singles = [accord.envs.make(address) for _ in range(2)]
    steps = [single.reset(1, seeded(first + b), initial="random") for b, single in enumerate(singles)]
    assert (there.spec.horizon, there.spec.state_dim) == (task.spec.horizon, task.spec.state_dim)
    assert (there.spec.action, there.spec.obs_dim) == (task.spec.action, task.spec.obs_dim)
    draw = seeded(6)
    for k in range(30):
        assert torch.equal(back.obs, torch.cat([step.obs for step in steps]))
        assert torch.equal(there.state(), torch.cat([single.state() for single in singles]))
        assert back.alive.all()
        actions = 1.4 * torch.rand(2, task.spec.n_agents, 2, generator=draw) - 0.2
        back = there.step(actions)
        steps = [single.step(action[None]) for single, action in zip(singles, actions, strict=True)]
        assert torch.equal(back.reward, torch.cat([step.reward for step in steps]))
        assert back.truncated.tolist() == [k == 29] * 2
    assert back.alive.all()  # cut by the clock, so their values go on
    assert not there.step(actions).alive.any()
    assert not back.terminated.any()


class Countdown(ParallelEnv):
    """Agent i lives for `lives[i]` steps, sees its own number of steps left, and earns its action."""

    metadata: ClassVar[dict[str, Any]] = {"name": "countdown"}

    def __init__(self, lives: tuple[int, ...], spaces: list[Any], max_cycles: int | None = 50, cut: int = 99) -> None:
        self.possible_agents = [f"c{i}" for i in range(len(lives))]
        self._lives = dict(zip(self.possible_agents, lives, strict=True))
        self._spaces = dict(zip(self.possible_agents, spaces, strict=True))
        self.max_cycles, self._cut = max_cycles, cut
        self.taken: list[dict[str, Any]] = []

    def observation_space(self, agent: str) -> gymnasium.spaces.Space:
        return gymnasium.spaces.Box(0, 99, (1 + self.possible_agents.index(agent),), np.float32)

    def action_space(self, agent: str) -> gymnasium.spaces.Space:
        return self._spaces[agent]

    def reset(self, seed: int | None = None, options: dict | None = None) -> Any:
        self.agents, self.t, self.seed = list(self.possible_agents), 0, seed
        return self._see(), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> Any:
        assert set(actions) == set(self.agents)
        self.taken.append(actions)
        self.t += 1
        terminated = {agent: self.t >= self._lives[agent] for agent in self.agents}
        truncated = dict.fromkeys(self.agents, self.t >= self._cut)
        seen = self._see()
        infos: dict[str, dict] = {agent: {} for agent in self.agents}
        self.agents = [agent for agent in self.agents if not (terminated[agent] or truncated[agent])]
        return seen, {agent: float(np.sum(a)) for agent, a in actions.items()}, terminated, truncated, infos

    def _see(self) -> dict[str, Any]:
        return {a: np.full(self.observation_space(a).shape, self._lives[a] - self.t, np.float32) for a in self.agents}


def discrete(*sizes: int, **kwargs: Any) -> Callable[[], Countdown]:
    return lambda: Countdown((1, 3, 2), [gymnasium.spaces.Discrete(n) for n in sizes], **kwargs)


def test_agents_that_die_are_masked_and_earn_nothing() -> None:
    task = TaskFromParallel(discrete(2, 2, 2))
    step = task.reset(2, seeded(0))
    assert step.obs[0].tolist() == [[1, 0, 0], [3, 3, 0], [2, 2, 2]]
    alive, reward = [step.alive[0].tolist()], []
    for _ in range(5):
        step = task.step(torch.ones(2, 3, 1, dtype=torch.long))
        alive.append(step.alive[0].tolist())
        reward.append(step.reward[0].tolist())
    assert alive == [[True] * 3, [False, True, True], [False, True, False], *[[False] * 3] * 3]
    assert reward == [[1, 1, 1], [0, 1, 1], [0, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert step.terminated.all()  # it stays ended
    assert not step.truncated.any()
    assert not step.obs.any()
    assert not task.state().any()
    assert not task.reset(1, seeded(0)).terminated.any()


def test_a_copy_whose_last_agents_are_truncated_is_truncated() -> None:
    task = TaskFromParallel(discrete(2, 2, 2, cut=2))
    task.reset(1, seeded(0))
    task.step(torch.zeros(1, 3, 1))
    step = task.step(torch.zeros(1, 3, 1))
    assert (step.truncated.item(), step.terminated.item()) == (True, False)
    assert step.alive[0].tolist() == [False, True, False]  # c2 terminated in the same step


def test_the_horizon_truncates_what_still_runs() -> None:
    task = TaskFromParallel(discrete(2, 2, 2), horizon=2)
    assert task.spec.horizon == 2
    task.reset(1, seeded(0))
    task.step(torch.zeros(1, 3, 1))
    step = task.step(torch.zeros(1, 3, 1))
    assert step.truncated.all()
    assert step.alive[0].tolist() == [False, True, False]
    task.reset(1, seeded(0), horizon=3)
    step = [task.step(torch.zeros(1, 3, 1)) for _ in range(3)][-1]
    assert (step.truncated.item(), step.terminated.item()) == (False, True)


def test_discrete_actions_of_different_numbers_are_masked() -> None:
    task = TaskFromParallel(discrete(2, 4, 3))
    assert task.spec.action == Discrete(4)
    step = task.reset(2, seeded(0))
    assert step.action_mask is not None
    assert step.action_mask[1].int().tolist() == [[1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 0]]
    with pytest.raises(UsageError, match="action of 'c2' is 3; allowed: 0 to 2"):
        task.step(torch.full((2, 3, 1), 3) * torch.tensor([0, 0, 1])[:, None])
    assert TaskFromParallel(discrete(2, 2, 2)).reset(1, seeded(0)).action_mask is None


def test_masks_of_the_environment_are_handed_on() -> None:
    class Masked(Countdown):
        def observation_space(self, agent: str) -> gymnasium.spaces.Space:
            inner = super().observation_space(agent)
            mask = gymnasium.spaces.MultiBinary(2)
            return gymnasium.spaces.Dict({"observation": inner, "action_mask": mask})

        def _see(self) -> dict[str, Any]:
            left = {agent: self._lives[agent] - self.t for agent in self.agents}
            return {a: {"observation": np.full(1 + int(a[1]), n), "action_mask": [1, n > 1]} for a, n in left.items()}

    task = TaskFromParallel(lambda: Masked((1, 3), [gymnasium.spaces.Discrete(2)] * 2))
    step = task.reset(1, seeded(0))
    assert step.obs[0].tolist() == [[1, 0], [3, 3]]
    assert step.action_mask is not None
    assert step.action_mask[0].tolist() == [[True, False], [True, True]]
    env = ParallelTask(task)
    _, infos = env.reset(seed=0)
    assert infos["agent_0"]["action_mask"].tolist() == [1, 0]
    with pytest.raises(UsageError, match=r"action of 'agent_0': 1; allowed: one of \[0\]"):
        env.step({"agent_0": 1, "agent_1": 0})


def test_boxes_with_one_bound_keep_it_and_others_are_scaled_from_the_unit_interval() -> None:
    def build(*bounds: tuple[float, float]) -> Countdown:
        return Countdown((3, 3), [gymnasium.spaces.Box(low, high, (2,), np.float32) for low, high in bounds])

    same = TaskFromParallel(lambda: build((-1, 1), (-1, 1)))
    assert same.spec.action == Box(2, -1.0, 1.0)
    same.reset(1, seeded(0))
    step = same.step(torch.tensor([[[-0.5, 0.25], [5.0, 0.0]]]))
    assert step.reward.tolist() == [[-0.25, 1.0]]
    mixed = TaskFromParallel(lambda: build((-1, 1), (0, 10)))
    assert mixed.spec.action == Box(2, 0.0, 1.0)
    mixed.reset(1, seeded(0))
    assert mixed.step(torch.tensor([[[0.0, 0.75], [0.5, 0.25]]])).reward.tolist() == [[-0.5, 7.5]]


def test_agents_of_one_kind_share_a_type_and_copies_have_seeds_of_their_own() -> None:
    task = TaskFromParallel(lambda: accord.envs.parallel_env(SEVEN))
    assert task.spec.agent_types.tolist() == [0] * 7
    assert TaskFromParallel(discrete(2, 2, 3)).spec.agent_types.tolist() == [0, 1, 2]
    built: list[Countdown] = []
    task = TaskFromParallel(lambda: built.append(discrete(2, 2, 2)()) or built[-1])  # type: ignore[func-returns-value]
    task.reset(4, seeded(1))
    seeds = [env.seed for env in built]
    assert len(set(seeds)) == 4
    task.reset(4, seeded(1))
    assert seeds == [env.seed for env in built]


def test_a_task_from_a_third_party_is_a_parallel_environment_again() -> None:
    env = ParallelTask(TaskFromParallel(discrete(2, 4, 3)))
    _, infos = env.reset(seed=0)
    assert infos["agent_0"]["action_mask"].tolist() == [1, 1, 0, 0]
    *_, terminations, truncations, _ = env.step({"agent_0": 1, "agent_1": 3, "agent_2": 2})
    assert terminations == {"agent_0": True, "agent_1": False, "agent_2": False}
    assert not any(truncations.values())
    assert env.agents == ["agent_1", "agent_2"]
    for wrong in (1.0, True, [1], 4, -1, "1"):
        with pytest.raises(UsageError, match=r"action of 'agent_1': .*; allowed: one of "):
            env.step({"agent_1": wrong, "agent_2": 0})
    with pytest.raises(UsageError, match="'agent_9': not an agent of this step; allowed: agent_1, agent_2"):
        env.step({"agent_9": 0, "agent_1": 0, "agent_2": 0})
    # An action of an agent that has left is passed over: TorchRL goes on sending it.
    env.step({"agent_0": 9, "agent_1": np.int64(3), "agent_2": np.array(0)})
    *_, terminations, _, _ = env.step({"agent_1": 0})
    assert terminations == {"agent_1": True}
    assert env.agents == []


BOX, TWO = gymnasium.spaces.Box(0, 1, (2,), np.float32), gymnasium.spaces.Discrete(2)


@pytest.mark.parametrize(
    ("spaces", "message"),
    [
        ([BOX, TWO], r"'countdown': action space of 'c1' is Discrete\(2\); allowed: all agents Discrete, or"),
        ([BOX, gymnasium.spaces.Box(-np.inf, np.inf, (2,))], "action space of 'c1' is Box.*finite bounds"),
        ([TWO, gymnasium.spaces.MultiDiscrete([2, 2])], "action space of 'c0'"),
        ([gymnasium.spaces.Box(0, 9, (2,), np.int64)] * 2, "action space of 'c0' is Box.*of floats"),
    ],
)
def test_action_spaces_without_a_place_in_a_task_are_refused(spaces: list[Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TaskFromParallel(lambda: Countdown((1, 2), spaces))


def test_environments_without_a_place_in_a_task_are_refused() -> None:
    with pytest.raises(UsageError, match="'countdown': max_cycles is None; give `horizon`"):
        TaskFromParallel(discrete(2, 2, 2, max_cycles=None))
    with pytest.raises(UsageError, match="'countdown': has no possible_agents"):
        TaskFromParallel(lambda: Countdown((), []))
    with pytest.raises(UsageError, match="'generated_agents_parallel_v0': has no possible_agents"):
        TaskFromParallel(generated_agents_parallel_v0.parallel_env)
    shared = discrete(2, 2, 2)()
    with pytest.raises(UsageError, match="'countdown': env_fn returned one environment twice"):
        TaskFromParallel(lambda: shared).reset(2, seeded(0))

    class Endless(Countdown):
        def observation_space(self, agent: str) -> gymnasium.spaces.Space:
            return gymnasium.spaces.Sequence(BOX)

    with pytest.raises(UsageError, match=r"observation space of 'c0' is Sequence.*fixed number of entries"):
        TaskFromParallel(lambda: Endless((1,), [TWO]))

    class Newcomer(Countdown):
        def reset(self, seed: int | None = None, options: dict | None = None) -> Any:
            first = super().reset(seed, options)
            self.agents.append("stranger")
            return first

    with pytest.raises(UsageError, match="agent 'stranger' is not among its possible_agents"):
        TaskFromParallel(lambda: Newcomer((1,), [TWO])).reset(1, seeded(0))


def test_tasks_without_budgets_have_empty_usage() -> None:
    task = TaskFromParallel(discrete(2, 2, 2))
    step = task.reset(2, seeded(0))
    assert (step.usage.shape, step.active.shape, step.counted.shape) == ((2, 3, 0), (2, 1, 0), (2, 0))
    assert step.shortfall is None
    assert not task.spec.separable
    with pytest.raises(TypeError, match="not separable"):
        task.sample_agents(2, seeded(0))
