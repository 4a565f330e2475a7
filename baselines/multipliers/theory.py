"""What theory says of multipliers that agents agree on, to stand beside what is measured.

Notation: δ = ‖Πλ‖₂ of a budget, Π = I − 11ᵀ/N what is left beside the mean, ρ how far a step's messages contract it, P
the clip to [0, λ_max], α·e what a dual step adds and α·ẽ = P(λ + α·e) − λ what of it is left. Where the violation of a
budget comes from is told by a `Ledger`, see `baselines.base`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from accord.envs.network import Network


def contraction(network: Network, rounds: int, mixing: str) -> float:
    """ρ of K rounds: by which factor they shrink δ at least.

    Plain rounds multiply by W, whose second largest absolute eigenvalue is σ: ρ = σ^K. Chebyshev's polynomial
    T_K(W/σ)/T_K(1/σ) is at most 1/T_K(1/σ) on [−σ, σ] (Auzinger and Melenk, 2011; no other of its degree is smaller).

    Args:
        network: Whose weights are doubly stochastic.
        rounds: K.
        mixing: `plain` or `chebyshev`.
    """
    sigma = min(1.0, network.sigma)
    if mixing == "plain" or sigma in (0.0, 1.0):
        return sigma**rounds
    return 1 / math.cosh(rounds * math.acosh(1 / sigma))


class Disagreement:
    """A bound on δ of each budget, step by step: δ ← ρ·(δ + α·min(‖Πe‖, ‖Πẽ‖)), without ρ where nobody talks of it.

    Proof. W commutes with Π and contracts its image by ρ. A dual step adds α·ẽ, which gives δ + α·‖Πẽ‖ by the
    triangle inequality. And ‖ΠP(y)‖² = Σ_ij (P(y_i) − P(y_j))²/2N ≤ ‖Πy‖², since P does not push any pair apart:
    δ + α·‖Πe‖. Only how far agents' excesses differ counts, not how large they are.

    What was added is kept until somebody asks: the spectrum of a large network takes its time.
    """

    def __init__(self, factor: Callable[[], float], lam: Tensor) -> None:
        """Set up.

        Args:
            factor: ρ.
            lam: First λ [..., N, m].
        """
        self._factor, self._bound = factor, spread_of(lam)
        self._added: list[tuple[Tensor, Tensor]] = []

    def add(self, gained: Tensor, mixed: Tensor) -> None:
        """Take in a step.

        Args:
            gained: α·min(‖Πe‖, ‖Πẽ‖), [..., m].
            mixed: Which budgets agents talked of, bool, [..., m] or a single one for all.
        """
        self._added.append((gained, mixed))

    @property
    def bound(self) -> Tensor:
        """The bound on δ now, float64, [..., m]."""
        if self._added:
            rho = self._bound.new_tensor(self._factor())
            for gained, mixed in self._added:
                self._bound = (self._bound + gained) * torch.where(mixed, rho, 1.0)
            self._added.clear()
        return self._bound


def spread_of(x: Tensor) -> Tensor:
    """‖Πx‖₂ over the agents of [..., N, m], float64, [..., m]."""
    return (x - x.mean(-2, keepdim=True, dtype=torch.float64)).square().sum(-2).sqrt()


def spread_of_sums(total: Tensor, square: Tensor, agents: int) -> Tensor:
    """The same from Σ x and Σ x² over the agents, float64."""
    return (square - total.square() / agents).clamp_min(0.0).sqrt()
