"""A network whose links follow the state of the task: who is near can talk."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from accord.envs.errors import UsageError
from accord.envs.network.static import Network


class MovingNetwork(Network):
    """Links that the task gives anew at every step, one graph per copy, connected or not.

    Operations are those of `Network` on dense matrices, for tens of agents; messages and bytes are means over copies.
    What needs a fixed graph (`sigma`, `distances_from`) is not there.
    """

    exact = False

    def __init__(self, n_agents: int, name: str = "moving") -> None:
        """Set up.

        Args:
            n_agents: N.
            name: How the network is called.
        """
        self.n_agents, self.name = n_agents, name
        self.messages = self.bytes = 0
        self._links: Tensor | None = None

    @property
    def digest(self) -> str:
        """Of its name and size: links come from the task."""
        return hashlib.sha256(f"{self.n_agents} {self.name}".encode()).hexdigest()

    def to(self, device: torch.device | str) -> MovingNetwork:
        """Links come from the task, on its device."""
        return self

    def move(self, links: Tensor) -> None:
        """Take the links of now, bool `[B, N, N]`, symmetric and without any from an agent to itself."""
        self._links = links

    def mix(self, x: Tensor, rounds: int = 1, method: str = "plain", limit: float = 0.0) -> Tensor:
        """See `Network.mix`; other rounds than plain ones need a fixed graph."""
        if method != "plain" or rounds < 0:
            raise UsageError(f"mix: method '{method}' with {rounds} rounds; allowed here: plain, 0 rounds or more")
        links = self._heard(x, rounds)
        degree = links.sum(-1)
        weights = links / (1 + torch.maximum(degree[:, :, None], degree[:, None]))
        weights = weights + torch.diag_embed(1 - weights.sum(-1))
        for _ in range(rounds):
            x = weights @ x
        return x

    def neighbour_mean(self, x: Tensor) -> Tensor:
        """See `Network.neighbour_mean`."""
        links = self._heard(x, 1)
        degree = links.sum(-1, keepdim=True)
        return torch.where(degree > 0, links @ x / degree.clamp_min(1), x)

    def propagate(self, x: Tensor, taps: int) -> Tensor:
        """See `Network.propagate`."""
        links = self._heard(x, taps)
        scale = links.sum(-1).clamp_min(1).rsqrt()
        shift = scale[:, :, None] * links * scale[:, None]
        hop = [x]
        for _ in range(taps):
            hop.append(shift @ hop[-1])
        return torch.stack(hop, dim=2)

    def gather(self, x: Tensor) -> Tensor:
        """Edges differ between copies, so there is no list of them."""
        raise TypeError(f"network '{self.name}' moves: what its edges deliver has no fixed shape")

    def _heard(self, x: Tensor, rounds: int) -> Tensor:
        """The links as numbers like x, after counting what is sent over them."""
        if self._links is None:
            raise ValueError(f"network '{self.name}': nobody has said yet who can talk to whom")
        sent = rounds * round(float(self._links.sum()) / len(self._links))
        self._count(x, sent)
        return self._links.to(x.dtype)
