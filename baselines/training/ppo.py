"""The PPO trunk (Schulman et al., 2017) that every policy-gradient method here trains with.

What differs between methods is the `Environment` handed to `train_ppo` (what an actor sees, what a critic
sees and what is rewarded) and the critic of the `ActorCritic`. Tensors are [T, G, A, ·]: steps, groups, agents.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import Tensor, nn

from accord.baselines.base import Training
from accord.baselines.training.actors import GaussianActor, make_actor
from accord.baselines.training.environment import Environment, Observation, Shapes, stacked
from accord.baselines.training.finite import check_finite
from accord.baselines.training.loop import Callback, train
from accord.baselines.training.models import ValueNormaliser, make_body
from accord.baselines.training.progress import Stateful

Critic = Literal["own", "central", "team"]
CACHED = 2**18  # numbers of a layer that stay in a core's cache with those of the other layers


class PPOConfig(BaseModel):
    """Settings of the trunk; `tuned.yaml` has those of the methods that were searched."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    hidden: tuple[PositiveInt, ...] = Field(
        (128, 128), min_length=1, description="Widths of the layers, actor and critic."
    )
    """Unit: neurons."""
    recurrent: bool = Field(False, description="With a GRU behind the first layer, actor and critic.")
    lr: float = Field(1e-3, gt=0, description="Adam's step size at the start; it falls linearly to a tenth.")
    gamma: float = Field(0.99, gt=0, le=1, description="Discount per step.")
    gae_lambda: float = Field(0.95, ge=0, le=1, description="Decay of the advantage estimate.")
    clip_eps: float = Field(0.2, gt=0, description="Range of the probability ratio.")
    epochs: int = Field(4, ge=1, description="Passes over each rollout.")
    """Unit: passes."""
    minibatch: int = Field(4096, ge=1, description="Agent-steps per gradient step.")
    """Unit: agent-steps."""
    rollout_steps: int = Field(24, ge=1, description="Steps per rollout; an episode is rounded up to whole rollouts.")
    """Unit: steps."""
    log_std: float = Field(-0.5, description="First log standard deviation of the actions, in half boxes.")
    """Unit: log of half boxes."""
    log_std_end: float = Field(-1.2, description="Last one; it moves linearly, so that means end up meaning something.")
    """Unit: log of half boxes."""
    entropy: float = Field(0.01, ge=0, description="Weight of the entropy of discrete actions.")
    max_grad_norm: float = Field(1.0, gt=0, description="Gradients are scaled down to this norm.")


class ActorCritic(nn.Module):
    """An actor and a critic with normalised values, one per objective.

    The critic reads an agent's own observation, that and the group's state (central), or the state alone,
    one value for the whole group (team).
    """

    def __init__(
        self,
        shapes: Shapes,
        config: PPOConfig,
        generator: torch.Generator,
        critic: Critic = "own",
        types: Tensor | None = None,
    ) -> None:
        """Draw the first weights.

        Args:
            shapes: Of what the environment shows and takes.
            config: Settings.
            generator: Source of the first weights.
            critic: What the critic reads.
            types: Each agent's network where they have several, [A].
        """
        super().__init__()
        self._team = critic == "team"
        self.actor = make_actor(
            shapes.action,
            shapes.obs_dim,
            config.hidden,
            generator,
            log_std=config.log_std,
            memory=config.recurrent,
            types=types,
        )
        self.critic = make_body(
            None if self._team else types,
            shapes.state_dim if self._team else shapes.obs_dim,
            shapes.objectives,
            config.hidden,
            generator,
            shared=shapes.state_dim if critic == "central" else 0,
            memory=config.recurrent,
        )
        self.values = ValueNormaliser(shapes.objectives)

    def critic_start(self, groups: int, agents: int) -> Tensor | None:
        """The critic's memory at an episode's start."""
        return self.critic.start(groups, 1 if self._team else agents)

    def raw_value(self, obs: Tensor, state: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Values in critic units [T, G, A, R] of observations [T, G, A, O] and states [T, G, S], and the memory."""
        if not self._team:
            return self.critic(obs, state, memory)
        value, memory = self.critic(state[..., None, :], None, memory)
        return value.expand(*obs.shape[:-1], -1), memory

    def value(self, obs: Tensor, state: Tensor, memory: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Values in reward units [T + 1, G, A, R], and the memory before the last of these steps."""
        if memory is None:
            return self.values.denormalise(self.raw_value(obs, state, memory)[0]), None
        value, memory = self.raw_value(obs[:-1], state[:-1], memory)
        last, _ = self.raw_value(obs[-1:], state[-1:], memory)
        return self.values.denormalise(torch.cat([value, last])), memory


def train_ppo(
    env: Environment,
    model: ActorCritic,
    config: PPOConfig,
    training: Training,
    *,
    learned: Callable[[], dict[str, Any]],
    callback: Callback | None = None,
) -> tuple[int, float]:
    """Train `model` in place until the effort is spent.

    Episodes are time limits unless the task ends: the last value of an episode is bootstrapped.

    Args:
        env: What to learn in.
        model: What learns.
        config: Settings.
        training: Effort, draws, log and checkpoint.
        learned: What a controller needs of what was learned, for snapshots.
        callback: What happens beside the learning.

    Returns:
        Agent-steps done and seconds spent, those before an interruption included.
    """
    return train(
        env,
        _PPO(env, model, config, training.generator),
        training,
        steps_per_rollout=config.rollout_steps,
        rollouts_per_episode=-(-env.horizon // config.rollout_steps),
        learned=learned,
        callback=callback,
    )


class _PPO:
    """The `Learner` of the loop."""

    def __init__(self, env: Environment, model: ActorCritic, config: PPOConfig, generator: torch.Generator) -> None:
        self._env, self._model, self._config, self._generator = env, model, config, generator
        self.optimiser = torch.optim.Adam(model.parameters(), lr=config.lr, eps=1e-5, fused=True)
        self.lr, self.parameters = config.lr, sum(values.numel() for values in model.parameters())

    def kept(self) -> dict[str, Stateful]:
        return {"model": self._model, "optimiser": self.optimiser}

    def begin(self) -> None:
        shape, self._done = (self._env.groups, self._env.agents), 0
        self._memories = self._model.actor.start(*shape), self._model.critic_start(*shape)

    def collect(self, seen: Observation, fraction: float) -> Observation:
        config, actor = self._config, self._model.actor
        if isinstance(actor, GaussianActor):
            actor.log_std.fill_(config.log_std + (config.log_std_end - config.log_std) * fraction)
        seen, self._memories, self._batch = _rollout(
            self._env, self._model, config, seen, self._memories, self._generator
        )
        check_finite(self._env, self._batch, seen, self._done)
        self._done += config.rollout_steps
        return seen

    def update(self, fraction: float) -> dict[str, float]:
        return _update(self._model, self.optimiser, self._batch, self._config, self._generator)


@torch.no_grad()
def _rollout(
    env: Environment,
    model: ActorCritic,
    config: PPOConfig,
    view: Observation,
    memories: tuple[Tensor | None, Tensor | None],
    generator: torch.Generator,
) -> tuple[Observation, tuple[Tensor | None, Tensor | None], dict[str, Tensor]]:
    """One rollout of [T, G, A] transitions; values are in reward units."""
    rows: list[dict[str, Tensor | None]] = []
    actor_memory, critic_memory = memories
    for _ in range(config.rollout_steps):
        action, log_prob, actor_memory = model.actor.sample(view.obs, actor_memory, generator, view.mask)
        after, reward, ended = env.step(action)
        row: dict[str, Tensor | None] = {
            "obs": view.obs,
            "state": view.state,
            "action": action,
            "log_prob": log_prob,
            "reward": reward,
        }
        rows.append(row | {"ended": ended, "valid": view.valid, "mask": view.mask})
        view = after
    batch = stacked(rows)
    obs, state = torch.cat([batch["obs"], view.obs[None]]), torch.cat([batch["state"], view.state[None]])
    value, critic_memory = model.value(obs, state, critic_memory)  # [T + 1, G, A, R]
    for name, memory in zip(("actor_memory", "critic_memory"), memories, strict=True):
        if memory is not None:
            batch[name] = memory
    batch["advantage"] = _advantages(batch["reward"], value, batch["ended"], config, batch.get("valid"))
    batch["target"] = batch["advantage"] + value[:-1]
    batch["advantage"] = (batch["advantage"] * env.weights).sum(-1)
    return view, (actor_memory, critic_memory), batch


def _advantages(reward: Tensor, value: Tensor, ended: Tensor, config: PPOConfig, valid: Tensor | None = None) -> Tensor:
    """Generalised advantage estimates [T, G, A, R] (Schulman et al., 2016).

    `ended` [T, G, A]: nothing comes after. A step that is followed by one that is not `valid` was the last of
    its episode: the value after it counts, what follows does not.
    """
    alive = 1.0 - ended.to(reward.dtype)[..., None]
    delta = reward + config.gamma * alive * value[1:] - value[:-1]
    if valid is not None:
        goes_on = torch.cat([valid[1:], torch.ones_like(valid[:1])])
        alive = alive * goes_on.to(reward.dtype)[..., None]
    decay = config.gamma * config.gae_lambda * alive
    carry, advantages = torch.zeros_like(reward[0]), []
    for now, back in reversed(list(zip(delta.unbind(), decay.unbind(), strict=True))):
        carry = torch.addcmul(now, back, carry)
        advantages.append(carry)
    return torch.stack(advantages[::-1])


def _update(
    model: ActorCritic,
    optimiser: torch.optim.Optimizer,
    batch: dict[str, Tensor],
    config: PPOConfig,
    generator: torch.Generator,
) -> dict[str, float]:
    chosen = batch.get("valid")
    if chosen is not None and chosen.sum() < 2:
        return {}  # everyone left before: nothing to learn from, and no spread to normalise by
    targets, advantage = batch["target"], batch["advantage"]
    model.values.update(targets.flatten(0, 2) if chosen is None else targets[chosen])
    known = advantage if chosen is None else advantage[chosen]
    batch["target"] = model.values.normalise(targets)
    batch["advantage"] = (advantage - known.mean()) / (known.std() + 1e-8)
    steps, groups, agents = advantage.shape
    memories = {name: batch.pop(name) for name in ("actor_memory", "critic_memory") if name in batch}
    if memories:
        rows, per_row = groups, steps * agents  # whole sequences
    else:
        batch = {name: values.flatten(0, 1)[None] for name, values in batch.items()}
        rows, per_row = steps * groups, agents
    size = max(1, config.minibatch // per_row)
    piece = size if memories else _piece(advantage.device, config, per_row)
    sums, count = dict.fromkeys(("policy_loss", "value_loss", "kl", "clipped"), torch.zeros(())), 0
    for _ in range(config.epochs):
        order = torch.randperm(rows, generator=generator, device=generator.device).to(advantage.device)
        for some in order.split(size):
            optimiser.zero_grad()
            weight = 1 / (len(some) * per_row) if chosen is None else 1 / batch["valid"][:, some].sum().clamp_min(1)
            for few in some.split(piece):
                part = {name: values.index_select(1, few) for name, values in batch.items()}
                part |= {name: values[few] for name, values in memories.items()}
                for name, value in _climb(model, part, config, weight, len(few) / len(some)).items():
                    sums[name] = sums[name] + value
            nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
            optimiser.step()
            count += 1
    return {name: float(value) / count for name, value in sums.items()}


def _piece(device: torch.device, config: PPOConfig, per_row: int) -> int:
    """Rows that go through forward and backward together: on a processor, what its cache holds of the layers."""
    return max(1, CACHED // (max(config.hidden) * per_row)) if device.type == "cpu" else 2**31


def _climb(
    model: ActorCritic, part: dict[str, Tensor], config: PPOConfig, weight: Tensor | float, share: float
) -> dict[str, Tensor]:
    """Add the gradient of one piece of a minibatch.

    Args:
        model: What learns.
        part: The piece.
        config: Settings.
        weight: 1 / the agent-steps of the minibatch that count.
        share: Of the minibatch, for what does not depend on agent-steps.

    Returns:
        What the piece adds to the numbers of the minibatch.
    """

    def mean(values: Tensor) -> Tensor:
        return (values if "valid" not in part else values * part["valid"]).sum() * weight

    log_prob, entropy = model.actor.log_prob(part["obs"], part["action"], part.get("actor_memory"), part.get("mask"))
    ratio = (log_prob - part["log_prob"]).exp()
    clipped = ratio.clamp(1 - config.clip_eps, 1 + config.clip_eps)
    policy_loss = -mean(torch.minimum(ratio * part["advantage"], clipped * part["advantage"]))
    loss = policy_loss
    if entropy is not None:
        loss = loss - config.entropy * mean(entropy)
    if (penalty := model.actor.penalty()) is not None:
        loss = loss + share * penalty
    loss.backward()
    value, _ = model.raw_value(part["obs"], part["state"], part.get("critic_memory"))
    value_loss = mean((value - part["target"]).square().mean(-1))
    (0.5 * value_loss).backward()
    with torch.no_grad():
        kl, moved = mean((ratio - 1) - ratio.log()), mean((clipped != ratio).float())
    return {"policy_loss": policy_loss.detach(), "value_loss": value_loss.detach(), "kl": kl, "clipped": moved}
