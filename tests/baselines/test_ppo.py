"""The PPO trunk on problems whose answers are known."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.base import Effort, NoCheckpoint
from baselines.ppo import ActorCritic, PPOConfig, _advantages, train_ppo


class Bandit:
    """One-step problem: the reward is −(action − target(obs))², the best action is known."""

    obs_dim = critic_dim = action_dim = 1
    lanes, horizon = 256, 4

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def reset(self) -> tuple[Tensor, Tensor]:
        return self._see()

    def step(self, draw: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        reward = -(draw[:, 0] - 0.8 * self._obs[:, 0]).square()
        ended = torch.ones(self.lanes, dtype=torch.bool)
        return *self._see(), reward, ended

    def measures(self) -> dict[str, float]:
        return {}

    def _see(self) -> tuple[Tensor, Tensor]:
        self._obs = 2 * torch.rand(self.lanes, 1, generator=self._generator) - 1
        return self._obs, self._obs


class Constant(Bandit):
    """Pays 1 in every step and never terminates."""

    def step(self, draw: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return *self._see(), torch.ones(self.lanes), torch.zeros(self.lanes, dtype=torch.bool)


class Kept:
    """A checkpoint in memory that can be cut off after some saves."""

    def __init__(self) -> None:
        self.states: list[dict[str, Any]] = []

    def load(self) -> dict[str, Any] | None:
        return self.states[-1] if self.states else None

    def save(self, state: dict[str, Any]) -> None:
        copies = {name: _copied(value) for name, value in state.items()}
        self.states.append(copies)


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, Mapping):
        return {name: _copied(part) for name, part in value.items()}
    return [_copied(part) for part in value] if isinstance(value, list) else value


def train(
    env_type: type[Bandit], config: PPOConfig, steps: int, checkpoint: Any = None, seconds: float = 1e9
) -> ActorCritic:
    generator = torch.Generator().manual_seed(0)
    env = env_type(generator)
    model = ActorCritic(1, 1, 1, config, generator)
    train_ppo(env, model, config, Effort(steps, seconds), generator, lambda row: None, checkpoint or NoCheckpoint())
    return model


SMALL = PPOConfig(hidden=(32, 32), lr=3e-3, minibatch=256, rollout_steps=4, log_std_end=-1.5)


def test_learns_the_best_action_of_a_bandit() -> None:
    model = train(Bandit, SMALL, 120_000)
    obs = torch.linspace(-1, 1, 9)[:, None]
    assert (model.actor(obs) - 0.8 * obs).abs().max() < 0.1


def test_time_limits_are_bootstrapped_and_not_taken_for_ends() -> None:
    # A reward of 1 for ever is worth 1/(1 − γ) however short the episodes are.
    model = train(Constant, SMALL.model_copy(update={"gamma": 0.9}), 250_000)
    assert float(model.value(torch.zeros(1, 1)).detach()) == pytest.approx(10.0, abs=0.5)


def test_advantages_match_their_definition() -> None:
    config = PPOConfig(gamma=0.9, gae_lambda=0.8)
    reward, value = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[0.5], [0.4], [0.3], [0.2]])
    ended = torch.tensor([[False], [True], [False]])
    delta = [1 + 0.9 * 0.4 - 0.5, 2 - 0.4, 3 + 0.9 * 0.2 - 0.3]
    expected = [delta[0] + 0.72 * delta[1], delta[1], delta[2]]
    assert _advantages(reward, value, ended, config)[:, 0].tolist() == pytest.approx(expected)


def test_interrupted_training_goes_on_bit_for_bit() -> None:
    whole = Kept()
    train(Bandit, SMALL, 40_000, whole)
    part = Kept()
    part.states = whole.states[: len(whole.states) // 2]
    assert 0 < len(part.states) < len(whole.states)
    resumed = train(Bandit, SMALL, 40_000, part)
    for name, value in whole.states[-1]["model"].items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_stops_at_the_time_limit() -> None:
    kept = Kept()
    train(Bandit, SMALL, 10**9, kept, seconds=0.2)
    assert kept.states[-1]["seconds"] < 5.0
    assert 0 < kept.states[-1]["rollouts"] < 10**6
