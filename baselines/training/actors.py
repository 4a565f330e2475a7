"""Actors: distributions over actions, or values of them, behind a body; see `baselines.training.models`."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from accord.baselines.training.environment import Observation
from accord.baselines.training.models import AnyBody, make_body
from accord.envs.network import Network
from accord.envs.task import Box, Discrete

LOG_TWO_PI = math.log(2 * math.pi)


class Actor(nn.Module, ABC):
    """What turns observations into actions, behind a body."""

    def __init__(self, body: AnyBody) -> None:
        """Set up.

        Args:
            body: What turns observations into means or logits.
        """
        super().__init__()
        self.body = body

    def start(self, *shape: int) -> Tensor | None:
        """The memory at an episode's start."""
        return self.body.start(*shape)

    def listen(self, network: Network) -> None:
        """Talk over a network from now on, where the body does."""
        self.body.listen(network)

    def penalty(self) -> Tensor | None:
        """What a body adds to the loss, if anything."""
        return self.body.penalty()

    @abstractmethod
    def mode(self, obs: Tensor, memory: Tensor | None, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """The best action [G, A, k] for observations [G, A, O], and the memory."""


class StochasticActor(Actor):
    """A distribution over actions; see `GaussianActor` and `CategoricalActor`."""

    @abstractmethod
    def sample(
        self, obs: Tensor, memory: Tensor | None, generator: torch.Generator, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """A draw [G, A, k], its log-probability [G, A], and the memory."""

    @abstractmethod
    def log_prob(
        self, obs: Tensor, action: Tensor, memory: Tensor | None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Log-probability [T, G, A] of actions [T, G, A, k], and the entropy where it depends on weights."""


# How one acts in execution: from an actor, observations, its memory, the actions that are allowed and a source of draws
# to actions and the memory.
Choice = Callable[[Actor, Tensor, Tensor | None, Tensor | None, torch.Generator], tuple[Tensor, Tensor | None]]


def best(
    actor: Actor, obs: Tensor, memory: Tensor | None, mask: Tensor | None, generator: torch.Generator
) -> tuple[Tensor, Tensor | None]:
    """The `Choice` of the best action."""
    return actor.mode(obs, memory, mask)


def drawn(
    actor: Actor, obs: Tensor, memory: Tensor | None, mask: Tensor | None, generator: torch.Generator
) -> tuple[Tensor, Tensor | None]:
    """The `Choice` of a draw from a distribution."""
    assert isinstance(actor, StochasticActor)
    action, _, memory = actor.sample(obs, memory, generator, mask)
    return action, memory


class GaussianActor(StochasticActor):
    """A diagonal Gaussian over unbounded numbers; -1 and 1 stand for the ends of the action's box.

    The environment clamps, so a mean beyond an end is an end: policies can be bang-bang without
    infinite weights. The standard deviation is set by a schedule, not learned.
    """

    log_std: Tensor

    def __init__(self, body: AnyBody, action_dim: int, log_std: float) -> None:
        """Set up.

        Args:
            body: What turns observations into means.
            action_dim: Width of an action.
            log_std: First log standard deviation.
        """
        super().__init__(body)
        self.register_buffer("log_std", torch.full((action_dim,), log_std))

    def mode(self, obs: Tensor, memory: Tensor | None, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """See `Actor.mode`."""
        mean, memory = self.body(obs[None], None, memory)
        return mean[0], memory

    def sample(
        self, obs: Tensor, memory: Tensor | None, generator: torch.Generator, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """See `StochasticActor.sample`."""
        mean, memory = self.mode(obs, memory)
        noise = torch.randn(mean.shape, generator=generator, device=generator.device).to(mean)
        return torch.addcmul(mean, self.log_std.exp(), noise), _gaussian_log_prob(noise, self.log_std), memory

    def log_prob(
        self, obs: Tensor, action: Tensor, memory: Tensor | None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """See `StochasticActor.log_prob`; the entropy is the schedule's, so there is none to return."""
        mean, _ = self.body(obs, None, memory)
        log_prob: Tensor = _GaussianLogProb.apply(mean, action, self.log_std)
        return log_prob, None


def _gaussian_log_prob(noise: Tensor, log_std: Tensor) -> Tensor:
    return -(0.5 * noise.square() + log_std + 0.5 * LOG_TWO_PI).sum(-1)


class _GaussianLogProb(torch.autograd.Function):
    """Log-probability of actions as one node of the graph: a handful of small operations costs as much as a layer."""

    @staticmethod
    def forward(ctx: Any, mean: Tensor, action: Tensor, log_std: Tensor) -> Tensor:
        inverse = (-log_std).exp()
        noise = (action - mean) * inverse
        ctx.save_for_backward(noise, inverse)
        return _gaussian_log_prob(noise, log_std)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        noise, inverse = ctx.saved_tensors
        return gradient[..., None] * (noise * inverse), None, None


class CategoricalActor(StochasticActor):
    """A softmax over discrete actions; forbidden ones have no probability."""

    def mode(self, obs: Tensor, memory: Tensor | None, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """See `Actor.mode`."""
        logits, memory = self._logits(obs[None], memory, None if mask is None else mask[None])
        return logits[0].argmax(-1, keepdim=True), memory

    def sample(
        self, obs: Tensor, memory: Tensor | None, generator: torch.Generator, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """See `StochasticActor.sample`."""
        logits, memory = self._logits(obs[None], memory, None if mask is None else mask[None])
        action = pick(logits[0], generator)
        return action, logits[0].gather(-1, action).squeeze(-1), memory

    def log_prob(
        self, obs: Tensor, action: Tensor, memory: Tensor | None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """See `StochasticActor.log_prob`."""
        logits, _ = self._logits(obs, memory, mask)
        entropy = -(logits.exp() * logits).sum(-1)
        return logits.gather(-1, action).squeeze(-1), entropy

    def _logits(self, obs: Tensor, memory: Tensor | None, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        raw, memory = self.body(obs, None, memory)
        return functional.log_softmax(forbid(raw, mask), -1), memory


class QNetwork(Actor):
    """Values of every action of an agent; the best one is the policy."""

    def values(self, obs: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """[T, B, A, n] for observations [T, B, A, O], and the memory."""
        return self.body(obs, None, memory)

    def mode(self, obs: Tensor, memory: Tensor | None, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """See `Actor.mode`."""
        values, memory = self.values(obs[None], memory)
        return forbid(values[0], mask).argmax(-1, keepdim=True), memory

    def explore(
        self, view: Observation, memory: Tensor | None, epsilon: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """The best actions [B, A, 1], a share `epsilon` of them replaced by random ones, and the memory."""
        values, memory = self.values(view.obs[None], memory)
        best = forbid(values[0], view.mask).max(-1, keepdim=True).indices
        uniform = torch.rand(values[0].shape, generator=generator, device=generator.device).to(values.device)
        random = forbid(uniform, view.mask).max(-1, keepdim=True).indices
        chance = torch.rand(best.shape, generator=generator, device=generator.device).to(best.device)
        return torch.where(chance < epsilon, random, best), memory


def make_actor(
    action: Box | Discrete,
    obs_dim: int,
    hidden: Sequence[int],
    generator: torch.Generator,
    *,
    log_std: float,
    memory: bool = False,
    types: Tensor | None = None,
) -> StochasticActor:
    """An actor for an action space, shared by all agents or one per type.

    Args:
        action: The space.
        obs_dim: Width of an observation.
        hidden: Widths of the hidden layers.
        generator: Source of the initial weights.
        log_std: First log standard deviation, for a box.
        memory: With a GRU.
        types: [A], one network for each; None for one shared network.
    """
    outputs = action.n if isinstance(action, Discrete) else action.size
    body = make_body(types, obs_dim, outputs, hidden, generator, output_gain=0.01, memory=memory)
    return CategoricalActor(body) if isinstance(action, Discrete) else GaussianActor(body, action.size, log_std)


def forbid(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Scores [..., n] with those of forbidden actions too low to be chosen; a dead agent may do anything."""
    return scores if mask is None else scores.masked_fill(~mask, torch.finfo(scores.dtype).min / 2)


def pick(logits: Tensor, generator: torch.Generator) -> Tensor:
    """A draw from each softmax, [..., 1] (the Gumbel trick)."""
    uniform = torch.rand(logits.shape, generator=generator, device=generator.device).to(logits)
    return (logits - (-uniform.clamp_min(1e-20).log()).log()).argmax(-1, keepdim=True)
