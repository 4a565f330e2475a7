"""The PPO trunk (Schulman et al., 2017) that every policy-gradient method here trains with.

What differs between methods is the `Environment` handed to `train_ppo`: what an actor sees, what a
critic sees and what is rewarded. Everything is in lanes: one lane is one agent of one copy of a task.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from baselines.base import Checkpoint, Effort, Log
from baselines.networks import GaussianActor, ValueNormaliser, mlp


class PPOConfig(BaseModel):
    """Settings of the trunk; defaults tuned by hand on `campus_seven`, hourly .35, seed 0."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hidden: tuple[int, ...] = Field((128, 128), description="Widths of the hidden layers, actor and critic.")
    lr: float = Field(1e-3, gt=0, description="Adam's step size at the start; it falls linearly to a tenth.")
    gamma: float = Field(0.99, gt=0, le=1, description="Discount per step.")
    gae_lambda: float = Field(0.95, ge=0, le=1, description="Decay of the advantage estimate.")
    clip_eps: float = Field(0.2, gt=0, description="Range of the probability ratio.")
    epochs: int = Field(4, ge=1, description="Passes over each rollout.")
    minibatch: int = Field(4096, ge=1, description="Samples per gradient step.")
    rollout_steps: int = Field(24, ge=1, description="Steps per rollout; an episode is rounded up to whole rollouts.")
    log_std: float = Field(-0.5, description="First log standard deviation of the actions, in half boxes.")
    log_std_end: float = Field(-1.2, description="Last one; it moves linearly, so that means end up meaning something.")
    max_grad_norm: float = Field(1.0, gt=0, description="Gradients are scaled down to this norm.")


class Environment(Protocol):
    """What `train_ppo` learns in: L lanes, all reset together."""

    obs_dim: int
    critic_dim: int
    action_dim: int
    lanes: int
    horizon: int

    def reset(self) -> tuple[Tensor, Tensor]:
        """Start an episode; what the actor [L, O] and the critic [L, C] see."""

    def step(self, draw: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Act with draws [L, A]; what actor and critic see, reward [L], terminated [L]."""

    def measures(self) -> dict[str, float]:
        """Numbers for the training curve since the last call."""


class ActorCritic(nn.Module):
    """A Gaussian actor and a critic with normalised values."""

    def __init__(
        self, obs_dim: int, critic_dim: int, action_dim: int, config: PPOConfig, generator: torch.Generator
    ) -> None:
        """Args: widths of what the actor sees, what the critic sees and of the action."""
        super().__init__()
        self.actor = GaussianActor(obs_dim, action_dim, config.hidden, config.log_std, generator)
        self.critic = mlp([critic_dim, *config.hidden, 1], output_gain=1.0, generator=generator)
        self.values = ValueNormaliser()

    def value(self, critic_obs: Tensor) -> Tensor:
        """State values in reward units, [L]."""
        return self.values.denormalise(self.critic(critic_obs).squeeze(-1))


def train_ppo(
    env: Environment,
    model: ActorCritic,
    config: PPOConfig,
    effort: Effort,
    generator: torch.Generator,
    log: Log,
    checkpoint: Checkpoint,
) -> tuple[int, float]:
    """Train `model` in place until `effort.steps` agent-steps or `effort.seconds` are spent.

    Episodes are time limits, never ends: the last value of an episode is bootstrapped. A checkpoint
    holds everything that the next episode depends on, so an interrupted training goes on bit for bit.

    Returns:
        Agent-steps done and seconds spent, those before an interruption included.
    """
    optimiser = torch.optim.Adam(model.parameters(), lr=config.lr, eps=1e-5, fused=True)
    per_rollout = env.lanes * config.rollout_steps
    rollouts = -(-effort.steps // per_rollout)
    per_episode = -(-env.horizon // config.rollout_steps)
    done, spent = 0, 0.0
    if saved := checkpoint.load():
        done, spent = saved["rollouts"], saved["seconds"]
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        generator.set_state(saved["generator"])
    began = time.perf_counter() - spent
    while done < rollouts and spent < effort.seconds:
        views = env.reset()
        for _ in range(min(per_episode, rollouts - done)):
            model.actor.log_std.fill_(config.log_std + (config.log_std_end - config.log_std) * done / rollouts)
            views, batch = _rollout(env, model, config, views, generator)
            _set_lr(optimiser, config.lr * (1 - 0.9 * done / rollouts))
            losses = _update(model, optimiser, batch, config, generator)
            done += 1
            spent = time.perf_counter() - began
            log({"steps": done * per_rollout, "seconds": spent, **env.measures(), **losses})
        state = {
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            "generator": generator.get_state(),
        }
        checkpoint.save(state | {"rollouts": done, "seconds": spent})
    return done * per_rollout, spent


@torch.no_grad()
def _rollout(
    env: Environment,
    model: ActorCritic,
    config: PPOConfig,
    views: tuple[Tensor, Tensor],
    generator: torch.Generator,
) -> tuple[tuple[Tensor, Tensor], dict[str, Tensor]]:
    """One rollout of [T, L] transitions; values are in reward units."""
    kept: dict[str, list[Tensor]] = {name: [] for name in ("obs", "critic", "draw", "log_prob", "reward", "ended")}
    for _ in range(config.rollout_steps):
        obs, critic_obs = views
        draw, log_prob = model.actor.sample(obs, generator)
        next_obs, next_critic, reward, terminated = env.step(draw)
        views = (next_obs, next_critic)
        for name, value in zip(kept, (obs, critic_obs, draw, log_prob, reward, terminated), strict=True):
            kept[name].append(value)
    batch = {name: torch.stack(values) for name, values in kept.items()}
    value = model.value(torch.cat([batch["critic"], views[1][None]]))  # [T + 1, L]
    batch["advantage"] = _advantages(batch["reward"], value, batch["ended"], config)
    batch["target"] = batch["advantage"] + value[:-1]
    return views, batch


def _advantages(reward: Tensor, value: Tensor, ended: Tensor, config: PPOConfig) -> Tensor:
    """Generalised advantage estimates [T, L] (Schulman et al., 2016)."""
    alive = 1.0 - ended.to(reward.dtype)
    delta = reward + config.gamma * alive * value[1:] - value[:-1]
    advantage = torch.zeros_like(reward)
    carry = torch.zeros_like(reward[0])
    for t in reversed(range(len(reward))):
        carry = delta[t] + config.gamma * config.gae_lambda * alive[t] * carry
        advantage[t] = carry
    return advantage


def _update(
    model: ActorCritic,
    optimiser: torch.optim.Optimizer,
    batch: dict[str, Tensor],
    config: PPOConfig,
    generator: torch.Generator,
) -> dict[str, float]:
    model.values.update(batch["target"])
    flat: dict[str, Tensor] = {name: values.flatten(0, 1) for name, values in batch.items()}
    flat["target"] = model.values.normalise(flat["target"])
    advantage = flat["advantage"]
    flat["advantage"] = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    samples = len(advantage)
    sums: dict[str, Any] = {"policy_loss": 0.0, "value_loss": 0.0, "kl": 0.0, "clipped": 0.0}
    count = 0
    for _ in range(config.epochs):
        order = torch.randperm(samples, generator=generator)
        for start in range(0, samples, config.minibatch):
            rows = order[start : start + config.minibatch].to(advantage.device)
            part = {name: values[rows] for name, values in flat.items()}
            ratio = (model.actor.log_prob(part["obs"], part["draw"]) - part["log_prob"]).exp()
            clipped = ratio.clamp(1 - config.clip_eps, 1 + config.clip_eps)
            policy_loss = -torch.minimum(ratio * part["advantage"], clipped * part["advantage"]).mean()
            value_loss = (model.critic(part["critic"]).squeeze(-1) - part["target"]).square().mean()
            loss = policy_loss + 0.5 * value_loss
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
            optimiser.step()
            with torch.no_grad():
                sums["policy_loss"] += policy_loss.detach()
                sums["value_loss"] += value_loss.detach()
                sums["kl"] += ((ratio - 1) - ratio.log()).mean()
                sums["clipped"] += (clipped != ratio).float().mean()
            count += 1
    return {name: float(value) / count for name, value in sums.items()}


def _set_lr(optimiser: torch.optim.Optimizer, lr: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = lr
