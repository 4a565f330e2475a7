"""What moved the multipliers of a rollout, added up apart from moving them: no clock of an agent runs meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from accord.baselines.base import Ledger
from accord.baselines.multipliers.theory import Disagreement, spread_of


@dataclass(frozen=True)
class Move:
    """One step of λ; each [B, N, m] in mean prices.

    Attributes:
        before: λ at its beginning.
        asked: What dual steps add, α times the excess.
        moved: λ before its limits.
        clipped: λ within them.
        after: λ at the end, when all have talked.
        mixed: Which budgets agents talked of, bool, [B, m] or [].
        turn: Who talked, see `Network.turn`.
    """

    before: Tensor
    asked: Tensor
    moved: Tensor
    clipped: Tensor
    after: Tensor
    mixed: Tensor
    turn: int | None


class Account:
    """Moves, and what they come to; see `Ledger` and `Disagreement`."""

    def __init__(self, lam: Tensor, apart: Disagreement | None) -> None:
        """Set up.

        Args:
            lam: First λ [B, N, m].
            apart: Bound on the disagreement, where theory has one.
        """
        self._moves: list[Move] = []
        self._apart = apart
        # Means over agents of what the limits and communication gave and took, [B, m].
        self._cut, self._lifted, self._talk = torch.zeros(3, *lam[:, 0].shape, device=lam.device, dtype=torch.float64)

    def note(self, move: Move) -> None:
        """Remember a step until `settle`."""
        self._moves.append(move)

    def settle(self) -> None:
        """Add up what was noted."""
        for move in self._moves:
            given = move.clipped - move.moved
            self._lifted += _mean(given.clamp_min(0.0))
            self._cut -= _mean(given.clamp_max(0.0))
            # What moved the mean and is neither a dual step nor a limit: averages, trackers, pulls of neighbours.
            self._talk += _mean(move.after) - _mean(move.clipped) + _mean(move.moved) - _mean(move.before)
            self._talk -= _mean(move.asked)
            if self._apart is not None:
                asked, left = spread_of(move.moved - move.before), spread_of(move.clipped - move.before)
                self._apart.add(asked, left, move.mixed, move.turn)
        self._moves.clear()

    def ledger(self, lam: Tensor, use: Tensor, aimed: float) -> Ledger:
        """Of the first copy.

        Args:
            lam: λ now [B, N, m].
            use: See `use_per_price`, [m].
            aimed: τ.
        """
        self.settle()
        level, cut, lifted, talk = torch.stack([_mean(lam), self._cut, self._lifted, self._talk])[:, 0] * use
        return Ledger(level, cut, lifted, talk, aimed)

    def apart(self) -> Tensor | None:
        """The bound on δ/√N of the first copy, [m]."""
        self.settle()
        return None if self._apart is None else self._apart.bound[0]


def _mean(lam: Tensor) -> Tensor:
    """Over agents, float64, [B, m]."""
    return lam.mean(1, dtype=torch.float64)
