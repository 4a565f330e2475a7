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
from accord.envs.network.static import DENSE_MATRIX


def bounds(network: Network, mixing: str) -> bool:
    """Whether `contraction` knows the rounds of a network: of one without faults, or that only loses messages."""
    exchanges = ("plain", "chebyshev", "balanced", "tracking") if network.exact else ("plain", "tracking")
    return mixing in exchanges and (network.exact or (network.lost is not None and network.n_agents <= DENSE_MATRIX))


def contraction(network: Network, rounds: int, mixing: str) -> float:
    """ρ of K rounds: by which factor they shrink δ at least; where messages are lost at random, its root mean square.

    Plain rounds multiply by W, whose second largest absolute eigenvalue is σ: ρ = σ^K. Chebyshev's polynomial
    T_K(W/σ)/T_K(1/σ) is at most 1/T_K(1/σ) on [−σ, σ] (Auzinger and Melenk, 2011; no other of its degree is smaller).
    With losses ρ = ρ₂^(K/2), see `contraction_with_loss`: single steps may pass the bound, means over time do not.

    Args:
        network: Whose weights are doubly stochastic.
        rounds: K.
        mixing: See `Network.mix`.
    """
    if not network.exact and network.lost is not None:
        return contraction_with_loss(network, *network.lost) ** (rounds / 2)
    sigma = min(1.0, network.sigma)
    if mixing != "chebyshev" or sigma in (0.0, 1.0):
        return sigma**rounds
    shrunk = math.exp(-rounds * math.acosh(1 / sigma))  # 1/cosh, which does not overflow
    return 2 * shrunk / (1 + shrunk**2)


def contraction_with_loss(network: Network, loss: float, one_way: bool) -> float:
    """By which factor a plain round shrinks E δ² at least, where messages are lost: ρ₂.

    A round multiplies by W_p + noise, W_p = (1 − p)W + pI its mean: what is lost falls to the receiver's own number.
    With L₂ the Laplacian of the squared weights the noise adds 2p(1 − p)·xᵀL₂x to E‖x⁺‖² where both directions of a
    link are lost together: ρ₂ = λ_max(W_p² − J + 2p(1 − p)·L₂), J = 11ᵀ/N. Where each is lost by itself the mean moves
    as well, by a variance of 2p(1 − p)·xᵀL₂x/N², which leaves (1 − 1/N) of the noise beside it.

    Args:
        network: Small enough for a dense matrix; its weights are those without losses.
        loss: p.
        one_way: Each direction of a link is lost by itself.
    """
    n, weights = network.n_agents, network.mixing_matrix()
    mean = (1 - loss) * weights + loss * torch.eye(n, dtype=torch.float64)
    square = weights.square()
    square.fill_diagonal_(0.0)
    laplacian = torch.diag(square.sum(1)) - square
    part = 1 - 1 / n if one_way else 1.0
    spread = mean @ mean - 1 / n + 2 * loss * (1 - loss) * part * laplacian
    return float(torch.linalg.eigvalsh(spread)[-1])


class Disagreement:
    """A bound on δ of each budget, step by step: δ ← ρ·(δ + α·min(‖Πe‖, ‖Πẽ‖)), without ρ where nobody talks of it.

    Of real numbers: float32 rounds λ, so δ is seen to pass a bound that is near 0 by some 1e-8 of λ.

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
