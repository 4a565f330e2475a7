"""The PPO trunk on problems whose answers are known."""

from typing import Any

import pytest
import torch
from torch import Tensor

from accord.baselines.base import Effort, NoCheckpoint, Training
from accord.baselines.testing import MemoryCheckpoint
from accord.baselines.training.environment import Observation, Shapes
from accord.baselines.training.ppo import ActorCritic, PPOConfig, _advantages, _rollout, _update, train_ppo
from accord.envs.task import Box, Discrete


class Bandit:
    """One-step problem: the reward is −(action − target(obs))², the best action is known."""

    shapes = Shapes(1, 1, Box(1))
    groups, agents, horizon = 128, 2, 4
    weights = torch.ones(1)

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def reset(self) -> Observation:
        return self._see()

    def step(self, actions: Tensor) -> tuple[Observation, Tensor, Tensor]:
        reward = -(actions - 0.8 * self._obs).square()
        return self._see(), reward, torch.ones(self.groups, self.agents, dtype=torch.bool)

    def refresh(self, view: Observation) -> Observation:
        return view

    def anneal(self, fraction: float) -> None:
        pass

    def measures(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        assert state == {}

    def _see(self) -> Observation:
        self._obs = 2 * torch.rand(self.groups, self.agents, 1, generator=self._generator) - 1
        return Observation(self._obs, self._obs[:, 0])


class Constant(Bandit):
    """Pays 1 in every step and never terminates."""

    def step(self, actions: Tensor) -> tuple[Observation, Tensor, Tensor]:
        shape = (self.groups, self.agents)
        return self._see(), torch.ones(*shape, 1), torch.zeros(shape, dtype=torch.bool)


class Choice(Bandit):
    """Two actions; the first pays 1 of one objective, the second 1 of another."""

    shapes = Shapes(1, 1, Discrete(2), objectives=2)
    weights = torch.tensor([1.0, 2.0])

    def step(self, actions: Tensor) -> tuple[Observation, Tensor, Tensor]:
        paid = torch.eye(2)[actions.squeeze(-1)]
        return self._see(), paid, torch.ones(self.groups, self.agents, dtype=torch.bool)


class OtherChoice(Choice):
    """The first objective weighs more."""

    weights = torch.tensor([1.0, 0.5])


class Recall(Bandit):
    """A bit is shown in the first of three steps; naming it in the last one pays 1."""

    shapes = Shapes(1, 1, Discrete(2))
    horizon = 3

    def reset(self) -> Observation:
        self._bit = torch.randint(2, (self.groups, self.agents, 1), generator=self._generator)
        self._elapsed = 0
        return self._look()

    def step(self, actions: Tensor) -> tuple[Observation, Tensor, Tensor]:
        self._elapsed += 1
        last = self._elapsed == self.horizon
        reward = (actions == self._bit).float() * last
        return self._look(), reward, torch.full((self.groups, self.agents), last)

    def _look(self) -> Observation:
        shown = (2.0 * self._bit - 1) * (self._elapsed == 0)
        return Observation(shown, shown[:, 0])


class Stops(Bandit):
    """Every agent stops after some steps of its own; what it shows and is paid from then on means nothing."""

    def reset(self) -> Observation:
        self._left = torch.randint(1, self.horizon + 1, (self.groups, self.agents), generator=self._generator)
        return self._living()

    def step(self, actions: Tensor) -> tuple[Observation, Tensor, Tensor]:
        self._left = self._left - 1
        return self._living(), actions.square(), self._left <= 0

    def _living(self) -> Observation:
        seen = self._see()
        return Observation(seen.obs, seen.state, self._left > 0)


def train(
    env_type: type[Bandit], config: PPOConfig, steps: int, checkpoint: Any = None, seconds: float = 1e9
) -> ActorCritic:
    generator = torch.Generator().manual_seed(0)
    env = env_type(generator)
    model = ActorCritic(env.shapes, config, generator)
    train_ppo(
        env,
        model,
        config,
        Training(Effort(steps, seconds), generator, checkpoint=checkpoint or NoCheckpoint()),
        learned=model.state_dict,
    )
    return model


SMALL = PPOConfig(hidden=(32, 32), lr=3e-3, minibatch=256, rollout_steps=4, log_std_end=-1.5)
MEMORY = PPOConfig(hidden=(16,), recurrent=True, lr=1e-2, minibatch=768, rollout_steps=3)


def test_learns_the_best_action_of_a_bandit() -> None:
    model = train(Bandit, SMALL, 80_000)
    obs = torch.linspace(-1, 1, 9)[:, None, None]
    assert (model.actor.mode(obs, None)[0] - 0.8 * obs).abs().max() < 0.1


def test_time_limits_are_bootstrapped_and_not_taken_for_ends() -> None:
    # A reward of 1 for ever is worth 1/(1 − γ) however short the episodes are.
    model = train(Constant, SMALL.model_copy(update={"gamma": 0.9}), 100_000)
    value, _ = model.value(torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1))
    assert float(value.detach()) == pytest.approx(10.0, abs=0.5)


def column(*numbers: float) -> Tensor:
    """One group, one agent, one objective: [T, 1, 1, 1]."""
    return torch.tensor(numbers)[:, None, None, None]


def flags(*values: bool) -> Tensor:
    return torch.tensor(values)[:, None, None]


def test_advantages_match_their_definition() -> None:
    config = PPOConfig(gamma=0.9, gae_lambda=0.8)
    reward, value = column(1.0, 2.0, 3.0), column(0.5, 0.4, 0.3, 0.2)
    delta = [1 + 0.9 * 0.4 - 0.5, 2 - 0.4, 3 + 0.9 * 0.2 - 0.3]
    expected = [delta[0] + 0.72 * delta[1], delta[1], delta[2]]
    got = _advantages(reward, value, flags(False, True, False), config)
    assert got.flatten().tolist() == pytest.approx(expected)


def test_an_episode_cut_in_a_rollout_is_bootstrapped_and_hears_nothing_of_what_follows() -> None:
    config = PPOConfig(gamma=0.9, gae_lambda=0.8)
    reward, value = column(1.0, 2.0, 1e6), column(0.5, 0.4, 0.3, 0.2)
    delta = [1 + 0.9 * 0.4 - 0.5, 2 + 0.9 * 0.3 - 0.4]
    got = _advantages(reward, value, flags(False, False, False), config, flags(True, True, False))
    assert got.flatten()[:2].tolist() == pytest.approx([delta[0] + 0.72 * delta[1], delta[1]])


def test_what_comes_after_an_episodes_end_does_not_change_the_update() -> None:
    def updated(garbage: float) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(3)
        env = Stops(generator)
        model = ActorCritic(env.shapes, SMALL, generator)
        optimiser = torch.optim.Adam(model.parameters(), lr=SMALL.lr)
        memories = model.actor.start(env.groups, env.agents), model.critic_start(env.groups, env.agents)
        _, _, batch = _rollout(env, model, SMALL, env.reset(), memories, generator)
        over = ~batch["valid"]
        assert 0 < over.sum() < over.numel()
        for name in ("obs", "action", "advantage", "target", "log_prob"):
            batch[name][over] += garbage
        _update(model, optimiser, batch, SMALL, generator)
        return model.state_dict()

    clean, dirty = updated(0.0), updated(3.0)
    assert all(torch.equal(value, dirty[name]) for name, value in clean.items())


def test_a_rollout_after_everyone_has_left_teaches_nothing() -> None:
    generator = torch.Generator().manual_seed(3)
    env = Stops(generator)
    model = ActorCritic(env.shapes, SMALL, generator)
    memories = model.actor.start(env.groups, env.agents), model.critic_start(env.groups, env.agents)
    _, _, batch = _rollout(env, model, SMALL, env.reset(), memories, generator)
    batch["valid"][:] = False
    batch["valid"][0, 0, 0] = True  # one sample has no spread to be normalised by
    before = {name: value.clone() for name, value in model.state_dict().items()}
    _update(model, torch.optim.Adam(model.parameters(), lr=SMALL.lr), batch, SMALL, generator)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_objectives_count_by_their_weights() -> None:
    config = SMALL.model_copy(update={"hidden": (16,)})
    for env_type, best in ((Choice, 1), (OtherChoice, 0)):
        model = train(env_type, config, 20_000)
        assert (model.actor.mode(torch.zeros(3, 1, 1), None)[0] == best).all(), env_type
    # The critic keeps the objectives apart: the action that is always taken earns 1 of one and 0 of the other.
    value, _ = model.value(torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1))
    assert value.flatten().tolist() == pytest.approx([1.0, 0.0], abs=0.15)


@pytest.mark.parametrize(("recurrent", "share"), [(True, 1.0), (False, 0.5)])
def test_only_a_policy_with_memory_recalls_what_it_saw(recurrent: bool, share: float) -> None:
    model = train(Recall, MEMORY.model_copy(update={"recurrent": recurrent}), 50_000)
    env = Recall(torch.Generator().manual_seed(9))
    with torch.no_grad():
        view, memory = env.reset(), model.actor.start(env.groups, env.agents)
        for _ in range(env.horizon):
            action, memory = model.actor.mode(view.obs, memory)
            view, reward, _ = env.step(action)
    assert float(reward.mean()) == pytest.approx(share, abs=0.1)


@pytest.mark.parametrize(("env_type", "config"), [(Bandit, SMALL), (Recall, MEMORY)], ids=["plain", "recurrent"])
def test_interrupted_training_goes_on_bit_for_bit(env_type: type[Bandit], config: PPOConfig) -> None:
    whole = MemoryCheckpoint()
    train(env_type, config, 15_000, whole)
    part = MemoryCheckpoint()
    part.states = whole.states[: len(whole.states) // 2]
    assert 0 < len(part.states) < len(whole.states)
    resumed = train(env_type, config, 15_000, part)
    for name, value in whole.states[-1]["kept"]["model"].items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_stops_at_the_time_limit() -> None:
    kept = MemoryCheckpoint()
    train(Bandit, SMALL, 10**9, kept, seconds=0.2)
    assert 0 < kept.states[-1]["done"] < 10**6
