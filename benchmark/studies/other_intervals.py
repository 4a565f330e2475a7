"""What else there is for a probability of improvement: intervals that Accord does not print, to compare with.

Each takes the scores [R, n] of one row and [R, m] of another, R times, and returns the ends [R] of 95 % intervals.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from accord.benchmark.statistics import CONFIDENCE, Array, Ends
from accord.benchmark.studies.families import pairs_above, share_above

TAIL = (1 - CONFIDENCE) / 2
Z = float(stats.norm.ppf(1 - TAIL))
RESAMPLES, HALVINGS, SEED = 400, 40, 1


def percentile_bootstrap(a: Array, b: Array) -> Ends:
    """Both samples are drawn again with replacement (Agarwal et al., NeurIPS 2021)."""
    generator = np.random.default_rng(SEED)
    found = np.empty((RESAMPLES, len(a)))
    for resample in found:
        resample[:] = share_above(
            *(np.take_along_axis(x, generator.integers(0, x.shape[1], x.shape), 1) for x in (a, b))
        )
    low, high = np.quantile(found, [TAIL, 1 - TAIL], axis=0)
    return low, high


def newcombe(a: Array, b: Array) -> Ends:
    """Score interval with the variance of exponential scores: method 5 of Newcombe (Statistics in Medicine, 2006)."""
    n, m, share = a.shape[1], b.shape[1], share_above(a, b)
    others = (n + m) / 2 - 1

    def too_far(theta: Array) -> NDArray[np.bool_]:
        scale = 1 + others * (1 - theta) / (2 - theta) + others * theta / (1 + theta)
        return np.asarray(np.abs(share - theta) > Z * np.sqrt(theta * (1 - theta) * scale / (n * m)))

    return _end(share, 0.0, too_far), _end(share, 1.0, too_far)


def pseudo_score(a: Array, b: Array) -> Ends:
    """Wilson's interval for as many trials as the estimated variance amounts to, at least min(n, m); see Mee (1990)."""
    n, m, share = a.shape[1], b.shape[1], share_above(a, b)
    above = pairs_above(a, b)
    variance = above.mean(2).var(1, ddof=1) / n + above.mean(1).var(1, ddof=1) / m
    known = variance > 0
    trials = np.where(known, share * (1 - share) / np.where(known, variance, 1.0), 0.0).clip(min(n, m), n * m)
    middle = (share + Z**2 / (2 * trials)) / (1 + Z**2 / trials)
    half = Z * np.sqrt(share * (1 - share) / trials + Z**2 / (4 * trials**2)) / (1 + Z**2 / trials)
    return middle - half, middle + half


def logit_delong(a: Array, b: Array) -> Ends:
    """Normal on the logit scale with DeLong's variance (Perme and Manevski, 2019).

    Where all of one sample is above all of the other, they shift it until that becomes unlikely; here Clopper and
    Pearson's one-sided bound is taken instead.
    """
    n, m, share = a.shape[1], b.shape[1], share_above(a, b)
    above = pairs_above(a, b)
    variance = above.mean(1).var(1, ddof=1) * (n - 1) + above.mean(2).var(1, ddof=1) * (m - 1) + share * (1 - share)
    inside = np.where((share > 0) & (share < 1), share, 0.5)
    middle, half = special.logit(inside), Z * np.sqrt(variance / (n * m)) / (inside * (1 - inside))
    bound = (1 - CONFIDENCE) ** (1 / min(n, m))
    low = np.where(share == 1, bound, np.where(share == 0, 0.0, special.expit(middle - half)))
    high = np.where(share == 0, 1 - bound, np.where(share == 1, 1.0, special.expit(middle + half)))
    return low, high


def mid_p(a: Array, b: Array) -> Ends:
    """Clopper and Pearson's for min(n, m) trials, but half the probability of what was observed is left out."""
    trials, share = min(a.shape[1], b.shape[1]), share_above(a, b)
    won, lost = share * trials, (1 - share) * trials

    def as_many(theta: Array) -> Array:
        more = np.where(lost > 0, special.betainc(won + 1, np.where(lost > 0, lost, 1.0), theta), 0.0)
        return (more + np.where(won > 0, special.betainc(np.where(won > 0, won, 1.0), lost + 1, theta), 1.0)) / 2

    low = _end(share, 0.0, lambda theta: as_many(theta) < TAIL)
    return low, _end(share, 1.0, lambda theta: 1 - as_many(theta) < TAIL)


OTHERS: dict[str, Callable[[Array, Array], Ends]] = {
    "mid-p, min(n, m) trials": mid_p,
    "logit, DeLong's variance": logit_delong,
    "pseudo-score": pseudo_score,
    "Newcombe's method 5": newcombe,
    "percentile bootstrap": percentile_bootstrap,
}


def _end(share: Array, outer: float, too_far: Callable[[Array], NDArray[np.bool_]]) -> Array:
    """Where, on the way from a share to 0 or 1, values begin to be too far from it."""
    near, far = share, np.full_like(share, outer)
    for _ in range(HALVINGS):
        middle = (near + far) / 2
        refused = too_far(middle)
        near, far = np.where(refused, near, middle), np.where(refused, middle, far)
    return near
