"""What one round of messages makes of everybody's numbers, link by link: for rules and faults that no matrix holds."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor


class Links:
    """Directed links, their weights, and which two belong together.

    Attributes:
        sources: Senders, [L].
        targets: Receivers, [L], ascending.
        weights: [L].
        pair: Number of the undirected link, [L].
        pairs: How many of these there are.
    """

    def __init__(self, sources: Tensor, targets: Tensor, weights: Tensor, n_agents: int) -> None:
        """Set up, on any device."""
        self.sources, self.targets, self.weights, self._agents = sources, targets, weights, n_agents
        key = torch.minimum(sources, targets) * n_agents + torch.maximum(sources, targets)
        self.pair = key.unique(return_inverse=True)[1]
        self.pairs = len(key) // 2

    def without(self, gone: Tensor) -> Links:
        """Those that are not `gone`, bool [L]."""
        kept = ~gone
        return Links(self.sources[kept], self.targets[kept], self.weights[kept], self._agents)

    def to(self, device: torch.device | str) -> Links:
        """The same on a device."""
        return Links(self.sources.to(device), self.targets.to(device), self.weights.to(device), self._agents)

    def averaged(self, x: Tensor, heard: Tensor, mine: Tensor, arrived: Tensor, most: float | None = None) -> Tensor:
        """x_i + Σ_j w_ij·(heard_j − mine_i), each difference within ± `most`.

        Args:
            x: [B, N, k].
            heard: What each link delivers, [B, L, k].
            mine: What the receiver holds against it, [B, L, k].
            arrived: How much of a message counts: 1, or 0 where it is lost, [B or 1, L or 1, 1].
            most: Largest difference that is believed; None for any.
        """
        change = heard - mine
        if most is not None:
            change = change.clamp(-most, most)
        return x + torch.zeros_like(x).index_add_(1, self.targets, change * self.weights[:, None].to(x) * arrived)

    def trimmed(self, x: Tensor, heard: Tensor, arrived: Tensor, trim: int) -> Tensor:
        """The mean of one's own number and of those that are heard, without the `trim` largest and smallest of these.

        Args:
            x: [B, N, k].
            heard: What each link delivers, [B, L, k].
            arrived: Whether it does, [B or 1, L or 1, 1].
            trim: How many are left out at either end.
        """
        lost = torch.where(arrived > 0, heard, torch.nan)
        padded = torch.cat([lost, torch.full_like(lost[:, :1], torch.nan)], 1)
        values = padded[:, self._table].sort(2).values  # NaN last
        known = (~values.isnan()).sum(2, keepdim=True)
        place = torch.arange(values.shape[2], device=x.device)[:, None]
        kept = (place >= trim) & (place < known - trim)
        total = torch.where(kept, values, 0.0).sum(2)
        return (x + total) / (1 + kept.sum(2))

    @cached_property
    def _table(self) -> Tensor:
        """Links that lead to each agent, [N, most of any]; filled up with the number behind the last one."""
        count = torch.bincount(self.targets, minlength=self._agents)
        first = count.cumsum(0) - count
        place = torch.arange(len(self.targets), device=self.targets.device) - first[self.targets]
        table = self.targets.new_full((self._agents, int(count.max()) if len(self.targets) else 0), len(self.targets))
        table[self.targets, place] = torch.arange(len(self.targets), device=self.targets.device)
        return table
