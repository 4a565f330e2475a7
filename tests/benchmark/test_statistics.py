import math

import numpy as np
import pytest

from accord.benchmark.statistics import (
    bootstrap_interval,
    estimate,
    interquartile_mean,
    probability_of_improvement,
    stratified_interval,
    wilson_interval,
)

SCORES = [0.3, 1.2, 0.7, 2.5, 1.9, 0.1, 1.4]


def test_interquartile_mean_leaves_out_the_outer_quarters() -> None:
    assert interquartile_mean([100, 1, 2, 3, 4, 5, 6, -50]) == pytest.approx((2 + 3 + 4 + 5) / 4)
    assert interquartile_mean([0, 1, 5, 6, 100]) == pytest.approx(4)  # a quarter of five is one whole score


def test_few_scores_are_averaged() -> None:
    assert interquartile_mean([1, 2, 6]) == pytest.approx(3)


def test_scores_that_were_not_measured_are_left_out() -> None:
    assert interquartile_mean([1.0, None, 3.0, math.nan]) == pytest.approx(2)
    assert interquartile_mean([None, math.nan]) is None
    assert interquartile_mean([]) is None
    assert bootstrap_interval([1.0, 2.0, 3.0, None, math.nan], seed=0) is None


def test_three_seeds_claim_no_interval() -> None:
    assert bootstrap_interval([1, 2, 3], seed=0) is None
    assert stratified_interval([[1, 2, 3, 4], [1, 2, 3]], seed=0) is None
    assert wilson_interval(3, 3) is None
    assert probability_of_improvement([1, 2, 3], [1, 2, 3, 4], seed=0).low is None
    assert bootstrap_interval([1, 2, 3, 4], seed=0) is not None


def test_same_seed_same_interval_another_seed_another() -> None:
    intervals = {seed: bootstrap_interval(SCORES, seed) for seed in range(5)}
    assert intervals == {seed: bootstrap_interval(SCORES, seed) for seed in range(5)}
    assert len(set(intervals.values())) > 1


def test_interval_does_not_depend_on_the_global_generator() -> None:
    np.random.seed(1)  # noqa: NPY002 - the global generator is what must not matter
    first = bootstrap_interval(SCORES, seed=3)
    np.random.seed(2)  # noqa: NPY002
    assert bootstrap_interval(SCORES, seed=3) == first


def test_interval_holds_the_estimate_and_lies_within_the_scores() -> None:
    value, low, high = estimate(SCORES, seed=0)
    assert value is not None
    assert low is not None
    assert high is not None
    assert min(SCORES) <= low <= value <= high <= max(SCORES)


def test_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    intervals = [bootstrap_interval(rng.normal(5, 2, 30).tolist(), seed) for seed in range(200)]
    covered = np.mean([low < 5 < high for low, high in filter(None, intervals)])
    assert 0.88 <= covered <= 0.99


def test_equal_scores_have_an_interval_of_no_width() -> None:
    assert bootstrap_interval([0.4] * 5, seed=0) == pytest.approx((0.4, 0.4))


def test_strata_keep_a_difference_between_tasks_out_of_the_interval() -> None:
    tasks = [[0.0, 0.1, 0.0, 0.1], [10.0, 10.1, 10.0, 10.1]]
    stratified = stratified_interval(tasks, seed=0)
    mixed = bootstrap_interval([*tasks[0], *tasks[1]], seed=0)
    assert stratified is not None
    assert mixed is not None
    assert stratified[1] - stratified[0] < 0.2
    assert mixed[1] - mixed[0] > 5


def test_wilson_interval_of_textbooks() -> None:
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.2775), abs=5e-4)
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-4)  # Newcombe 1998, table I
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-4)
    with pytest.raises(ValueError, match="between 0 and n = 5"):
        wilson_interval(6, 5)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([5, 6, 7, 8], [1, 2, 3, 4], 1.0),
        ([1, 1, 1, 1], [1, 1, 1, 1], 0.5),
        ([1, 2, 3, 4], [5, 6, 7, 8], 0.0),
        ([1, 3], [2, 3], (0 + 0 + 1 + 0.5) / 4),
        ([-math.inf, 1], [-math.inf], 0.75),
    ],
)
def test_probability_of_improvement(a: list[float], b: list[float], expected: float) -> None:
    assert probability_of_improvement(a, b, seed=0).value == pytest.approx(expected)


def test_probability_of_improvement_has_an_interval_around_it() -> None:
    a, b = [1.0, 4.0, 5.0, 7.0, 9.0], [2.0, 3.0, 6.0, 6.5, 1.5, 0.5]
    value, low, high = probability_of_improvement(a, b, seed=0)
    assert value is not None
    assert low is not None
    assert high is not None
    assert 0 <= low < value < high <= 1
    assert probability_of_improvement(a, [], seed=0).value is None
