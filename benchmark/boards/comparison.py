"""Which of two rows is better, and whether their seeds can tell: a probability with its interval, and an exact test."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from accord.baselines.registry import METHODS, REFERENCES, has_randomness, learns
from accord.benchmark.boards.leaderboard import number
from accord.benchmark.records.record import Record
from accord.benchmark.records.setups import groups
from accord.benchmark.statistics import SIGNIFICANCE, Estimate, estimate, probability_of_improvement, rank_test
from accord.envs.catalogue import is_episodic

IMPROVEMENT_COLUMNS = (
    *("suite", "scenario", "method", "variant", "over", "over_variant", "seeds", "over_seeds"),
    *("probability", "probability_low", "probability_high"),
    *("p", "told_apart", "setup", "over_setup"),
)


def scores(records: Sequence[Record]) -> list[float]:
    """One number per run, more is better: the return, or the objective with its sign turned.

    Minus infinity where a run is not feasible, or left no number: any feasible run beats any that is not.
    """
    return [_score(record) for record in records]


def is_known(records: Sequence[Record]) -> bool:
    """A row of one run of a method whose score does not depend on a seed: a known number, not a draw."""
    name = records[0].spec.method
    return len(records) == 1 and not learns(name) and not has_randomness(name) and name in {*METHODS, *REFERENCES}


def p_value(own: Sequence[Record], other: Sequence[Record]) -> float | None:
    """Of the exact two-sided rank-sum test on the scores of two rows; None where one of them is a known number."""
    if is_known(own) or is_known(other):
        return None
    return rank_test(scores(own), scores(other))


def told_apart(own: Sequence[Record], other: Sequence[Record]) -> bool:
    """The seeds of two rows tell which is better.

    By the exact two-sided rank-sum test at 5 %, which three seeds against three or four never pass. A known number is
    told from a row of seeds where it lies outside the interval of that row's median, and so never from four seeds or
    fewer; and from another known number where the two differ.
    """
    if is_known(own) and is_known(other):
        return scores(own) != scores(other)
    if is_known(own):
        return _outside(scores(own)[0], estimate(scores(other)))
    if is_known(other):
        return _outside(scores(other)[0], estimate(scores(own)))
    p = rank_test(scores(own), scores(other))
    return p is not None and p <= SIGNIFICANCE


def improvements(records: Sequence[Record], subject: str) -> pd.DataFrame:
    """Probability that a seed of `subject` does better than a seed of another method, one row per scenario and pair.

    The lower objective is better and any feasible run beats any infeasible one, or, in an episodic scenario,
    the higher return is better; ties count half. A variant of the subject is compared with the same variant of
    others and with their defaults, its default with everything; every set-up with every other.

    Columns `IMPROVEMENT_COLUMNS`: `p` of the exact rank-sum test, blank against a known number; `told_apart` as the
    function of that name says. Two seeds or fewer claim no interval of the probability.
    """
    found = groups(records)
    rows = []
    for (suite, scenario, method, variant, setup), own in found.items():
        if method != subject:
            continue
        for (*place, other, other_variant, other_setup), group in found.items():
            if place != [suite, scenario] or other == method or other in REFERENCES:
                continue
            if variant and other_variant not in (variant, ""):
                continue
            chance = _chance(own, group)
            names = (suite, scenario, method, variant, other, other_variant, len(own), len(group))
            said = (p_value(own, group), told_apart(own, group), setup, other_setup)
            rows.append((*names, *chance, *said))
    return pd.DataFrame(rows, columns=list(IMPROVEMENT_COLUMNS))


def _chance(own: Sequence[Record], other: Sequence[Record]) -> Estimate:
    """Probability of improvement; a known number counts as often as the other row has seeds, since it has no spread."""
    first, second = scores(own), scores(other)
    if is_known(own):
        first *= len(second)
    elif is_known(other):
        second *= len(first)
    return probability_of_improvement(first, second)


def _outside(value: float, interval: Estimate) -> bool:
    return interval.low is not None and interval.high is not None and not interval.low <= value <= interval.high


def _score(record: Record) -> float:
    if is_episodic(record.spec.scenario):
        value = number(record.metrics.get("episode_return"))
        return -math.inf if value is None else value
    value = number(record.metrics.get("objective"))
    return -value if record.metrics.get("feasible") is True and value is not None else -math.inf
