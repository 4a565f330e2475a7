"""Scores of seeds in, estimates and intervals out.

The interquartile mean with a percentile bootstrap follows Agarwal et al., "Deep Reinforcement Learning at
the Edge of the Statistical Precipice" (NeurIPS 2021). None and NaN are scores that were not measured: they
are left out, and where nothing is left the answer is None. Three scores or fewer: no interval is claimed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FEWEST_FOR_INTERVAL = 4
CONFIDENCE = 0.95
RESAMPLES = 2000

Array = NDArray[np.float64]
Scores = Sequence[float | None]
Interval = tuple[float, float]


class Estimate(NamedTuple):
    """A point and its 95 % interval; the ends are None where no interval is claimed."""

    value: float | None
    low: float | None = None
    high: float | None = None


def estimate(values: Scores, seed: int) -> Estimate:
    """Interquartile mean of one score per seed, with its bootstrap interval."""
    return Estimate(interquartile_mean(values), *(bootstrap_interval(values, seed) or (None, None)))


def interquartile_mean(values: Scores) -> float | None:
    """Mean without the lowest and the highest quarter, each rounded down to whole scores."""
    scores = measured(values)
    return float(stats.trim_mean(scores, 0.25)) if scores.size else None


def bootstrap_interval(values: Scores, seed: int) -> Interval | None:
    """95 % percentile bootstrap interval of the interquartile mean.

    Args:
        values: One score per seed of training.
        seed: Of the resampling: the same seed and scores give the same interval.
    """
    return stratified_interval([values], seed)


def stratified_interval(tasks: Sequence[Scores], seed: int) -> Interval | None:
    """95 % percentile bootstrap interval of the interquartile mean of several tasks' scores taken together.

    Each task's scores are resampled by themselves, so that no resample holds more of one task.

    Args:
        tasks: For each task, one score per seed of training; the tasks' scores are comparable in scale.
            A task without any score is left out.
        seed: Of the resampling: the same seed and scores give the same interval.
    """
    return _bootstrap([scores for scores in map(measured, tasks) if scores.size], _pooled_mean, seed)


def wilson_interval(successes: int, n: int) -> Interval | None:
    """95 % Wilson score interval of a rate.

    Raises:
        ValueError: successes are not between 0 and n.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"successes must lie between 0 and n = {n}, got {successes}")
    if n < FEWEST_FOR_INTERVAL:
        return None
    found = stats.binomtest(successes, n).proportion_ci(CONFIDENCE, method="wilson")
    return float(found.low), float(found.high)


def probability_of_improvement(a: Scores, b: Scores, seed: int) -> Estimate:
    """Probability that a score of `a` is above a score of `b`, ties counted half (Mann-Whitney's U / nm).

    Where less is better, pass the scores with their signs turned.

    Args:
        a: One score per seed of one method.
        b: One score per seed of the other; the numbers of seeds may differ.
        seed: Of the resampling: the same seed and scores give the same interval.
    """
    first, second = measured(a), measured(b)
    if not (first.size and second.size):
        return Estimate(None)
    value = float(_share_above(first, second))
    return Estimate(value, *(_bootstrap([first, second], _share_above, seed) or (None, None)))


def measured(values: Scores) -> Array:
    """The scores that were measured, float64: without None and NaN."""
    scores = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return scores[~np.isnan(scores)]


def _bootstrap(samples: Sequence[Array], statistic: Callable[..., Array], seed: int) -> Interval | None:
    if not samples or min(scores.size for scores in samples) < FEWEST_FOR_INTERVAL:
        return None
    found = stats.bootstrap(
        samples,
        statistic,
        n_resamples=RESAMPLES,
        vectorized=True,
        confidence_level=CONFIDENCE,
        method="percentile",
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


def _pooled_mean(*samples: Array, axis: int = -1) -> Array:
    return np.asarray(stats.trim_mean(np.concatenate(samples, axis=axis), 0.25, axis=axis))


def _share_above(a: Array, b: Array, axis: int = -1) -> Array:
    """Share of pairs in which a is above b; the samples lie along the last axis."""
    first, second = a[..., :, None], b[..., None, :]
    return np.asarray(((first > second) + 0.5 * (first == second)).mean(axis=(-2, -1)))
