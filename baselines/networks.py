"""Networks that the learning methods share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from envs.task import Box, Discrete

LOG_TWO_PI = math.log(2 * math.pi)


class Body(nn.Module):
    """Linear layers with ReLU between them, a GRU behind the first where it has memory.

    A central critic reads its group's state beside each agent's observation. The first layer is applied to
    the two apart, so that a state is read once per group and not once per agent.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        hidden: Sequence[int],
        generator: torch.Generator,
        *,
        shared: int = 0,
        output_gain: float = 1.0,
        memory: bool = False,
    ) -> None:
        """Orthogonal weights, zero biases.

        Args:
            inputs: Width of what is each agent's own.
            outputs: Width of the result.
            hidden: Widths of the layers between.
            generator: Source of the initial weights.
            shared: Width of what the group shares.
            output_gain: Gain of the last layer: small for policies, 1 for values.
            memory: With a GRU of the first layer's width.
        """
        super().__init__()
        self._shared = shared
        sizes = [shared + inputs, *hidden, outputs]
        gains = [math.sqrt(2)] * len(hidden) + [output_gain]
        layers = [_linear(a, b, gain, generator) for a, b, gain in zip(sizes, sizes[1:], gains, strict=False)]
        self.layers = nn.ModuleList(layers)
        self.gru = _gru(sizes[1], generator) if memory else None

    def start(self, *shape: int) -> Tensor | None:
        """The memory at an episode's start, [*shape, H]; None without one."""
        return None if self.gru is None else torch.zeros(*shape, self.gru.hidden_size)

    def forward(
        self, own: Tensor, shared: Tensor | None = None, memory: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Through the layers.

        Args:
            own: [T, G, A, inputs]; T steps in a row where there is memory.
            shared: [T, G, shared].
            memory: [G, A, H] before the first step.

        Returns:
            [T, G, A, outputs], and the memory after the last step.
        """
        first = self.layers[0]
        if self._shared and shared is not None:
            weight = first.weight
            x = functional.linear(own, weight[:, self._shared :], first.bias)  # type: ignore[arg-type,index]
            x = x + functional.linear(shared, weight[:, : self._shared])[..., None, :]  # type: ignore[index]
        else:
            x = first(own)
        if self.gru is not None:
            if memory is None:
                raise ValueError("a body with a GRU needs its memory; see `start`")
            steps, groups, agents, width = x.shape
            start = memory.reshape(1, groups * agents, -1)
            x, last = self.gru(functional.relu(x).reshape(steps, groups * agents, width), start)
            x, memory = x.view(steps, groups, agents, -1), last.view(groups, agents, -1)
            for layer in list(self.layers)[1:-1]:
                x = functional.relu(layer(x))
            return self.layers[-1](x), memory
        for layer in list(self.layers)[1:]:
            x = layer(functional.relu(x))
        return x, memory


class PerType(nn.Module):
    """One body per agent type; agents keep their places."""

    def __init__(self, bodies: Sequence[Body], types: Tensor) -> None:
        """Args: a body per type in the order of the types, each agent's type [A]."""
        super().__init__()
        self.bodies = nn.ModuleList(bodies)
        self._rows = [(types == kind).nonzero().flatten() for kind in types.unique().tolist()]
        self._back = torch.cat(self._rows).argsort()

    def start(self, *shape: int) -> Tensor | None:
        """See `Body.start`."""
        return self.bodies[0].start(*shape)  # type: ignore[operator]

    def forward(
        self, own: Tensor, shared: Tensor | None = None, memory: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """See `Body.forward`."""
        parts = [
            body(own[..., rows, :], shared, None if memory is None else memory[..., rows, :])
            for body, rows in zip(self.bodies, self._rows, strict=True)
        ]
        out = torch.cat([part[0] for part in parts], -2)[..., self._back, :]
        if memory is not None:
            memory = torch.cat([part[1] for part in parts], -2)[..., self._back, :]
        return out, memory


class Actor(nn.Module):
    """A distribution over actions behind a body; see `GaussianActor` and `CategoricalActor`."""

    def __init__(self, body: Body | PerType) -> None:
        """Args: what turns observations into means or logits."""
        super().__init__()
        self.body = body

    def start(self, *shape: int) -> Tensor | None:
        """The memory at an episode's start."""
        return self.body.start(*shape)

    def mode(self, obs: Tensor, memory: Tensor | None, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """The best action [G, A, k] for observations [G, A, O], and the memory."""
        raise NotImplementedError

    def sample(
        self, obs: Tensor, memory: Tensor | None, generator: torch.Generator, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """A draw [G, A, k], its log-probability [G, A], and the memory."""
        raise NotImplementedError

    def log_prob(
        self, obs: Tensor, action: Tensor, memory: Tensor | None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Log-probability [T, G, A] of actions [T, G, A, k], and the entropy where it depends on weights."""
        raise NotImplementedError


class GaussianActor(Actor):
    """A diagonal Gaussian over unbounded numbers; -1 and 1 stand for the ends of the action's box.

    The environment clamps, so a mean beyond an end is an end: policies can be bang-bang without
    infinite weights. The standard deviation is set by a schedule, not learned.
    """

    log_std: Tensor

    def __init__(self, body: Body | PerType, action_dim: int, log_std: float) -> None:
        """Args: body; width of the action; the first log standard deviation."""
        super().__init__(body)
        self.register_buffer("log_std", torch.full((action_dim,), log_std))

    def mode(self, obs: Tensor, memory: Tensor | None, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """See `Actor.mode`."""
        mean, memory = self.body(obs[None], None, memory)
        return mean[0], memory

    def sample(
        self, obs: Tensor, memory: Tensor | None, generator: torch.Generator, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """See `Actor.sample`."""
        mean, memory = self.mode(obs, memory)
        noise = torch.randn(mean.shape, generator=generator, device=generator.device).to(mean)
        return mean + self.log_std.exp() * noise, self._log_prob(noise), memory

    def log_prob(
        self, obs: Tensor, action: Tensor, memory: Tensor | None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """See `Actor.log_prob`; the entropy is the schedule's, so there is none to return."""
        mean, _ = self.body(obs, None, memory)
        return self._log_prob((action - mean) * (-self.log_std).exp()), None

    def _log_prob(self, noise: Tensor) -> Tensor:
        return -(0.5 * noise.square() + self.log_std + 0.5 * LOG_TWO_PI).sum(-1)


class CategoricalActor(Actor):
    """A softmax over discrete actions; forbidden ones have no probability."""

    def mode(self, obs: Tensor, memory: Tensor | None, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """See `Actor.mode`."""
        logits, memory = self._logits(obs[None], memory, None if mask is None else mask[None])
        return logits[0].argmax(-1, keepdim=True), memory

    def sample(
        self, obs: Tensor, memory: Tensor | None, generator: torch.Generator, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """See `Actor.sample`."""
        logits, memory = self._logits(obs[None], memory, None if mask is None else mask[None])
        action = pick(logits[0], generator)
        return action, logits[0].gather(-1, action).squeeze(-1), memory

    def log_prob(
        self, obs: Tensor, action: Tensor, memory: Tensor | None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """See `Actor.log_prob`."""
        logits, _ = self._logits(obs, memory, mask)
        entropy = -(logits.exp() * logits).sum(-1)
        return logits.gather(-1, action).squeeze(-1), entropy

    def _logits(self, obs: Tensor, memory: Tensor | None, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        raw, memory = self.body(obs, None, memory)
        return functional.log_softmax(forbid(raw, mask), -1), memory


class ValueNormaliser(nn.Module):
    """Running mean and scale of returns, so that a critic predicts numbers near 1 (van Hasselt et al., 2016)."""

    mean: Tensor
    square: Tensor
    weight: Tensor

    def __init__(self, objectives: int = 1, decay: float = 0.99) -> None:
        """Args: R, the width of a return; decay of the moving averages per update."""
        super().__init__()
        self.decay = decay
        self.register_buffer("mean", torch.zeros(objectives))
        self.register_buffer("square", torch.zeros(objectives))
        self.register_buffer("weight", torch.zeros(()))

    @torch.no_grad()
    def update(self, returns: Tensor) -> None:
        """Take in a batch of returns [n, R]."""
        self.mean.lerp_(returns.mean(0), 1 - self.decay)
        self.square.lerp_(returns.square().mean(0), 1 - self.decay)
        self.weight.lerp_(torch.ones_like(self.weight), 1 - self.decay)

    def normalise(self, values: Tensor) -> Tensor:
        """Returns to critic units."""
        mean, std = self._moments()
        return (values - mean) / std

    def denormalise(self, values: Tensor) -> Tensor:
        """Critic units to returns."""
        mean, std = self._moments()
        return values * std + mean

    def _moments(self) -> tuple[Tensor, Tensor]:
        weight = self.weight.clamp_min(1e-8)
        mean = self.mean / weight
        variance = (self.square / weight - mean.square()).clamp_min(1e-4)
        return mean, torch.where(self.weight > 0, variance.sqrt(), torch.ones_like(variance))


def make_actor(
    action: Box | Discrete,
    obs_dim: int,
    hidden: Sequence[int],
    generator: torch.Generator,
    *,
    log_std: float,
    memory: bool = False,
    types: Tensor | None = None,
) -> Actor:
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


def make_body(
    types: Tensor | None,
    inputs: int,
    outputs: int,
    hidden: Sequence[int],
    generator: torch.Generator,
    *,
    shared: int = 0,
    output_gain: float = 1.0,
    memory: bool = False,
) -> Body | PerType:
    """A body, or one per type; see `Body`."""

    def one() -> Body:
        return Body(inputs, outputs, hidden, generator, shared=shared, output_gain=output_gain, memory=memory)

    return one() if types is None else PerType([one() for _ in types.unique()], types)


def forbid(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Scores [..., n] with those of forbidden actions too low to be chosen; a dead agent may do anything."""
    return scores if mask is None else scores.masked_fill(~mask, torch.finfo(scores.dtype).min / 2)


def pick(logits: Tensor, generator: torch.Generator) -> Tensor:
    """A draw from each softmax, [..., 1] (the Gumbel trick)."""
    uniform = torch.rand(logits.shape, generator=generator, device=generator.device).to(logits)
    return (logits - (-uniform.clamp_min(1e-20).log()).log()).argmax(-1, keepdim=True)


def _linear(inputs: int, outputs: int, gain: float, generator: torch.Generator) -> nn.Linear:
    linear = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(linear.weight, gain, generator=generator)
    nn.init.zeros_(linear.bias)
    return linear


def _gru(width: int, generator: torch.Generator) -> nn.GRU:
    gru = nn.GRU(width, width)
    for name, values in gru.named_parameters():
        if "weight" in name:
            for gate in values.detach().chunk(3):
                nn.init.orthogonal_(gate, generator=generator)
        else:
            nn.init.zeros_(values)
    return gru
