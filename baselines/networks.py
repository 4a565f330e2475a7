"""Networks that the learning methods share."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

LOG_TWO_PI = math.log(2 * math.pi)


def mlp(sizes: Sequence[int], *, output_gain: float, generator: torch.Generator) -> nn.Sequential:
    """Linear layers with ReLU between them, orthogonal weights and zero biases.

    Args:
        sizes: Widths from input to output.
        output_gain: Gain of the last layer: small for policies, 1 for values.
        generator: Source of the initial weights.
    """
    layers: list[nn.Module] = []
    for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        last = i == len(sizes) - 2
        linear = nn.Linear(inputs, outputs)
        nn.init.orthogonal_(linear.weight, output_gain if last else math.sqrt(2), generator=generator)
        nn.init.zeros_(linear.bias)
        layers += [linear] if last else [linear, nn.ReLU()]
    return nn.Sequential(*layers)


class GaussianActor(nn.Module):
    """A diagonal Gaussian over unbounded numbers; -1 and 1 stand for the ends of the action's box.

    The environment clamps, so a mean beyond an end is an end: policies can be bang-bang without
    infinite weights.
    """

    log_std: Tensor

    def __init__(
        self, obs_dim: int, action_dim: int, hidden: Sequence[int], log_std: float, generator: torch.Generator
    ) -> None:
        """Args: widths of input, output and hidden layers; the first log standard deviation."""
        super().__init__()
        self.mean = mlp([obs_dim, *hidden, action_dim], output_gain=0.01, generator=generator)
        self.register_buffer("log_std", torch.full((action_dim,), log_std))

    def forward(self, obs: Tensor) -> Tensor:
        """Means, [..., A]."""
        return self.mean(obs)

    def sample(self, obs: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A draw [..., A] and its log-probability [...]."""
        mean = self.mean(obs)
        noise = torch.randn(mean.shape, generator=generator, device=generator.device).to(mean)
        draw = mean + self.log_std.exp() * noise
        return draw, self._log_prob(noise)

    def log_prob(self, obs: Tensor, draw: Tensor) -> Tensor:
        """Log-probability of `draw` [..., A]."""
        return self._log_prob((draw - self.mean(obs)) * (-self.log_std).exp())

    def _log_prob(self, noise: Tensor) -> Tensor:
        return -(0.5 * noise.square() + self.log_std + 0.5 * LOG_TWO_PI).sum(-1)


class ValueNormaliser(nn.Module):
    """Running mean and scale of returns, so that a critic predicts numbers near 1 (van Hasselt et al., 2016)."""

    mean: Tensor
    square: Tensor
    weight: Tensor

    def __init__(self, decay: float = 0.99) -> None:
        """Args: decay of the moving averages per update."""
        super().__init__()
        self.decay = decay
        for name in ("mean", "square", "weight"):
            self.register_buffer(name, torch.zeros(()))

    @torch.no_grad()
    def update(self, returns: Tensor) -> None:
        """Take in a batch of returns."""
        self.mean.lerp_(returns.mean(), 1 - self.decay)
        self.square.lerp_(returns.square().mean(), 1 - self.decay)
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
