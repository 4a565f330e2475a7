"""Masks of actions that come and go: a step without one allows everything."""

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv

from accord.baselines import make_method
from accord.baselines.base import Controller, Effort, Training
from accord.baselines.training.replay import Replay
from accord.envs.network import Network
from accord.envs.wrappers.parallel import TaskFromParallel

LEARNERS = ("ippo", "mappo", "iql", "vdn", "qmix")
LENGTH = 3
PPO: dict[str, Any] = {"lanes": 8, "ppo": {"hidden": [8], "rollout_steps": 5}}
VALUES: dict[str, Any] = {"lanes": 8, "hidden": [8], "sequence": 5, "buffer": 16, "batch": 4}


class Short(ParallelEnv):
    """Two agents with two actions for three steps; the second action earns 1."""

    metadata: ClassVar[dict[str, Any]] = {"name": "short"}
    possible_agents: ClassVar[list[str]] = ["a", "b"]

    def observation_space(self, agent: str) -> Box:
        return Box(0, LENGTH, (1,), np.float32)

    def action_space(self, agent: str) -> Discrete:
        return Discrete(2)

    def reset(self, seed: int | None = None, options: dict | None = None) -> Any:
        self.agents, self.t = list(self.possible_agents), 0
        return self._see(), self._infos()

    def step(self, actions: dict[str, int]) -> Any:
        self.t += 1
        acting, over = self.agents, self.t == LENGTH
        seen, infos = self._see(), self._infos()
        self.agents = [] if over else acting
        rewards = {agent: float(action) for agent, action in actions.items()}
        return seen, rewards, dict.fromkeys(acting, over), dict.fromkeys(acting, False), infos

    def _see(self) -> dict[str, Any]:
        return {agent: np.full(1, self.t, np.float32) for agent in self.agents}

    def _infos(self) -> dict[str, dict[str, Any]]:
        return {agent: {} for agent in self.agents}


class Open(Short):
    """With masks that allow everything."""

    def _infos(self) -> dict[str, dict[str, Any]]:
        return {agent: {"action_mask": np.ones(2, np.int8)} for agent in self.agents}


class Sometimes(Short):
    """The second action is forbidden in the second step alone, and no other step has a mask."""

    def step(self, actions: dict[str, int]) -> Any:
        assert self.t != 1 or set(actions.values()) == {0}, "a forbidden action was taken"
        return super().step(actions)

    def _infos(self) -> dict[str, dict[str, Any]]:
        return {agent: {"action_mask": [1, 0]} if self.t == 1 else {} for agent in self.agents}


def trained(name: str, env: type[Short], horizon: int) -> Controller:
    method = make_method(name, PPO if name.endswith("ppo") else VALUES, tuned=False)
    training = Training(Effort(160, 60.0), torch.Generator().manual_seed(0))
    return method.train(TaskFromParallel(env, horizon=horizon), Network.build("complete", 2), training)


@pytest.mark.parametrize("horizon", [LENGTH, LENGTH + 2])
@pytest.mark.parametrize("name", LEARNERS)
def test_masks_that_allow_everything_change_nothing(name: str, horizon: int) -> None:
    open_, plain = (trained(name, env, horizon).modules()["policy"] for env in (Open, Short))
    assert all(map(torch.equal, open_.parameters(), plain.parameters()))


@pytest.mark.parametrize("name", LEARNERS)
def test_masks_of_some_steps_hold_in_these_steps(name: str) -> None:
    assert trained(name, Sometimes, LENGTH + 2).parameters > 0


def test_sequences_without_a_mask_allow_everything_beside_those_that_have_one() -> None:
    replay = Replay(3, torch.device("cpu"))
    shut = torch.zeros(2, 1, dtype=torch.bool)
    for row in ({}, {"mask": shut}, {}, {}):
        replay.add({"obs": torch.zeros(2, 1), **row})
    assert replay.state_dict()["kept"]["mask"].T.tolist() == [[True, True], [False, False], [True, True]]  # type: ignore[index]
