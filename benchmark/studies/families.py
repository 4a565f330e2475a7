"""Distributions of seeds whose truth is known, to measure on them how often intervals hold.

A distribution is its quantile function: it takes uniform numbers to scores, and .5 to the median. A score of minus
infinity is that of a seed that is not feasible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

Array = NDArray[np.float64]
Quantile = Callable[[Array], Array]
Pair = tuple[Quantile, Quantile]

FAR = 100.0  # spreads, by which a seed that fails lies below the others
GRID = (np.arange(4_000) + 0.5) / 4_000


def normal(spread: float = 1.0, middle: float = 0.0) -> Quantile:
    """Normal scores."""
    return lambda u: middle + spread * special.ndtri(u)


def skewed(u: Array) -> Array:
    """Lognormal scores: a long tail above."""
    return np.exp(special.ndtri(u))


def skewed_down(u: Array) -> Array:
    """Lognormal scores with their signs turned: a long tail below."""
    return -skewed(1 - u)


def two_point(share: float, high: float = 1.0, low: float = -1.0) -> Quantile:
    """The value `high` in a share of seeds, else `low`."""
    return lambda u: np.where(u < 1 - share, low, high)


def failing(share: float, others: Quantile, low: float = -FAR) -> Quantile:
    """A share of seeds ends up at `low`, the others are distributed as `others`."""
    return lambda u: np.where(u < share, low, others(np.clip((u - share) / (1 - share), 1e-12, 1 - 1e-12)))


def constant(u: Array) -> Array:
    """Always zero."""
    return np.zeros_like(u)


def singles() -> dict[str, Quantile]:
    """Distributions of one row's scores."""
    return {
        "normal": normal(),
        "skewed": skewed,
        "a third of the seeds fail": failing(1 / 3, normal()),
        "nearly half of the seeds fail": failing(0.45, normal()),
        "a third is infeasible": failing(1 / 3, normal(), -np.inf),
        "ties: few whole numbers": lambda u: np.round(special.ndtri(u)),
        "two values, one in .6": two_point(0.6),
        "two values, one in .95": two_point(0.95),
    }


def pairs(theta: float) -> Iterator[tuple[str, Pair]]:
    """Distributions of two rows of which a score of the first is above one of the second in a share theta.

    Ties count half.

    Args:
        theta: At least .5.
    """
    failed = (1 - theta) / 2
    placed: dict[str, Pair] = {
        "normal": (normal(), normal()),
        "spreads 3 to 1": (normal(3), normal()),
        "spreads 1 to 3": (normal(), normal(3)),
        "skewed": (skewed, skewed),
        "skewed apart": (skewed_down, skewed),
        "skewed towards each other": (skewed, skewed_down),
        "some seeds of the better fail": (failing(failed, normal()), normal()),
        "a fifth of the worse fails": (normal(), failing(0.2, normal())),
        "infeasible seeds tie": (failing(failed, normal(), -np.inf), failing(0.4, normal(), -np.inf)),
    }
    for name, (better, worse) in placed.items():
        yield name, (_raised(better, worse, theta), worse)
    yield "two values each", (two_point(theta, 0.0, -np.inf), two_point(1 - theta, 0.0, -np.inf))
    yield "ties with a constant", (two_point(2 * theta - 1, 1.0, 0.0), constant)
    yield "two values against a constant", (two_point(theta), constant)
    yield "a constant against two values", (constant, two_point(1 - theta))


def pairs_above(a: Array, b: Array) -> Array:
    """Of every pair, 1 where the score of a [R, n] is above that of b [R, m], .5 where they tie, else 0: [R, n, m]."""
    first, second = a[:, :, None], b[:, None, :]
    return (first > second) + 0.5 * (first == second)


def share_above(a: Array, b: Array) -> Array:
    """Share of pairs in which a score of a [R, n] is above one of b [R, m], ties counted half: [R]."""
    return pairs_above(a, b).mean((1, 2))


def levels(n: int, count: int) -> Array:
    """Every way in which n scores can lie on `count` levels: how many on each, [ways, count]."""
    if count == 1:
        return np.array([[n]])
    return np.concatenate([np.insert(levels(n - on_it, count - 1), 0, on_it, axis=1) for on_it in range(n + 1)])


def chances(ways: Array, weights: Array) -> Array:
    """Of each of these ways, scores being on the levels with these probabilities [count]."""
    return np.asarray(stats.multinomial.pmf(ways, n=int(ways[0].sum()), p=weights))


def _raised(better: Quantile, worse: Quantile, theta: float) -> Quantile:
    """The first distribution, shifted so that it is above the second in a share theta."""
    own, other = better(GRID), np.sort(worse(GRID))

    def excess(by: float) -> float:
        below, up_to = (np.searchsorted(other, own + by, side=side).mean() for side in ("left", "right"))
        return float(below + up_to) / (2 * len(other)) - theta

    by = optimize.bisect(excess, -FAR / 2, FAR / 2, xtol=1e-9)
    return lambda u: better(u) + by
