"""What third-party environments hand out: what is taken as it is, and what is refused with the agent and the step."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, Space, Tuple
from pettingzoo import ParallelEnv

from accord.baselines import make_method
from accord.baselines.base import Effort, Training
from accord.envs.errors import UsageError
from accord.envs.network import Network
from accord.envs.task import Step
from accord.envs.wrappers.parallel import TaskFromParallel

BOX = Box(-9, 9, (2,), np.float32)
SEEN = np.array([1.0, 2.0], np.float32)


class Foreign(ParallelEnv):
    """Two agents with three actions for three steps; every attribute can be spoilt."""

    metadata: ClassVar[Any] = {"name": "foreign"}
    possible_agents: ClassVar[list[str]] = ["a", "b"]
    space: ClassVar[Space] = BOX
    seen: ClassVar[Any] = SEEN
    reward: ClassVar[Any] = 1.0
    info: ClassVar[Any] = {}

    def observation_space(self, agent: str) -> Space:
        return self.space

    def action_space(self, agent: str) -> Space:
        return Discrete(3)

    def reset(self, seed: int | None = None, options: dict | None = None) -> Any:
        self.agents, self.t = list(self.possible_agents), 0
        return self._see(), self._infos()

    def step(self, actions: dict[str, Any]) -> Any:
        self.t += 1
        acting, over = self.agents, self.t == 3
        seen, infos = self._see(), self._infos()
        self.agents = [] if over else acting
        rewards = dict.fromkeys(acting, self.reward)
        return seen, rewards, dict.fromkeys(acting, over), dict.fromkeys(acting, False), infos

    def _see(self) -> dict[str, Any]:
        return dict.fromkeys(self.agents, self.seen)

    def _infos(self) -> dict[str, Any]:
        return dict.fromkeys(self.agents, self.info)


def spoilt(**attributes: Any) -> Callable[[], Foreign]:
    return type("Foreign", (Foreign,), attributes)


def after(env: Callable[[], Foreign], steps: int = 1) -> Step:
    task = TaskFromParallel(env, horizon=3)
    step = task.reset(1, torch.Generator())
    for _ in range(steps):
        step = task.step(torch.zeros(1, 2, 1, dtype=torch.long))
    return step


MASKED = {"action_mask": Box(0, 1, (3,), np.int8)}
MASK = [1, 0, 1]


@pytest.mark.parametrize("key", ["observation", "obs", "observations"])
def test_a_mask_stands_beside_an_observation_of_any_name(key: str) -> None:
    step = after(spoilt(space=Dict({key: BOX, **MASKED}), seen={key: SEEN, "action_mask": MASK}))
    assert step.obs[0].tolist() == [[1, 2], [1, 2]]
    assert step.action_mask is not None
    assert step.action_mask[0].tolist() == [[True, False, True]] * 2


def test_entries_beside_a_mask_and_an_observation_are_seen_too() -> None:
    space = Dict({"observation": BOX, "team": Discrete(2), **MASKED})
    step = after(spoilt(space=space, seen={"observation": SEEN, "team": 1, "action_mask": MASK}))
    assert step.obs[0].tolist() == [[1, 2, 0, 1]] * 2


def test_a_mask_that_the_space_does_not_name_and_one_that_is_left_out() -> None:
    step = after(spoilt(seen={"whatever": SEEN, "action_mask": np.array(MASK, bool)}))
    assert step.obs[0].tolist() == [[1, 2], [1, 2]]
    assert step.action_mask is not None
    step = after(spoilt(space=Dict({"obs": BOX, **MASKED}), seen={"obs": SEEN}))
    assert step.action_mask is None


@pytest.mark.parametrize("reward", [np.array([2.0]), np.float64(2), np.int64(2), np.array(2.0), torch.tensor(2.0)])
def test_rewards_of_one_number_count_whatever_holds_it(reward: Any) -> None:
    assert after(spoilt(reward=reward)).reward.tolist() == [[2, 2]]


def test_infos_of_nothing_are_empty_ones() -> None:
    assert after(spoilt(info=None)).alive.all()
    assert after(spoilt(_infos=lambda self: None)).alive.all()
    assert after(spoilt(metadata=None)).alive.all()


def test_a_reset_without_options_is_enough_where_there_are_none() -> None:
    env = spoilt(reset=lambda self, seed=None: Foreign.reset(self))
    assert after(env).alive.all()
    with pytest.raises(UsageError, match=r"'foreign': its reset takes no options; allowed: reset\(seed=None, opt"):
        TaskFromParallel(env, horizon=3).reset(1, torch.Generator(), start=4)
    with pytest.raises(UsageError, match="its reset takes no seed"):
        after(spoilt(reset=lambda self: Foreign.reset(self)))


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"seen": np.zeros(3)}, r"observation of 'a' at step 0 is of shape \(3,\); allowed: what its space says, Box"),
        ({"seen": np.zeros(1)}, r"observation of 'a' at step 0 is of shape \(1,\)"),
        ({"seen": np.zeros((2, 1))}, r"observation of 'a' at step 0 is of shape \(2, 1\)"),
        ({"seen": [[1.0], [1.0, 2.0]]}, "observation of 'a' at step 0 is rows of different lengths"),
        ({"seen": None}, "observation of 'a' at step 0 is None"),
        ({"seen": ["x", "y"]}, "observation of 'a' at step 0 has entries that are no numbers"),
        ({"seen": {"obs": SEEN}}, "observation of 'a' at step 0 is a dict of 'obs'"),
        ({"space": Discrete(2), "seen": 2}, "observation of 'a' at step 0 is 2; allowed: .*Discrete"),
        ({"space": MultiBinary(2), "seen": [1]}, r"observation of 'a' at step 0 is of shape \(1,\)"),
        ({"space": Tuple([BOX, BOX]), "seen": (SEEN,)}, r"observation of 'a' at step 0 is of shape \(1, 2\)"),
        ({"space": Dict({"x": BOX, "y": BOX}), "seen": {"x": SEEN}}, "observation of 'a' at step 0 has no 'y'"),
        (
            {"space": Dict({"obs": BOX, **MASKED}), "seen": {"action_mask": MASK}},
            "observation of 'a' at step 0 is None",
        ),
        ({"info": {"action_mask": [1, 1]}}, r"action_mask of 'a' at step 0 is of shape \(2,\); allowed: 3 numbers"),
        ({"info": {"action_mask": [1, 2, 0]}}, "action_mask of 'a' at step 0 .* allowed: 3 numbers, each 0 or 1"),
        ({"info": {"action_mask": [0, 0, 0]}}, "action_mask of 'a' at step 0 allows nothing; allowed: at least one"),
        ({"info": 3}, "info of 'a' at step 0 is 3; allowed: a dict"),
        ({"reward": None}, "reward of 'a' at step 1 is None; allowed: one finite number"),
        ({"reward": [1.0, 2.0]}, r"reward of 'a' at step 1 is of shape \(2,\)"),
        ({"reward": "1"}, "reward of 'a' at step 1 is a str"),
        ({"reward": np.nan}, "reward of 'a' at step 1 has the value nan; allowed: finite numbers"),
        ({"seen": np.array([0, np.inf])}, "observation of 'a' at step 0 has the value inf; allowed: finite numbers"),
        ({"reset": lambda self, seed: Foreign.reset(self)[0]}, "reset returned a dict; allowed: observations, infos"),
        ({"reset": lambda self, seed: None}, "reset returned a NoneType; allowed"),
        ({"step": lambda self, actions: Foreign.step(self, actions)[:4]}, "step returned 4 values; allowed: obs"),
        ({"step": lambda self, actions: ([], {}, {}, {}, {})}, "step returned a list as observations; allowed"),
        ({"_see": lambda self: {"a": SEEN}}, "no observation of 'b' at step 0; allowed: one for everybody in agents"),
        ({"step": None}, "has no method step; allowed: PettingZoo's parallel API"),
        ({"possible_agents": ["a", "a"]}, "possible_agents are .*'a', 'a'.; allowed: each agent once"),
        ({"reset": lambda self, seed: ({}, {}), "agents": None}, "has no agents after reset; allowed: PettingZoo's"),
    ],
)
def test_what_has_no_place_in_a_step_is_refused_in_one_line(attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=f"^environment 'foreign': {message}") as refused:
        after(spoilt(**attributes))
    assert "\n" not in str(refused.value)


def test_agents_may_be_numbers_of_numpy() -> None:
    assert after(spoilt(possible_agents=np.arange(2))).alive.all()


def test_flags_are_truth_values_of_any_make() -> None:
    def step(self: Foreign, actions: dict[str, Any], flag: Any) -> Any:
        seen, rewards, _, truncations, infos = Foreign.step(self, actions)
        return seen, rewards, {"a": flag, "b": False}, truncations, infos

    for flag in (np.bool_(True), np.array([True]), 1):
        assert after(spoilt(step=lambda self, actions, f=flag: step(self, actions, f))).alive.tolist() == [
            [False, True]
        ]
    with pytest.raises(UsageError, match=r"termination of 'a' at step 1 is of shape \(2,\); allowed: True or False"):
        after(spoilt(step=lambda self, actions: step(self, actions, [True, False])))


class Listed(Foreign):
    """Its agents end one after the other, and all of them stay in `agents`."""

    ends: ClassVar[dict[str, int]] = {"a": 1, "b": 2}

    def step(self, actions: dict[str, Any]) -> Any:
        assert set(actions) == {"a", "b"}, "everybody who is listed must act"
        self.t += 1
        ended = {agent: self.t >= end for agent, end in self.ends.items()}
        return self._see(), dict.fromkeys(self.agents, 1.0), ended, dict.fromkeys(self.agents, False), self._infos()


def test_agents_that_ended_and_are_still_listed_have_ended() -> None:
    first, second = after(Listed, 1), after(Listed, 2)
    assert (first.alive.tolist(), first.reward.tolist()) == ([[False, True]], [[1, 1]])
    assert (second.alive.tolist(), second.reward.tolist()) == ([[False, False]], [[0, 1]])
    assert not first.terminated.any()
    assert second.terminated.all()
    assert not second.truncated.any()


@pytest.mark.parametrize("state", [lambda self: None, lambda self: {"t": 1.0}, lambda self: [], np.zeros(3)])
def test_a_state_without_an_array_is_none(state: Any) -> None:
    task = TaskFromParallel(spoilt(state=state), horizon=3)
    task.reset(1, torch.Generator())
    assert task.state().tolist() == [[1, 2, 1, 2]]


@pytest.mark.parametrize(
    ("state", "found"),
    [
        (lambda self: np.zeros(3 - self.t), "2 numbers, 0 of them not finite"),
        (lambda self: np.zeros(3) if self.t == 0 else None, "no numbers"),
        (lambda self: np.array([0, 1, np.nan if self.t else 0]), "3 numbers, 1 of them not finite"),
    ],
)
def test_a_state_that_changes_its_size_or_is_not_finite_is_refused(state: Any, found: str) -> None:
    task = TaskFromParallel(spoilt(state=state), horizon=3)
    task.reset(1, torch.Generator())
    assert task.state().shape == (1, 3)
    task.step(torch.zeros(1, 2, 1, dtype=torch.long))
    with pytest.raises(UsageError, match=rf"state\(\) at step 1 has {found}.*allowed: 3 finite numbers"):
        task.state()


def test_the_first_number_that_is_not_finite_ends_a_training() -> None:
    late = property(lambda self: np.nan if self.t == 2 else 1.0)
    task = TaskFromParallel(spoilt(reward=late), horizon=3)
    method = make_method("mappo", {"lanes": 8, "ppo": {"hidden": [8]}}, tuned=False)
    with pytest.raises(UsageError, match="'foreign': reward of 'a' at step 2 has the value nan"):
        method.train(task, Network.build("complete", 2), Training(Effort(400, 60.0), torch.Generator().manual_seed(0)))


def test_actions_that_are_not_finite_are_the_controllers_fault() -> None:
    task = TaskFromParallel(spoilt(action_space=lambda self, agent: BOX), horizon=3)
    task.reset(1, torch.Generator())
    with pytest.raises(UsageError, match="action of 'b' has numbers that are not finite"):
        task.step(torch.tensor([[[0.0, 1.0], [torch.nan, 0.0]]]))
