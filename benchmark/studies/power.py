"""How many seeds tell two rows apart by the exact rank-sum test."""

from __future__ import annotations

from bisect import bisect_left
from functools import cache

import numpy as np
import pandas as pd

from accord.benchmark.statistics import FEWEST_FOR_INTERVAL, SIGNIFICANCE, rank_test

DIFFERENCE = 2.0  # points: a gap of 5 % against one of 7 %
POWER = 0.8
SPREADS = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0)  # standard deviations of seeds, points
MOST_SEEDS = 50
DRAWS, SEED = 4_000, 0


def power_table(runs: pd.DataFrame) -> str:
    """Markdown: the spreads of seeds in a runs table, and how many seeds tell a difference of `DIFFERENCE` points."""
    spreads = spreads_of(runs)
    quarter, half, most = spreads.quantile([0.25, 0.5, 0.75])
    lines = [
        f"Standard deviation of the gap over seeds, of {len(spreads)} rows that learn: in a quarter below "
        f"{quarter:.2f} points, in half below {half:.2f}, in three quarters below {most:.2f}.",
        "",
        f"| standard deviation, points | seeds of each row that tell {DIFFERENCE:g} points |",
        "|---|---|",
    ]
    for spread in SPREADS:
        needed = seeds_needed(DIFFERENCE / spread)
        lines.append(f"| {spread:g} | {f'over {MOST_SEEDS}' if needed is None else needed} |")
    return "\n".join(lines)


def spreads_of(runs: pd.DataFrame) -> pd.Series:
    """Standard deviation of the optimality gap over the seeds of each row that learns, in points.

    Args:
        runs: A published runs table.

    Returns:
        By scenario, method and variant; rows of four seeds or fewer are left out.
    """
    learned = runs[(runs["train_steps"] > 0) & runs["optimality_gap"].notna()]
    rows = learned.groupby(["scenario", "method", "variant"])["optimality_gap"]
    return 100 * rows.std()[rows.size() >= FEWEST_FOR_INTERVAL]


def power(n: int, effect: float) -> float:
    """How often the test tells n seeds of one row from n of another.

    Args:
        n: Seeds of each.
        effect: Difference of the means of normal scores, in their standard deviation.
    """
    generator = np.random.default_rng(SEED)
    scores = generator.standard_normal((DRAWS, 2 * n))
    scores[:, :n] += effect
    rank_sum = (scores.argsort(axis=1) < n) @ np.arange(1, 2 * n + 1)
    won = rank_sum - n * (n + 1) // 2  # pairs
    return float((np.abs(won - n * n / 2) >= _least_told(n)).mean())


def seeds_needed(effect: float) -> int | None:
    """The fewest seeds of each row with which the test tells them apart in `POWER` of cases.

    None where that takes more than `MOST_SEEDS`.
    """
    numbers = range(2, MOST_SEEDS + 1)
    first = bisect_left(numbers, True, key=lambda n: power(n, effect) >= POWER)
    return numbers[first] if first < len(numbers) else None


@cache
def _least_told(n: int) -> float:
    """How far from n²/2 the number of won pairs has to be for n seeds to be told from n others, without ties."""
    others, half = [float(place) for place in range(n)], n * n // 2

    def told(won: int) -> bool:
        p = rank_test(_winning(won, n), others)
        return p is not None and p <= SIGNIFICANCE

    return half + bisect_left(range(half, n * n + 1), True, key=told) - n * n / 2


def _winning(pairs: int, n: int) -> list[float]:
    """As many scores, which are above those of 0, 1, ..., n - 1 in this many pairs."""
    whole, rest = divmod(pairs, n)
    scores = [*[n] * whole, rest - 0.5, *[-1.0] * n]
    return [score + 1e-3 * place for place, score in enumerate(scores[:n])]
