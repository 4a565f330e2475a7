"""A leaderboard laid out for people as tables, before it becomes Markdown or LaTeX."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from accord.baselines.registry import METHODS, REFERENCES
from accord.benchmark.boards.cells import (
    Cell,
    Grid,
    Heading,
    Line,
    Row,
    Style,
    every_seed,
    filled_columns,
    verdict_cell,
)
from accord.benchmark.boards.comparison import told_apart
from accord.benchmark.boards.leaderboard import number, standing
from accord.benchmark.boards.networks import Place, Shared, places, shared_rows
from accord.benchmark.boards.openings import faults, opening
from accord.benchmark.boards.origins import made_by, trainings
from accord.benchmark.boards.selection import EVERYTHING, Selection
from accord.benchmark.evaluation.metrics import IMPRACTICAL_DELAY
from accord.benchmark.figures.sweeps import Contexts
from accord.benchmark.records.record import Record
from accord.benchmark.records.setups import Key, groups
from accord.envs.catalogue import is_episodic

SMOKE = "A smoke suite: few seeds and short training. It is for a first look, not for a paper."
HOW_TO_READ = (
    "Numbers: median over seeds, and in brackets an interval of it that assumes nothing of their distribution: the "
    "range of five to eight seeds, which holds the true median in 93.75 % of repetitions with five; of more seeds, two "
    "of them that hold it in 93 % or more. With four seeds or fewer, the seeds themselves in their order. The worst "
    "seed is named, with its value where that is no end of the interval.",
    "Rates: 95 % interval of Clopper and Pearson.",
    "Gap: objective over the optimum of the linear program (LP), which has perfect foresight. Import peak: in percent "
    "of the uncontrolled peak; the LP's is the least over optima, and blank where that is not known. Savings: against "
    "serve_now. Steps: agent-steps of one training. Training and execution: wall clock, execution per agent and step. "
    "Messages: per agent and step. Needs: beside one's own meter.",
)
BEST = (
    "the best row of a table (lowest median objective where every run is feasible and the delay practical; highest "
    "median return) and every row that cannot be told from it. Seeds are told from seeds by an exact two-sided "
    "rank-sum test at 5 %, each pair by itself, which three against three or four cannot pass; a single run without "
    "chance is told from seeds whose interval does not hold it. References and methods that look into the "
    "running task do not compete."
)
UNMET = "not feasible in most runs."
NOT_TOLD = "The seeds tell no row from the best."

LABELS = ("method", "variant")
NETWORK, SEES, NEEDS, VERDICT = "network", "sees", "needs", "verdict"


@dataclass(frozen=True)
class Table:
    """One scenario, or several that differ in their network alone.

    Attributes:
        title: Its address, with * for the network where there are several.
        opening: What holds for every row: the linear program's answer or known returns first.
        grid: Best first.
        seeds: Every seed of the rows that have two to ten runs; None without such rows.
        faults: One line for each run that did not end well.
    """

    title: str
    opening: str
    grid: Grid
    seeds: Grid | None
    faults: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """Every table of a suite.

    Attributes:
        tables: By address.
        key: To the column `sees`: letter to meaning.
        origins: What all numbers rest on, a sentence each.
        smoke: The suite is not for a paper.
    """

    tables: tuple[Table, ...]
    key: dict[str, str]
    origins: tuple[str, ...]
    smoke: bool


def lay_out(
    records: Sequence[Record],
    board: pd.DataFrame,
    *,
    smoke: bool = False,
    contexts: Contexts | None = None,
    selection: Selection = EVERYTHING,
) -> Layout:
    """Lay a suite's runs out as tables.

    Args:
        records: Of one suite, whatever way they ended.
        board: Their leaderboard.
        smoke: The suite is not for a paper, and the tables say so.
        contexts: What each scenario is compared with; gives the smallest feasible level.
        selection: The rows and columns that are laid out; what is best is best of all rows.
    """
    rows = {_key(row): row for row in board.to_dict("records")}
    shown = [row for row in rows.values() if selection.wants(row["method"], row["variant"])]
    meanings = list(dict.fromkeys(map(_meaning, shown)))
    letters = {meaning: letter for meaning, letter in zip(meanings, _letters(len(meanings)), strict=True) if meaning}
    found = groups(records)
    by_place = {place.title: (place, shared_rows(found, place)) for place in places(key[1] for key in found)}
    tables = []
    for place, shared in by_place.values():
        own = [record for key, group in found.items() if key[1] in place.networks for record in group]
        lines = [_line(row, rows[row.key], place, selection) for row in shared]
        lines.sort(key=lambda line: standing(line.row))
        if any(_is_wanted(line.records[0], selection) for line in lines):
            tables.append(_table(place, lines, own, letters, contexts, selection))
    once = [record for _, shared in by_place.values() for row in shared for record in row.records]
    wanted, once = ([record for record in every if _is_wanted(record, selection)] for every in (records, once))
    origins = tuple(text for text in (made_by(wanted), trainings(wanted, once)) if text)
    return Layout(tuple(tables), {letter: meaning for meaning, letter in letters.items()}, origins, smoke)


def _table(
    place: Place,
    lines: Sequence[Line],
    records: Sequence[Record],
    letters: dict[str, str],
    contexts: Contexts | None,
    selection: Selection,
) -> Table:
    protocol = "episodes" if is_episodic(records[0].spec.scenario) else "hours"
    labels = (*LABELS, *([NETWORK] if place.several else []))
    columns = filled_columns(records, protocol, selection)
    best = best_of(lines)
    pairs = zip(lines, best, strict=True)
    shown = [(line, is_best) for line, is_best in pairs if _is_wanted(line.records[0], selection)]
    rows = []
    for line, is_best in shown:
        words = (*line.labels, letters.get(_meaning(line.row), ""), line.row["needs"])
        cells = (*(Cell((word,)) for word in words), verdict_cell(line), *(column.cell(line) for column in columns))
        style: Style = "best" if is_best else "infeasible" if line.row["feasible_rate"] < 0.5 else "plain"
        rows.append(Row(cells, style))
    headings = (*map(Heading, (*labels, SEES, NEEDS, VERDICT)), *(column.heading for column in columns))
    said = opening(place, records, contexts)
    if sum(best) > 1 and all(is_best or not competes(line) for line, is_best in zip(lines, best, strict=True)):
        said = f"{said} {NOT_TOLD}"
    seeds = every_seed([line for line, _ in shown], labels, protocol, selection)
    ended = faults([record for record in records if _is_wanted(record, selection)])
    return Table(place.title, said, Grid(headings, tuple(rows)), seeds, ended)


def _is_wanted(record: Record, selection: Selection) -> bool:
    return selection.wants(record.spec.method, record.spec.variant)


def _line(shared: Shared, row: Mapping[Any, Any], place: Place, selection: Selection) -> Line:
    *_, method, variant, setup = shared.key
    name = ", ".join(word for word in (variant, setup) if word)
    return Line((selection.named(method), name, *([shared.named(place)] if place.several else [])), row, shared.records)


def best_of(lines: Sequence[Line]) -> list[bool]:
    """Which lines of a table are the best one or cannot be told from it, see `told_apart`.

    The best has the lowest median objective, or the highest median return, of the lines that compete.
    """
    contenders = [line for line in lines if competes(line)]
    if not contenders:
        return [False] * len(lines)
    best = min(contenders, key=lambda line: standing(line.row)[-1])
    equal = [line for line in contenders if line is best or not told_apart(line.records, best.records)]
    return [any(line is one for one in equal) for line in lines]


def competes(line: Line) -> bool:
    """A line can be the best of its table: it is no yardstick, and feasible and practical where there are budgets."""
    method, row = line.records[0].spec.method, line.row
    if method in REFERENCES or (method in METHODS and METHODS[method].method.privileged):
        return False
    if is_episodic(row["scenario"]):
        return number(row["episode_return"]) is not None
    practical = not (number(row["delay"]) or 0) > IMPRACTICAL_DELAY
    return row["feasible_rate"] == 1 and practical and number(row["objective"]) is not None


def _key(row: Mapping[Any, Any]) -> Key:
    return row["suite"], row["scenario"], row["method"], row["variant"], row["setup"]


def _meaning(row: Mapping[Any, Any]) -> str:
    if not row["locality"]:
        return str(row["sees"])
    return f"{row['sees']} (audit: {row['locality']})" if row["sees"] else f"audit: {row['locality']}"


def _letters(count: int) -> list[str]:
    alphabet = string.ascii_lowercase
    return [alphabet[n] if n < len(alphabet) else alphabet[n // 26 - 1] + alphabet[n % 26] for n in range(count)]
