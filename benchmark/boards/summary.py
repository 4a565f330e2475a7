"""A suite in one table: a row per method, a column per scenario, and in each cell gap, violation and verdict."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from accord.benchmark.boards.selection import Selection
from accord.benchmark.evaluation.metric import BLANK
from accord.envs.catalogue import is_episodic

CELL = (
    "Each cell: gap to the optimum in percent, or return, its median over seeds with the interval; what the median is "
    "over the budget in percent; whether a seed postpones demand; how many seeds are feasible."
)


@dataclass(frozen=True)
class Summary:
    """The table.

    Attributes:
        scenarios: Addresses, a column each.
        rows: A method, its variant and set-up, and a cell per scenario; empty where it did not run there.
    """

    scenarios: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]


def summarise(board: pd.DataFrame, selection: Selection) -> Summary:
    """A summary of a leaderboard.

    Args:
        board: See `leaderboard`; of the scenarios that are shown.
        selection: Which rows, in which order, and by what names.
    """
    addresses = sorted(set(board["scenario"]), key=lambda address: (selection.place_of_scenario(address), address))
    cells: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in board.to_dict("records"):
        if selection.wants(row["method"], row["variant"]):
            cells.setdefault((row["method"], row["variant"], row["setup"]), {})[row["scenario"]] = _cell(row)
    ordered = sorted(cells, key=lambda key: selection.place(key[0], key[1]))
    rows = []
    for method, variant, setup in ordered:
        found = cells[method, variant, setup]
        extra = ", ".join(word for word in (variant, setup) if word)
        rows.append((selection.named(method), extra, tuple(found.get(address, "") for address in addresses)))
    return Summary(tuple(addresses), tuple(rows))


def _cell(row: Mapping[Any, Any]) -> str:
    """Like `7.3 [6.6, 7.5], 2.1 over, postpones (4/5)`."""
    seeds = row["seeds"]
    if is_episodic(row["scenario"]):
        return f"{_interval(row, 'episode_return', 1.0, 2)} ({seeds} {'seed' if seeds == 1 else 'seeds'})"
    words = [_interval(row, "optimality_gap", 100.0, 1)]
    over = row["violation"]
    if float(f"{100 * over:.1f}") > 0:  # False where it was not measured
        words.append(f"{100 * over:.1f} over")
    if re.search("postpones|both", row["verdict"]):
        words.append("postpones")
    words += [word for word in ("infeasible", "failed", "out of time", "out of memory") if word in row["verdict"]]
    rate = row["feasible_rate"]
    counted = "" if pd.isna(rate) else f" ({round(rate * seeds)}/{seeds})"
    return f"{', '.join(words)}{counted}"


def _interval(row: Mapping[Any, Any], name: str, factor: float, decimals: int) -> str:
    """The median, and its interval where there is one that is not a point."""
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    if pd.isna(value):
        return BLANK
    middle, *ends = ("" if pd.isna(number) else f"{factor * number:z.{decimals}f}" for number in (value, low, high))
    return middle if ends[0] in ("", ends[1]) else f"{middle} [{ends[0]}, {ends[1]}]"
