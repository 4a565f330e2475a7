"""What theory says of multipliers that agents agree on, to stand beside what is measured.

Notation: δ = ‖Πλ‖₂ of a budget, Π = I − 11ᵀ/N what is left beside the mean, ρ how far a step's messages contract it, P
the clip to [0, λ_max], α·e what a dual step adds and α·ẽ = P(λ + α·e) − λ what of it is left. Where the violation of a
budget comes from is told by a `Ledger`, see `baselines.base`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator

import torch
from torch import Tensor

from accord.envs.network import Network
from accord.envs.network.static import DENSE_MATRIX


def bounds(network: Network, mixing: str, rounds: int) -> bool:
    """Whether theory bounds the disagreement of gossip over a network.

    Over one without faults; where messages are lost at random; where links take turns or rest; and where messages are
    late or rounded, if exchanges are balanced. Not where kinds of these come together, but turns with rests and delays
    with rounding; not where agents fail, lie or are cut off: then nothing draws all of them together.

    Args:
        network: Its faults may not be worked out but for `DENSE_MATRIX` agents.
        mixing: See `Network.mix`.
        rounds: K.
    """
    kinds = network.faults.kinds
    if not kinds:
        return mixing in ("plain", "chebyshev", "balanced", "tracking")
    if network.n_agents > DENSE_MATRIX:
        return False
    if kinds <= {"loss"} or kinds <= {"one_way_loss"} or kinds <= {"every", "switching"}:
        return mixing in ("plain", "tracking")
    return kinds <= {"delay", "rounding"} and mixing == "balanced" and (rounds == 1 or len(kinds) == 1)


def contraction(network: Network, rounds: int, mixing: str, turn: int | None = None) -> float:
    """ρ of K rounds: by which factor they shrink δ at least; where messages are lost at random, its root mean square.

    Plain rounds multiply by W, whose second largest absolute eigenvalue is σ: ρ = σ^K, that of the graph whose turn it
    is. Chebyshev's polynomial T_K(W/σ)/T_K(1/σ) is at most 1/T_K(1/σ) on [−σ, σ] (Auzinger and Melenk, 2011; no other
    of its degree is smaller). With losses ρ = ρ₂^(K/2), see `contraction_with_loss`: single steps may pass the bound,
    means over time do not.

    Args:
        network: Whose weights are doubly stochastic.
        rounds: K.
        mixing: See `Network.mix`.
        turn: See `Network.turn`.
    """
    faults = network.faults
    if turn is not None and faults.kinds & {"loss", "one_way_loss"}:
        one_way = faults.one_way_loss > 0
        return contraction_with_loss(network, faults.one_way_loss if one_way else faults.loss, one_way) ** (rounds / 2)
    sigma = min(1.0, network.sigma_at(turn))
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


def settled(step: float, rho: float, period: int) -> tuple[float, float]:
    """Where δ ends up at most if every dual step spreads by the same: its peak, and its mean over time.

    A budget that counts in one of p steps, while agents talk of it in all: δ ← ρ^p·δ + ρ·αD has the fixed point
    αDρ/(1 − ρ^p), from which it falls by ρ in each of the p steps. Their mean is αDρ/(p·(1 − ρ)).

    Args:
        step: αD, by how much a dual step spreads λ: D = sup ‖Πe‖ ≤ √N·(e_max − e_min)/2.
        rho: ρ < 1.
        period: p, 24 for a budget of one hour of the day.
    """
    return step * rho / (1 - rho**period), step * rho / (period * (1 - rho))


def responses(network: Network, rounds: int) -> Iterator[float]:
    """H(0), H(1), …: how much of what a dual step spreads is left after that exchange and those that follow.

    Balanced exchanges of messages that are d exchanges late, damped by ε (`FaultyNetwork.damping`): round k of an
    exchange gives x − ε·(I − W)·x_k(t − d), x_k what the same round began with d exchanges before. Along an eigenvector
    of W with eigenvalue ω that is a recursion of numbers, and W is symmetric: the norm of the whole response is the
    largest |h_ω| of any ω but that of the mean. Before the first messages arrive nobody moves: H(0) = 1.
    """
    omega = torch.linalg.eigvalsh(network.mixing_matrix())[:-1]
    late = network.faults.delay
    rate = network.damping(rounds) * (1 - omega)
    x, told = torch.ones_like(omega), [deque[Tensor](maxlen=late + 1) for _ in range(rounds)]
    while True:
        for past in told:
            past.append(x)
            if len(past) > late:
                x = x - rate * past[0]
        yield float(x.abs().max()) if len(x) else 0.0


def rounding_error(network: Network) -> float:
    """By how much a round of rounded messages moves agents apart at most, ε·(1 − ω_min)·√N·Δ/2: in ‖Πλ‖₂.

    Balanced exchanges round both numbers: the error is ε·(I − W)·q, with each |q_i| at most Δ/2 and 1 − ω_min the
    largest eigenvalue of I − W.
    """
    if not network.faults.rounding:
        return 0.0
    return network.damping(1) * (1 - network.lowest) * network.n_agents**0.5 * network.faults.rounding / 2


def disagreement(network: Network, rounds: int, mixing: str, lam: Tensor) -> Disagreement | None:
    """A bound that is carried along with gossip from λ `[..., N, m]`; None where theory has none, see `bounds`."""
    if not bounds(network, mixing, rounds):
        return None
    if network.faults.delay:
        return LateDisagreement(network, rounds, lam)
    return Disagreement(network, rounds, mixing, lam)


class Disagreement:
    """A bound on δ of each budget, step by step: δ ← ρ·(δ + α·min(‖Πe‖, ‖Πẽ‖)), without ρ where nobody talks of it.

    Of real numbers: float32 rounds λ, so δ is seen to pass a bound that is near 0 by some 1e-8 of λ.

    Proof. W commutes with Π and contracts its image by ρ. A dual step adds α·ẽ, which gives δ + α·‖Πẽ‖ by the
    triangle inequality. And ‖ΠP(y)‖² = Σ_ij (P(y_i) − P(y_j))²/2N ≤ ‖Πy‖², since P does not push any pair apart:
    δ + α·‖Πe‖. Only how far agents' excesses differ counts, not how large they are. Rounded messages add
    `rounding_error` in each round: e·(1 + σ + … + σ^(K−1)).

    What was added is kept until somebody asks: the spectrum of a large network takes its time.
    """

    def __init__(self, network: Network, rounds: int, mixing: str, lam: Tensor) -> None:
        """Set up.

        Args:
            network: Who talks to whom.
            rounds: K.
            mixing: See `Network.mix`.
            lam: First λ [..., N, m].
        """
        self._network, self._rounds, self._mixing = network, rounds, mixing
        self._bound = spread_of(lam)
        self._added: list[tuple[Tensor, Tensor, Tensor, int | None]] = []
        self._factors: dict[int | None, tuple[float, float]] = {}

    def add(self, asked: Tensor, left: Tensor, mixed: Tensor, turn: int | None = None) -> None:
        """Take in a step.

        Args:
            asked: α·‖Πe‖, [..., m].
            left: α·‖Πẽ‖, [..., m].
            mixed: Which budgets agents talked of, bool, [..., m] or a single one for all.
            turn: Who talked, see `Network.turn`.
        """
        self._added.append((asked, left, mixed, turn))

    @property
    def bound(self) -> Tensor:
        """The bound on δ now, float64, [..., m]."""
        for asked, left, mixed, turn in self._added:
            self._take(asked, left, mixed, turn)
        self._added.clear()
        return self._bound

    def _take(self, asked: Tensor, left: Tensor, mixed: Tensor, turn: int | None) -> None:
        rho, error = self._factor(turn)
        apart = self._bound + torch.minimum(asked, left)
        self._bound = torch.where(mixed, rho * apart + error, apart)

    def _factor(self, turn: int | None) -> tuple[float, float]:
        """ρ, and what rounding adds."""
        if turn not in self._factors:
            network, rounds = self._network, self._rounds
            rho, error = contraction(network, rounds, self._mixing, turn), 0.0
            if turn is not None and network.faults.rounding:
                error = rounding_error(network) * sum(network.sigma**k for k in range(rounds))
            self._factors[turn] = rho, error
        return self._factors[turn]


class LateDisagreement(Disagreement):
    """The same where messages are late and exchanges balanced: δ_t ≤ Σ_s H(t − s)·α‖Πẽ_s‖, see `responses`.

    What is apart when the delays begin counts as part of the first step, and what rounding adds after an exchange as
    part of the next one. The clip of λ is within ẽ; that it pushes no pair apart is of no use here, since the past is
    told as well.
    """

    def __init__(self, network: Network, rounds: int, lam: Tensor) -> None:
        """See `Disagreement`."""
        super().__init__(network, rounds, "balanced", lam)
        self._responses = responses(network, rounds)
        self._left, self._steps = self._bound.new_zeros(0, *self._bound.shape), 0
        self._weights = self._bound.new_zeros(0)

    def _take(self, asked: Tensor, left: Tensor, mixed: Tensor, turn: int | None) -> None:
        if turn is None:
            super()._take(asked, left, mixed, turn)
            return
        at, error = self._steps, rounding_error(self._network)
        if at == len(self._left):
            self._left = torch.cat([self._left, torch.zeros_like(self._left), self._left.new_zeros(1, *left.shape)])
            self._weights = torch.cat([self._weights, self._weights.new_zeros(len(self._left) - at)])
        self._left[at] = left + (self._bound if at == 0 else error)
        self._weights[at] = next(self._responses)
        self._steps += 1
        weights = self._weights[: self._steps].flip(0)
        self._bound = torch.tensordot(weights, self._left[: self._steps], 1) + error


def spread_of(x: Tensor) -> Tensor:
    """‖Πx‖₂ over the agents of [..., N, m], float64, [..., m]."""
    return (x - x.mean(-2, keepdim=True, dtype=torch.float64)).square().sum(-2).sqrt()


def spread_of_sums(total: Tensor, square: Tensor, agents: int) -> Tensor:
    """The same from Σ x and Σ x² over the agents, float64."""
    return (square - total.square() / agents).clamp_min(0.0).sqrt()
