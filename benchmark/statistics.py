"""Scores of seeds in; estimates, intervals and a test out, which hold at five seeds.

A score is one number per seed of training: seeds are independent, all else that was measured is not. None and NaN are
scores that were not measured: they are left out, and where nothing is left the answer is None. Minus infinity is a
score below all others, such as that of an infeasible run. Nothing is resampled: the same scores give the same answer.

`accord.benchmark.studies.coverage` measures how often the intervals hold; docs/statistics.md says why they were chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

CONFIDENCE = 0.95
LEAST_COVERAGE = 0.93  # of a median's interval: few scores offer few levels, and .95 would leave five without one
FEWEST_FOR_INTERVAL = 5  # scores for an interval of the median: the range of four covers it in 87.5 % only
FEWEST_FOR_RATE = 3  # scores for an interval of a rate or of a probability of improvement
SIGNIFICANCE = 0.05  # of the test by which two rows are told apart

Array = NDArray[np.float64]
Scores = Sequence[float | None]
Ends = tuple[Array, Array]


class Estimate(NamedTuple):
    """A point and its interval; the ends are None where no interval is claimed."""

    value: float | None
    low: float | None = None
    high: float | None = None


def estimate(values: Scores) -> Estimate:
    """Median of one score per seed, with the interval of `median_interval`."""
    scores = measured(values)
    return _with_ends(float(np.median(scores)), median_interval(scores)) if scores.size else Estimate(None)


def rate(successes: int, n: int) -> Estimate:
    """Share of successes, with the interval of `share_interval`.

    Raises:
        ValueError: successes are not between 0 and n.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"successes must lie between 0 and n = {n}, got {successes}")
    return _with_ends(successes / n, share_interval(np.array(successes / n), n)) if n else Estimate(None)


def probability_of_improvement(a: Scores, b: Scores) -> Estimate:
    """Probability that a score of `a` is above a score of `b`, ties counted half: Mann-Whitney's U / nm.

    The interval is that of a share of as many trials as the smaller sample has scores: whatever the two distributions
    are, the variance of U / nm is at most that of such a share, theta (1 - theta) / min(n, m) (van Dantzig 1951;
    Birnbaum and Klose, "Bounds for the variance of the Mann-Whitney statistic", 1957). It is conservative on purpose:
    what is tighter fails where one row hardly varies (docs/statistics.md). Where less is better, pass the scores with
    their signs turned. A score that is known and no draw may be given as often as the other row has scores.

    Args:
        a: One score per seed of one method.
        b: One score per seed of the other; the numbers of seeds may differ.
    """
    first, second = measured(a), measured(b)
    if not (first.size and second.size):
        return Estimate(None)
    share = ((first[:, None] > second) + 0.5 * (first[:, None] == second)).mean()
    return _with_ends(float(share), share_interval(share, min(first.size, second.size)))


def rank_test(a: Scores, b: Scores) -> float | None:
    """Two-sided p-value of the exact permutation test of the rank sum, that of Wilcoxon, Mann and Whitney.

    Every way to split the scores is counted, and tied scores share their mean rank: it is the share of splits in which
    the rank sum of `a` lies as far from its mean as here, or farther. Three scores against four never come below .057,
    nor four against four below .029. None where either has no scores.
    """
    first, second = measured(a), measured(b)
    if not (first.size and second.size):
        return None
    n, both = first.size, first.size + second.size
    doubled = np.rint(2 * stats.rankdata(np.concatenate([first, second]))).astype(int)  # ties too are whole numbers
    ways = np.zeros((n + 1, int(doubled.sum()) + 1))  # [scores taken, twice their rank sum]
    ways[0, 0] = 1
    for rank in doubled:
        ways[1:, rank:] += ways[:-1, : ways.shape[1] - rank]
    apart = np.abs(np.arange(ways.shape[1]) - n * (both + 1))
    as_far = apart >= abs(int(doubled[:n].sum()) - n * (both + 1))
    return float(ways[n, as_far].sum() / ways[n].sum())


def median_interval(scores: Array) -> Ends | None:
    """Ends of the order-statistic interval of a median.

    They are the k-th lowest and the k-th highest score, with the largest k that keeps `LEAST_COVERAGE`. It is the
    interval of the sign test, which assumes nothing of how scores are distributed (Thompson, "On confidence ranges for
    the median and other expectation distributions for populations of unknown distribution form", 1936). Of five to
    eight scores it is the range.

    Args:
        scores: [..., n], in any order.

    Returns:
        Lows and highs [...], or None for fewer than `FEWEST_FOR_INTERVAL` scores.
    """
    n = scores.shape[-1]
    if n < FEWEST_FOR_INTERVAL:
        return None
    ordered, k = np.sort(scores, axis=-1), _order(n)
    return ordered[..., k - 1], ordered[..., n - k]


def median_coverage(n: int) -> float | None:
    """How often `median_interval` holds the median of what n scores are drawn from.

    Exact where the distribution is continuous, and at least so often elsewhere: .9375 at n = 5, .979 at n = 10. None
    where no interval is claimed.
    """
    return None if n < FEWEST_FOR_INTERVAL else 1 - 2 * float(stats.binom.cdf(_order(n) - 1, n, 0.5))


def share_interval(share: Array, trials: int) -> Ends | None:
    """Ends of Clopper and Pearson's 95 % interval (Biometrika 1934), which never covers less.

    Args:
        share: Successes over trials [...]; the successes need not be a whole number.
        trials: How many there were.

    Returns:
        Lows and highs [...], or None for fewer than `FEWEST_FOR_RATE` trials.
    """
    if trials < FEWEST_FOR_RATE:
        return None
    successes, tail = np.asarray(share) * trials, (1 - CONFIDENCE) / 2
    failures = trials - successes
    # A beta distribution has no parameter 0; where there would be one, the end is 0 or 1 itself.
    low = special.betaincinv(np.where(successes > 0, successes, 1), failures + 1, tail)
    high = special.betaincinv(successes + 1, np.where(failures > 0, failures, 1), 1 - tail)
    return np.where(successes > 0, low, 0.0), np.where(failures > 0, high, 1.0)


def slope(x: Array, y: Array) -> tuple[Array, Array, Array]:
    """Least-squares slope of y on x, and the ends of its 95 % interval.

    The interval takes what a straight line leaves of y as independent normal errors of one spread. It knows nothing of
    a line that bends, nor of values of x that were chosen by what was measured there.

    Args:
        x: [n], at least three values.
        y: [..., n].

    Returns:
        Slopes, lows and highs [...].
    """
    apart, n = x - x.mean(), len(x)
    square = apart @ apart
    slopes = np.asarray(y @ apart / square)
    left = y - y.mean(-1, keepdims=True) - slopes[..., None] * apart
    error = np.sqrt((left**2).sum(-1) / (n - 2) / square)
    half = stats.t.ppf((1 + CONFIDENCE) / 2, n - 2) * error
    return slopes, slopes - half, slopes + half


def measured(values: Scores) -> Array:
    """The scores that were measured, float64: without None and NaN."""
    scores = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return scores[~np.isnan(scores)]


def _with_ends(value: float, ends: Ends | None) -> Estimate:
    return Estimate(value) if ends is None else Estimate(value, float(ends[0]), float(ends[1]))


@cache
def _order(n: int) -> int:
    """The largest k with which `median_interval` keeps its coverage."""
    k = np.arange(1, n // 2 + 1)
    return int((1 - 2 * stats.binom.cdf(k - 1, n, 0.5) >= LEAST_COVERAGE).sum())
