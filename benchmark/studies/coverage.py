"""How often the intervals that Accord prints hold the truth, on distributions of seeds whose truth is known.

`python -m accord.benchmark.studies.coverage` prints a table and exits with status 1 where an interval holds less often
than `LEAST_COVERAGE`. With `--runs results/core/runs.parquet` it also prints how many seeds tell two gaps apart, with
`--others` what other intervals of a probability of improvement do. docs/statistics.md shows all three.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from accord.benchmark.records.files import reading
from accord.benchmark.statistics import LEAST_COVERAGE, Array, Ends, median_interval, share_interval, slope
from accord.benchmark.studies.families import chances, levels, pairs, share_above, singles
from accord.benchmark.studies.other_intervals import OTHERS, percentile_bootstrap
from accord.benchmark.studies.power import power_table
from accord.envs.errors import UsageError

TRUTHS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97)
MEDIANS, RATES = (5, 10), (3, 5, 10)  # scores, where an interval is claimed
EQUAL = ((3, 3), (5, 5), (10, 10))  # scores of the better row and of the other
PAIRS = (*EQUAL, (3, 10))
LEVELS, RANDOM_PAIRS = 4, 300
SIZES, NOISE = (3, 5, 10), 0.1  # of fits of an exponent: sizes, and standard deviation of log cost
REPETITIONS, FEWEST, SEED = 20_000, 1_000, 0
Interval = Callable[[Array, Array], Ends]  # of a probability of improvement, from scores [R, n] and [R, m]


@dataclass(frozen=True)
class Case:
    """One interval on one family of distributions.

    Attributes:
        interval: Of what.
        scores: How many.
        family: What they are drawn from.
        coverage: How often it holds the truth, at the truth where it does so least.
        width: Its mean width over all truths; that of a median in interquartile ranges of the scores, of an exponent in
            exponents. NaN where a score is infinite, or the interquartile range is 0.
    """

    interval: str
    scores: str
    family: str
    coverage: float
    width: float


def printed(repetitions: int = REPETITIONS) -> list[Case]:
    """Every interval that Accord prints, on every family.

    Args:
        repetitions: Draws per number of scores, family and truth, where the coverage is not computed exactly.
    """
    generator = np.random.default_rng(SEED)
    return [
        *medians(repetitions, generator),
        *rates(),
        *improvements("probability of improvement", _improvement, repetitions, generator),
        *random_improvements(),
        *exponents(repetitions, generator),
    ]


def medians(repetitions: int, generator: np.random.Generator) -> Iterator[Case]:
    """The interval of a median of seeds."""
    for n in MEDIANS:
        for family, quantile in singles().items():
            low, high = _claimed(median_interval(quantile(generator.random((repetitions, n)))))
            first, middle, last = quantile(np.array([0.25, 0.5, 0.75]))
            held = float(((low <= middle) & (middle <= high)).mean())
            spread = last - first
            width = float((high - low).mean() / spread) if np.isfinite(low).all() and spread else np.nan
            yield Case("median", str(n), family, held, width)


def rates() -> Iterator[Case]:
    """The interval of a rate, exactly."""
    for n in RATES:
        held, width = _held_by_counts(*_claimed(share_interval(np.arange(n + 1) / n, n)))
        yield Case("rate", str(n), "independent runs (exact)", held, width)


def improvements(
    name: str,
    interval: Interval,
    repetitions: int,
    generator: np.random.Generator,
    sizes: Sequence[tuple[int, int]] = PAIRS,
) -> Iterator[Case]:
    """An interval of a probability of improvement, on `pairs`."""
    for n, m in sizes:
        found: dict[str, list[tuple[float, float]]] = {}
        for theta in TRUTHS:
            for family, (better, worse) in pairs(theta):
                a, b = better(generator.random((repetitions, n))), worse(generator.random((repetitions, m)))
                low, high = interval(a, b)
                held = (low <= theta) & (theta <= high)
                found.setdefault(family, []).append((float(held.mean()), float((high - low).mean())))
        for family, measured in found.items():
            held_least, width = min(held for held, _ in measured), float(np.mean([width for _, width in measured]))
            yield Case(name, _both(n, m), family, held_least, width)


def random_improvements() -> Iterator[Case]:
    """The interval of a probability of improvement, exactly, on random distributions on a few levels."""
    generator = np.random.default_rng(SEED)
    above = np.tril(np.ones((LEVELS, LEVELS)), -1) + 0.5 * np.eye(LEVELS)  # of one level over another
    for n, m in PAIRS:
        ways, other_ways = levels(n, LEVELS), levels(m, LEVELS)
        low, high = _claimed(share_interval(ways @ above @ other_ways.T / (n * m), min(n, m)))
        held, width = [], []
        for _ in range(RANDOM_PAIRS):
            weights, other_weights = generator.dirichlet(np.full(LEVELS, 0.3), 2)
            theta = weights @ above @ other_weights
            likely, other_likely = chances(ways, weights), chances(other_ways, other_weights)
            held.append(float(likely @ ((low <= theta) & (theta <= high)) @ other_likely))
            width.append(float(likely @ (high - low) @ other_likely))
        family = f"{RANDOM_PAIRS} random pairs on {LEVELS} levels (exact)"
        yield Case("probability of improvement", _both(n, m), family, min(held), float(np.mean(width)))


def exponents(repetitions: int, generator: np.random.Generator) -> Iterator[Case]:
    """The interval of a growth exponent under its own model: a power of N times independent lognormal errors."""
    for n in SIZES:
        sizes = np.log(4.0) + np.log(2.0) * np.arange(n)
        errors = NOISE * generator.standard_normal((repetitions, n))
        _, low, high = slope(sizes, sizes + errors)  # another exponent would shift all three
        held = float(((low <= 1) & (high >= 1)).mean())
        family = f"errors of {100 * NOISE:.0f} % around a power of N"
        yield Case("exponent", str(n), family, held, float((high - low).mean()))


def others(repetitions: int = REPETITIONS) -> list[Case]:
    """The interval of a probability of improvement beside those of `OTHERS`, which hold less often or are wider."""
    found: list[Case] = []
    for name, interval in {"printed": _improvement, **OTHERS}.items():
        draws = repetitions // (20 if interval is percentile_bootstrap else 4)  # it draws again from every draw
        found += improvements(name, interval, draws, np.random.default_rng(SEED), EQUAL)
        found += (against_a_constant(name, interval, n) for n, _ in EQUAL)
    return found


def against_a_constant(name: str, interval: Interval, n: int) -> Case:
    """An interval of a probability of improvement, exactly: of two values against a constant, at many truths."""
    won = np.tril(np.ones((n + 1, n)), -1)  # none, one, ... of the scores
    low, high = interval(won, np.full((n + 1, n), 0.5))
    held, width = _held_by_counts(low, high)
    return Case(name, str(n), "two values against a constant (exact)", held, width)


def table(cases: Iterable[Case], *, least_only: bool = False) -> str:
    """Markdown: a row per interval and family, with coverage and mean width for each number of scores.

    Args:
        cases: In the order of the rows.
        least_only: One row per interval: the least coverage of all families, the mean of their widths, and which it is.
    """
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for (interval, scores), own in _grouped(cases).items():
        if not least_only:
            for case in own:
                cells.setdefault((interval, case.family), {})[scores] = _cell(case.coverage, case.width)
            continue
        least = min(own, key=lambda case: case.coverage)
        cell = f"{_cell(least.coverage, float(np.nanmean([case.width for case in own])))} ({least.family})"
        cells.setdefault((interval, "all"), {})[scores] = cell
    columns = sorted(
        {scores for row in cells.values() for scores in row}, key=lambda s: [int(n) for n in s.split(" and ")]
    )
    heading = ["interval", "scores drawn from", *columns]
    rows = [[*names, *(row.get(scores, "") for scores in columns)] for names, row in cells.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heading, ["---"] * len(heading), *rows))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; 1 where a printed interval holds too seldom, else 0."""
    parser = argparse.ArgumentParser(prog="python -m accord.benchmark.studies.coverage", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=REPETITIONS, help=f"draws of each case, at least {FEWEST:,}")
    parser.add_argument("--runs", type=Path, help="a published runs table, for how many seeds tell two gaps apart")
    parser.add_argument("--others", action="store_true", help="also other intervals of a probability of improvement")
    given = parser.parse_args(arguments)
    if given.repetitions < FEWEST:
        parser.error(f"--repetitions: {given.repetitions}; allowed: {FEWEST:,} or more")
    runs = None
    if given.runs is not None:
        try:
            with reading(given.runs, "name a runs table, like results/core/runs.parquet"):
                runs = pd.read_parquet(given.runs)
        except UsageError as mistake:
            parser.error(f"--runs: {mistake}")
    cases = printed(given.repetitions)
    print(table(cases))
    if given.others:
        print("", table(others(given.repetitions), least_only=True), sep="\n")
    if runs is not None:
        print("", power_table(runs), sep="\n")
    seldom = [case for case in cases if case.coverage < LEAST_COVERAGE]
    for case in seldom:
        print(f"{case.interval} of {case.scores}, {case.family}: {100 * case.coverage:.1f} %", file=sys.stderr)
    return 1 if seldom else 0


def _improvement(a: Array, b: Array) -> Ends:
    """The interval of `probability_of_improvement`, of many pairs of rows at once."""
    return _claimed(share_interval(share_above(a, b), min(a.shape[1], b.shape[1])))


def _held_by_counts(low: Array, high: Array) -> tuple[float, float]:
    """Least coverage and mean width over truths, of intervals [n + 1] for none, one, ... of n trials that succeed."""
    truths = np.linspace(min(TRUTHS), max(TRUTHS), 471)[:, None]
    likely = stats.binom.pmf(np.arange(len(low)), len(low) - 1, truths)  # [truths, n + 1]
    held = (likely * ((low <= truths) & (truths <= high))).sum(1)
    return float(held.min()), float((likely @ (high - low)).mean())


def _claimed(ends: Ends | None) -> Ends:
    if ends is None:
        raise ValueError("no interval is claimed of so few scores")
    return ends


def _both(n: int, m: int) -> str:
    return str(n) if n == m else f"{n} and {m}"


def _grouped(cases: Iterable[Case]) -> dict[tuple[str, str], list[Case]]:
    found: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        found.setdefault((case.interval, case.scores), []).append(case)
    return found


def _cell(coverage: float, width: float) -> str:
    return f"{100 * coverage:.1f} %" + (f", {width:.2f}" if np.isfinite(width) else "")


if __name__ == "__main__":
    sys.exit(main())
