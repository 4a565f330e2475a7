"""Multipliers in fused execution: dual steps chunk by chunk, then messages, as in `baselines.multipliers.moving`."""

from __future__ import annotations

import torch
from torch import Tensor

from accord.baselines.base import Ledger
from accord.baselines.consensus.chunked_state import CrowdState
from accord.baselines.multipliers.moving import DualConfig, Rule, shares, use_per_price
from accord.baselines.multipliers.theory import Disagreement, disagreement, spread_of_sums
from accord.envs.network import Network
from accord.envs.network.shards import ShardNetwork
from accord.envs.task import TaskSpec

RULES = ("gossip", "broadcast", "independent")


class CrowdMultipliers:
    """λ and ν of a `CrowdState`, where they move by constant steps and all agents have equal parts of a budget."""

    def __init__(
        self, spec: TaskSpec, network: Network | ShardNetwork, dual: DualConfig, rule: Rule, state: CrowdState
    ) -> None:
        """Set up.

        Args:
            spec: The whole task's.
            network: Who talks to whom.
            dual: Steps and limits.
            rule: One of `RULES`; over a part of a network gossip alone.
            state: Where they are kept; of some of the agents over a part of a network.
        """
        self._network, self._dual, self._rule, self._state = network, dual, rule, state
        self._scale, self._agents = 1 / spec.usage_scale, spec.n_agents
        mean_share = spec.limits / spec.member_counts / spec.usage_scale
        self._unit = mean_share.clamp_min(1e-6) if dual.unit == "share" else torch.ones_like(mean_share)
        self._aim = (1 - dual.tighten) * shares(spec, "equal")[0] / spec.usage_scale  # [m], base loads
        self._use = use_per_price(spec, dual) / spec.n_agents
        # Σ over agents of what the limits gave and took and of what communication gave, [m] in mean prices.
        self._lifted, self._cut, self._talk = mean_share.new_zeros(3, len(mean_share), dtype=torch.float64)
        self._apart: Disagreement | None = None

    def begin(self) -> None:
        """An hour begins."""
        network = self._network
        if self._rule == "gossip" and self._apart is None and isinstance(network, Network):
            self._apart = disagreement(network, self._dual.rounds, "plain", self._state.lam)
        # Σ and Σ of squares of the dual steps that agents ask for, and of those that the limits leave.
        self._asked, self._asked_square, self._done, self._done_square = self._cut.new_zeros(4, len(self._cut))

    def move(
        self, rows: slice, imported: Tensor, shortfall: Tensor, counted: Tensor, counting: slice | list[int]
    ) -> tuple[Tensor, Tensor]:
        """A dual step of a chunk; what it asks for and λ before it, of the budgets that count, for `count`.

        Args:
            rows: Its agents.
            imported: [n] kWh.
            shortfall: [n] kWh.
            counted: Which budgets count, float32, [m].
            counting: Indices of those.
        """
        dual, before, nu = self._dual, self._state.lam[rows], self._state.nu[rows]
        excess = counted * (imported[:, None] * self._scale - self._aim) / self._unit  # [n, m]
        ascent = dual.alpha * excess
        noted = ascent[:, counting], before[:, counting].clone()
        self._state.lam[rows] = torch.add(before, ascent).clamp_(0.0, dual.lambda_max)
        nu.sub_(shortfall * (dual.eta * self._scale)).clamp_(-dual.nu_max, dual.nu_max)
        return noted

    def talk(self) -> None:
        """The messages of an hour."""
        state, network = self._state, self._network
        if self._rule == "gossip":
            state.lam = network.mix(state.lam[None], self._dual.rounds)[0]
        elif self._rule == "broadcast":
            assert isinstance(network, Network)  # a part of one has no centre
            state.lam.copy_(network.mean(state.lam[None])[0].expand_as(state.lam))

    def count(self, noted: tuple[Tensor, Tensor], counting: slice | list[int]) -> None:
        """Add up what a chunk's dual steps ask for, and what the limits leave; budgets that do not count stay."""
        asked, before = (values.double() for values in noted)
        moved = before + asked
        given = moved.clamp(0.0, self._dual.lambda_max) - moved
        done = asked + given
        self._lifted[counting] += given.clamp_min(0.0).sum(0)
        self._cut[counting] -= given.clamp_max(0.0).sum(0)
        self._asked[counting] += asked.sum(0)
        self._asked_square[counting] += asked.square().sum(0)
        self._done[counting] += done.sum(0)
        self._done_square[counting] += done.square().sum(0)

    def before_talk(self) -> None:
        """Note where the means are, and how far apart this hour's steps were."""
        if self._apart is not None:
            asked = spread_of_sums(self._asked, self._asked_square, self._agents)
            done = spread_of_sums(self._done, self._done_square, self._agents)
            self._apart.add(asked, done, torch.tensor(True, device=asked.device))
        self._talk -= self._total()

    def after_talk(self) -> None:
        """Note where they are now."""
        self._talk += self._total()

    def ledger(self) -> Ledger | None:
        """See `Rollout`; over a part of a network what its agents add to the terms of all."""
        if self._dual.alpha == 0:
            return None
        level, cut, lifted, talk = torch.stack([self._total(), self._cut, self._lifted, self._talk]) * self._use
        return Ledger(level, cut, lifted, talk, self._dual.tighten)

    def disagreement_bound(self) -> Tensor | None:
        """See `Rollout`; None but for gossip over a whole network."""
        return None if self._apart is None else self._apart.bound / self._agents**0.5

    def _total(self) -> Tensor:
        """Σ over agents of λ, float64, [m]."""
        return self._state.lam.sum(0, dtype=torch.float64)
