"""Networks that the learning methods share: bodies, and units for what a critic predicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from accord.envs.network import Network

FEW = 16  # outputs, of which a product is fastest with the weights first


class AnyBody(Protocol):
    """What an actor is made of: `Body`, one per type of agent, or a method's own."""

    def start(self, *shape: int) -> Tensor | None:
        """The memory at an episode's start, [*shape, H]; None without one."""

    def __call__(
        self, own: Tensor, shared: Tensor | None = None, memory: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Outputs [T, G, A, ·] of observations [T, G, A, O], and the memory [G, A, H] after the last step."""

    def listen(self, network: Network) -> None:
        """Talk over a network from now on."""

    def penalty(self) -> Tensor | None:
        """What is added to the loss, if anything."""


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
        normed: bool = False,
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
            normed: Hidden layers are normalised (Ba et al., 2016), so that values far from the data stay bounded.
        """
        super().__init__()
        self._shared, self._normed = shared, normed
        sizes = [shared + inputs, *hidden, outputs]
        gains = [math.sqrt(2)] * len(hidden) + [output_gain]
        layers = [linear(a, b, gain, generator) for a, b, gain in zip(sizes, sizes[1:], gains, strict=False)]
        self.layers = nn.ModuleList(layers)
        self.gru = _gru(sizes[1], generator) if memory else None

    def start(self, *shape: int) -> Tensor | None:
        """The memory at an episode's start, [*shape, H]; None without one."""
        return None if self.gru is None else next(self.gru.parameters()).new_zeros(*shape, self.gru.hidden_size)

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
        if self.gru is None and not self._normed:
            weights, biases = zip(*((layer.weight, layer.bias) for layer in self.layers), strict=True)
            return perceptron(own, shared if self._shared else None, weights, biases), memory
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
            x, last = self.gru(self._activate(x).reshape(steps, groups * agents, width), start)
            x, memory = x.view(steps, groups, agents, -1), last.view(groups, agents, -1)
            for layer in list(self.layers)[1:-1]:
                x = self._activate(layer(x))
            return self.layers[-1](x), memory
        for layer in list(self.layers)[1:]:
            x = layer(self._activate(x))
        return x, memory

    def listen(self, network: Network) -> None:
        """Nobody talks."""

    def penalty(self) -> None:
        """Nothing is added to the loss."""

    def _activate(self, x: Tensor) -> Tensor:
        return functional.relu(functional.layer_norm(x, x.shape[-1:]) if self._normed else x, inplace=True)


def perceptron(own: Tensor, shared: Tensor | None, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
    """Linear layers with ReLU between them, [..., A, outputs].

    Args:
        own: [..., A, inputs].
        shared: [..., S], read once for all A; the first layer's weights on it stand before those on `own`.
        weights: Of each layer, [outputs, inputs].
        biases: Of each layer, [outputs].
    """
    if torch.is_grad_enabled():
        result: Tensor = _Perceptron.apply(own, shared, *weights, *biases)
        return result
    return _layers(own, shared, weights, biases)[-1].view(*own.shape[:-1], -1)


def _layers(own: Tensor, shared: Tensor | None, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> list[Tensor]:
    """What each layer gives, [rows, width]."""
    x, results = own.reshape(-1, own.shape[-1]), []
    for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        if i == 0 and shared is not None:
            width = shared.shape[-1]
            x = x @ weight[:, width:].t()
            common = torch.addmm(bias, shared.reshape(-1, width), weight[:, :width].t())
            x.view(len(common), -1, len(weight)).add_(common[:, None])
        elif len(weight) < FEW:
            x = torch.addmm(bias[:, None], weight, x.t()).t().contiguous()
        else:
            x = torch.addmm(bias, x, weight.t())
        results.append(x.relu_() if i + 1 < len(weights) else x)
    return results


class _Perceptron(torch.autograd.Function):
    """`perceptron` as one node of the graph: in place what autograd would copy from layer to layer."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, shared: Tensor | None, *parameters: Tensor) -> Tensor:
        depth = len(parameters) // 2
        weights = parameters[:depth]
        *ctx.hidden, result = _layers(own, shared, weights, parameters[depth:])
        ctx.save_for_backward(own, shared, *weights)
        return result.view(*own.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        own, shared, *weights = ctx.saved_tensors
        slope = gradient.reshape(-1, gradient.shape[-1])
        of_weights, of_biases = [], []
        for weight, below in zip(reversed(weights[1:]), reversed(ctx.hidden), strict=True):
            of_weights.append(slope.t() @ below)
            of_biases.append(slope.sum(0))
            slope = slope @ weight
            torch.ops.aten.threshold_backward.grad_input(slope, below, 0, grad_input=slope)
        of_weights.append(slope.t() @ own.reshape(-1, own.shape[-1]))
        of_biases.append(slope.sum(0))
        width, of_shared = 0, None
        if shared is not None:
            width = shared.shape[-1]
            common = slope.view(-1, own.shape[-2], slope.shape[-1]).sum(1)
            of_weights[-1] = torch.cat([common.t() @ shared.reshape(-1, width), of_weights[-1]], 1)
            of_shared = (common @ weights[0][:, :width]).view_as(shared) if ctx.needs_input_grad[1] else None
        of_own = (slope @ weights[0][:, width:]).view_as(own) if ctx.needs_input_grad[0] else None
        return of_own, of_shared, *reversed(of_weights), *reversed(of_biases)


class PerType(nn.Module):
    """One body per agent type; agents keep their places."""

    def __init__(self, bodies: Sequence[Body], types: Tensor) -> None:
        """Set up.

        Args:
            bodies: A body per type, in the order of the types.
            types: Each agent's type, [A].
        """
        super().__init__()
        self.bodies = nn.ModuleList(bodies)
        self._rows = [(types == kind).nonzero().flatten() for kind in types.unique().tolist()]
        self._back = torch.cat(self._rows).argsort()

    def start(self, *shape: int) -> Tensor | None:
        """See `Body.start`."""
        return self.bodies[0].start(*shape)  # type: ignore[operator]

    def listen(self, network: Network) -> None:
        """Nobody talks."""

    def penalty(self) -> None:
        """Nothing is added to the loss."""

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


class ValueNormaliser(nn.Module):
    """Running mean and scale of returns, so that a critic predicts numbers near 1 (van Hasselt et al., 2016)."""

    mean: Tensor
    square: Tensor
    weight: Tensor

    def __init__(self, objectives: int = 1, decay: float = 0.99) -> None:
        """Set up.

        Args:
            objectives: R, one mean and scale for each.
            decay: What the running numbers keep at each update.
        """
        super().__init__()
        self.decay = decay
        self.register_buffer("mean", torch.zeros(objectives))
        self.register_buffer("square", torch.zeros(objectives))
        self.register_buffer("weight", torch.zeros(()))

    @torch.no_grad()
    def update(self, returns: Tensor) -> None:
        """Take in a batch of returns [n, R]; an empty one says nothing."""
        if not len(returns):
            return
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


def linear(inputs: int, outputs: int, gain: float, generator: torch.Generator) -> nn.Linear:
    """Orthogonal weights, no bias at first."""
    linear = nn.Linear(inputs, outputs, device=generator.device)
    nn.init.orthogonal_(linear.weight, gain, generator=generator)
    nn.init.zeros_(linear.bias)
    return linear


def _gru(width: int, generator: torch.Generator) -> nn.GRU:
    gru = nn.GRU(width, width, device=generator.device)
    for name, values in gru.named_parameters():
        if "weight" in name:
            for gate in values.detach().chunk(3):
                nn.init.orthogonal_(gate, generator=generator)
        else:
            nn.init.zeros_(values)
    return gru
