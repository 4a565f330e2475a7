"""What agents hear of each other over a few hops: S^0 z, ..., S^K z with S = D^-1/2 A D^-1/2 of an adjacency A."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from accord.envs.network import Network


class Hops(Protocol):
    """Hops over one graph, or over one for each of several leading dimensions."""

    def hear(self, z: Tensor) -> Tensor:
        """The taps of z [..., A, F] side by side, [..., A, (K + 1) F]."""

    def back(self, heard: Tensor) -> Tensor:
        """The transpose of `hear`: from gradients by what is heard to those by z."""

    def each(self, count: int) -> Sequence[Hops]:
        """The graphs of `count` steps, which are the first dimension where they differ."""


def over(links: Tensor, taps: int) -> OverMatrices:
    """K hops over graphs with adjacencies [..., A, A]; a lone agent hears nothing."""
    scale = links.sum(-1).clamp_min(1.0).rsqrt()
    shift = links * scale[..., None] * scale[..., None, :]
    powers = [torch.eye(links.shape[-1], dtype=links.dtype, device=links.device).expand_as(links)]
    for _ in range(taps):
        powers.append(shift @ powers[-1])
    return OverMatrices(torch.stack(powers, -2).flatten(-3, -2))


class OverMatrices:
    """Hops over graphs that are known as matrices, for training; see `over`."""

    def __init__(self, powers: Tensor) -> None:
        """Set up.

        Args:
            powers: S^0, ..., S^K, those of an agent together, [..., A (K + 1), A].
        """
        self._powers = powers

    def hear(self, z: Tensor) -> Tensor:
        """See `Hops.hear`."""
        return (self._powers @ z).unflatten(-2, (z.shape[-2], -1)).flatten(-2)

    def back(self, heard: Tensor) -> Tensor:
        """See `Hops.back`."""
        taps = self._powers.shape[-2] // heard.shape[-2]
        return self._powers.mT @ heard.unflatten(-1, (taps, -1)).flatten(-3, -2)

    def each(self, count: int) -> Sequence[Hops]:
        """See `Hops.each`."""
        return [OverMatrices(powers) for powers in self._powers.expand(count, *self._powers.shape[1:]).unbind()]


class OverNetwork:
    """Hops over a network, which counts what is sent."""

    def __init__(self, network: Network, taps: int) -> None:
        """Set up.

        Args:
            network: Who talks to whom.
            taps: Hops, K.
        """
        self._network, self._taps = network, taps

    def hear(self, z: Tensor) -> Tensor:
        """See `Hops.hear`."""
        return self._network.propagate(z.flatten(0, -3), self._taps).flatten(-2).unflatten(0, z.shape[:-2])

    def back(self, heard: Tensor) -> Tensor:
        """See `Hops.back`; S is symmetric."""
        *nearer, z = heard.unflatten(-1, (self._taps + 1, -1)).flatten(0, -4).unbind(-2)
        for near in reversed(nearer):
            z = near + self._network.propagate(z, 1)[:, :, 1]
        return z.unflatten(0, heard.shape[:-2])

    def each(self, count: int) -> Sequence[Hops]:
        """See `Hops.each`."""
        return [self] * count
