import itertools
import math

import numpy as np
import pytest
from scipy import stats

from accord.benchmark.statistics import (
    SIGNIFICANCE,
    Estimate,
    estimate,
    median_coverage,
    median_interval,
    probability_of_improvement,
    rank_test,
    rate,
    share_interval,
    slope,
)

INFEASIBLE = -math.inf


def test_the_middle_is_the_median_and_no_seed_is_left_out_of_the_interval() -> None:
    assert estimate([3.0, 1.0, 100.0, 2.0, 4.0]) == Estimate(3.0, 1.0, 100.0)
    assert estimate([3.0, 1.0, INFEASIBLE, 2.0, 4.0]) == Estimate(2.0, INFEASIBLE, 4.0)


def test_scores_that_were_not_measured_are_left_out() -> None:
    assert estimate([1.0, None, 4.0, math.nan]) == Estimate(2.5)
    assert estimate([None, math.nan]) == estimate([]) == Estimate(None)
    assert estimate([1, 2, 3, 4, None, 5]) == Estimate(3.0, 1.0, 5.0)


def test_four_seeds_claim_no_interval_of_their_median() -> None:
    assert estimate([1, 2, 3, 4]) == Estimate(2.5)
    assert median_coverage(4) is None
    assert median_interval(np.arange(4.0)) is None


# Confidence of the sign test's intervals: 1 - 2 P(B(n, 1/2) < k), as statistical tables have it.
@pytest.mark.parametrize(
    ("n", "low", "coverage"),
    [(5, 1, 0.9375), (6, 1, 0.96875), (8, 1, 0.9921875), (9, 2, 0.9609375), (10, 2, 0.978515625), (20, 6, 0.9586105)],
)
def test_ends_are_the_order_statistics_of_the_sign_test(n: int, low: int, coverage: float) -> None:
    scores = np.random.default_rng(0).permutation(np.arange(1.0, n + 1))
    assert estimate(scores.tolist())[1:] == (low, n + 1 - low)
    assert median_coverage(n) == pytest.approx(coverage)


def test_intervals_of_many_samples_are_those_of_each() -> None:
    scores = np.random.default_rng(0).normal(size=(2, 3, 9))
    ends = median_interval(scores)
    assert ends is not None
    for place in np.ndindex(2, 3):
        assert (ends[0][place], ends[1][place]) == estimate(scores[place].tolist())[1:]


@pytest.mark.parametrize("successes", range(6))
def test_rate_has_the_exact_interval(successes: int) -> None:
    expected = stats.binomtest(successes, 5).proportion_ci(0.95, method="exact")
    assert rate(successes, 5) == pytest.approx((successes / 5, expected.low, expected.high))


def test_exact_interval_of_textbooks() -> None:
    assert rate(0, 10)[1:] == pytest.approx((0.0, 0.3085), abs=5e-5)
    assert rate(81, 263)[1:] == pytest.approx((0.2527, 0.3676), abs=5e-5)  # Newcombe 1998, table I
    assert rate(15, 148)[1:] == pytest.approx((0.0578, 0.1617), abs=5e-5)


def test_two_runs_claim_no_interval_of_a_rate() -> None:
    assert rate(2, 2) == Estimate(1.0)
    assert rate(3, 3).low == pytest.approx(0.025 ** (1 / 3))
    assert rate(0, 0) == Estimate(None)
    with pytest.raises(ValueError, match="between 0 and n = 5"):
        rate(6, 5)


def test_an_interval_of_a_share_grows_with_the_share_between_whole_numbers() -> None:
    low, high = share_interval(np.linspace(0, 1, 101), 5) or pytest.fail("five trials have an interval")
    assert (np.diff(low) >= 0).all()
    assert (np.diff(high) >= 0).all()
    assert (low[0], high[-1]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([5, 6, 7, 8], [1, 2, 3, 4], 1.0),
        ([1, 1, 1, 1], [1, 1, 1, 1], 0.5),
        ([1, 2, 3, 4], [5, 6, 7, 8], 0.0),
        ([1, 3], [2, 3], (0 + 0 + 1 + 0.5) / 4),
        ([INFEASIBLE, 1], [INFEASIBLE], 0.75),
        ([1, None, math.nan], [0], 1.0),
    ],
)
def test_probability_of_improvement(a: list[float | None], b: list[float | None], expected: float) -> None:
    assert probability_of_improvement(a, b).value == pytest.approx(expected)


def test_a_probability_of_improvement_is_never_certain() -> None:
    whole = probability_of_improvement([6, 7, 8, 9, 10], [1, 2, 3, 4, 5])
    assert whole == pytest.approx((1.0, 0.025 ** (1 / 5), 1.0))
    assert probability_of_improvement([6, 7, 8, 9, 10], list(range(5)) * 3) == whole, "the smaller sample decides"
    assert probability_of_improvement([1, 2, 3], [0, 0]) == Estimate(1.0)
    assert probability_of_improvement([1, 2, 3], []) == Estimate(None)


def test_two_rows_that_change_places_have_the_mirrored_interval() -> None:
    a, b = [1.0, 4.0, 5.0, 7.0, 9.0], [2.0, 3.0, 6.0, 6.5, 1.5]
    value, low, high = probability_of_improvement(a, b)
    assert probability_of_improvement(b, a) == pytest.approx((1 - (value or 0), 1 - (high or 0), 1 - (low or 0)))


def by_enumeration(a: list[float], b: list[float]) -> float:
    """The p-value of the rank sum, split by split."""
    ranks = stats.rankdata([*a, *b])
    mean = len(a) * (len(ranks) + 1) / 2
    apart = [abs(sum(ranks[i] for i in own) - mean) for own in itertools.combinations(range(len(ranks)), len(a))]
    return float(np.mean(np.array(apart) >= abs(ranks[: len(a)].sum() - mean) - 1e-9))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]),
        ([1.0, 1.0, 2.0], [1.0, 2.0, 2.0, 3.0]),
        ([INFEASIBLE, INFEASIBLE, 3.0, 4.0, 5.0], [INFEASIBLE, 1.0, 2.0]),
        ([1.0], [2.0, 3.0, 4.0]),
        ([2.0, 2.0], [2.0, 2.0, 2.0]),
    ],
)
def test_rank_test_counts_every_split(a: list[float], b: list[float]) -> None:
    assert rank_test(a, b) == pytest.approx(by_enumeration(a, b))
    assert rank_test(b, a) == pytest.approx(by_enumeration(a, b))


def test_rank_test_without_ties_is_scipys_exact_one() -> None:
    a, b = np.split(np.random.default_rng(3).normal(size=20), 2)
    assert rank_test(a.tolist(), b.tolist()) == pytest.approx(stats.mannwhitneyu(a, b, method="exact").pvalue)


@pytest.mark.parametrize(
    ("n", "m", "least"), [(3, 3, 0.1), (3, 4, 2 / 35), (4, 4, 2 / 70), (5, 5, 2 / 252), (1, 9, 0.2)]
)
def test_least_p_value(n: int, m: int, least: float) -> None:
    assert rank_test(list(range(n)), list(range(n, n + m))) == pytest.approx(least)


def test_rank_test_needs_scores() -> None:
    assert rank_test([], [1.0]) is None
    assert rank_test([1.0], [None, math.nan]) is None
    assert rank_test([1.0, None], [1.0]) == 1.0


def test_rows_that_are_alike_are_seldom_told_apart() -> None:
    scores = [0.0, 0.0, 0.0, 1.0, 1.0, 2.0, 3.0, 3.0, 4.0]  # dealt to two rows in every way
    told = []
    for own in itertools.combinations(range(9), 4):
        p = rank_test([scores[i] for i in own], [scores[i] for i in range(9) if i not in own])
        told.append(p is not None and p <= SIGNIFICANCE)
    assert 0 < np.mean(told) <= SIGNIFICANCE


def test_slope_has_the_interval_of_least_squares() -> None:
    generator = np.random.default_rng(0)
    x = np.log([4.0, 8.0, 64.0, 1024.0, 4096.0])
    y = 1.2 * x + generator.normal(size=(3, 5))
    found = np.array(slope(x, y))
    for sample, (exponent, low, high) in zip(y, found.T, strict=True):
        line = stats.linregress(x, sample)
        assert exponent == pytest.approx(line.slope)
        assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, 3) * line.stderr)
        assert (high + low) / 2 == pytest.approx(exponent)
