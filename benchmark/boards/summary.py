"""A suite in one table: a row per method, a column per scenario, and in each cell gap, violation and verdict."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from accord.benchmark.boards.cells import Line, metric_cell
from accord.benchmark.boards.selection import Selection
from accord.benchmark.evaluation.metrics import METRICS
from accord.benchmark.records.record import Record
from accord.benchmark.records.setups import groups
from accord.envs.catalogue import is_episodic

CELL = (
    "Each cell: gap to the optimum in percent, or return; what is over the budget in percent, where the median of the "
    "seeds is; whether a seed postpones demand; how many seeds are feasible. Numbers are medians over seeds with their "
    "interval, or, of four seeds or fewer, the seeds in their order."
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


def summarise(board: pd.DataFrame, records: Sequence[Record], selection: Selection) -> Summary:
    """A summary of a leaderboard.

    Args:
        board: See `leaderboard`; of the scenarios that are shown.
        records: The runs that it is of.
        selection: Which rows, in which order, and by what names.
    """
    addresses = sorted(set(board["scenario"]), key=lambda address: (selection.place_of_scenario(address), address))
    runs = groups(records)
    cells: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in board.to_dict("records"):
        if selection.wants(row["method"], row["variant"]):
            names = (row["method"], row["variant"], row["setup"])
            line = Line(names, row, runs[(row["suite"], row["scenario"], *names)])
            cells.setdefault(names, {})[row["scenario"]] = _cell(line)
    ordered = sorted(cells, key=lambda key: selection.place(key[0], key[1]))
    rows = []
    for method, variant, setup in ordered:
        found = cells[method, variant, setup]
        extra = ", ".join(word for word in (variant, setup) if word)
        rows.append((selection.named(method), extra, tuple(found.get(address, "") for address in addresses)))
    return Summary(tuple(addresses), tuple(rows))


def _cell(line: Line) -> str:
    """Like `7.3 [6.6, 7.5], 2.1 [1.2, 3.0] over, postpones (4/5)`."""
    row, seeds = line.row, line.row["seeds"]
    if is_episodic(row["scenario"]):
        return f"{_numbers(line, 'episode_return')} ({seeds} {'seed' if seeds == 1 else 'seeds'})"
    words = [_numbers(line, "optimality_gap")]
    if float(f"{100 * row['violation']:.1f}") > 0:  # False where it was not measured
        words.append(f"{_numbers(line, 'violation')} over")
    if re.search("postpones|both", row["verdict"]):
        words.append("postpones")
    words += [word for word in ("infeasible", "failed", "out of time", "out of memory") if word in row["verdict"]]
    rate = row["feasible_rate"]
    counted = "" if pd.isna(rate) else f" ({round(rate * seeds)}/{seeds})"
    return f"{', '.join(words)}{counted}"


def _numbers(line: Line, metric: str) -> str:
    """What a table's cell says of a metric, without its worst seed."""
    cell = metric_cell(METRICS[metric], line)
    return " ".join([" / ".join(cell.values), *(note for note in cell.notes if note.startswith("["))])
