"""Cells of a leaderboard's tables: a row's middle with its interval and worst seed, or every seed by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from accord.benchmark.boards.leaderboard import WORST, number, worst
from accord.benchmark.boards.selection import EVERYTHING, STEPS, Selection
from accord.benchmark.evaluation.metric import BLANK, Column, Metric
from accord.benchmark.evaluation.metrics import IMPRACTICAL_DELAY, METRICS
from accord.benchmark.records.record import Record
from accord.benchmark.statistics import FEWEST_FOR_INTERVAL, estimate

Style = Literal["best", "plain", "infeasible"]
MOST_SEEDS = 10  # of a row whose seeds are shown each
DECIMALS = 3  # of a metric that has no column in the tables of a suite
MOST_NAMED = 3  # worst seeds that are named
STEPS_PLACE = 89  # of the steps' column among those of metrics: just before what was learned from them


@dataclass(frozen=True)
class Cell:
    """The middle, or one value per seed; and what stands beside it: the interval, the worst seed, a mark."""

    values: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Heading:
    """Of a column: its name, the unit of its numbers, and whether they are numbers."""

    name: str
    unit: str = ""
    is_number: bool = False


@dataclass(frozen=True)
class Row:
    """One row of a grid: its cells in the order of the headings."""

    cells: tuple[Cell, ...]
    style: Style = "plain"


@dataclass(frozen=True)
class Grid:
    """Headings, and rows under them."""

    headings: tuple[Heading, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Line:
    """What a row is made of.

    Attributes:
        labels: Method, variant with set-up, network where there are several.
        row: Of the leaderboard.
        records: Its runs, in the order of seeds.
    """

    labels: tuple[str, ...]
    row: Mapping[Any, Any]
    records: Sequence[Record]


@dataclass(frozen=True)
class Filled:
    """A column of a table: its heading, its place among others, and what fills it."""

    heading: Heading
    place: int
    cell: Callable[[Line], Cell]


def filled_columns(records: Sequence[Record], protocol: str, selection: Selection = EVERYTHING) -> list[Filled]:
    """The columns of numbers in a table over hours or episodes; optional ones only where they tell something."""
    found = [
        Filled(heading_of(metric), column_of(metric).place, partial(metric_cell, metric))
        for metric in columns_for(records, protocol, selection)
    ]
    if selection.shows(STEPS) and any(record.spec.effort is not None for record in records):
        found.append(Filled(Heading(STEPS, "million", is_number=True), STEPS_PLACE, steps_cell))
    return sorted(found, key=lambda column: column.place)


def columns_for(records: Sequence[Record], protocol: str, selection: Selection = EVERYTHING) -> list[Metric]:
    """The metrics that have a column in tables over hours or episodes, as their columns are placed.

    Those that a selection names instead, where some run has a value: any that is a number.
    """
    measured = {name for record in records for name, value in record.metrics.items() if value is not None}
    if selection.columns:
        wanted = [m for m in METRICS.values() if m.is_number and selection.shows(m.name) and m.name in measured]
    else:
        shown = [m for m in METRICS.values() if m.column is not None and m.column.shown in (protocol, "both")]
        wanted = [metric for metric in shown if _tells(metric, records)]
    return sorted(wanted, key=lambda metric: column_of(metric).place)


def heading_of(metric: Metric) -> Heading:
    """Of a metric's column."""
    return Heading(column_of(metric).heading, column_of(metric).unit, is_number=True)


def column_of(metric: Metric) -> Column:
    """The column of a metric; one in its own unit where it has none in the tables of a suite."""
    return metric.column or Column(metric.name.replace("_", " "), metric.unit, decimals=DECIMALS)


def value_of(metric: Metric, record: Record) -> float | None:
    """A run's value as the metric's column shows it, but for the factor: a share, where the column is of shares."""
    value, whole = number(record.metrics.get(metric.name)), column_of(metric).share_of
    if value is None or not whole:
        return value
    total = number(record.metrics.get(whole))
    return value / total if total else None


def verdict_cell(line: Line) -> Cell:
    """What the runs were, the feasible rate with its interval, and how many trainings they rest on if not one each."""
    row, notes = line.row, []
    if (low := number(row["feasible_rate_low"])) is not None:
        rate, high = 100 * row["feasible_rate"], 100 * row["feasible_rate_high"]
        notes.append(f"{rate:.0f} % [{100 * low:.0f}, {high:.0f}]")
    if 0 < (trainings := row["trainings"]) < row["seeds"]:
        notes.append(f"({row['seeds']} runs of {trainings} {'training' if trainings == 1 else 'trainings'})")
    return Cell((row["verdict"] or BLANK,), tuple(notes))


def steps_cell(line: Line) -> Cell:
    """Agent-steps of a training in millions; blank where nothing is learned."""
    effort = line.records[0].spec.effort
    return Cell((BLANK if effort is None else f"{effort.steps / 1e6:.3g}",))


def metric_cell(metric: Metric, line: Line) -> Cell:
    """The median with its interval, or, where no interval is claimed, one value per seed."""
    values = [value_of(metric, record) for record in line.records]
    slow = metric.name == "delay" and (number(line.row["delay"]) or 0) > IMPRACTICAL_DELAY
    marks = ("impractical",) if slow else ()
    found = estimate(values)
    if found.low is None:
        return Cell(_each([text_of(metric, value) for value in values if value is not None]), marks)
    value, low, high = (text_of(metric, end) for end in found)
    interval = (f"[{low}, {high}]",) if low != high else ()
    return Cell((value,), (*interval, *_worst_seed(metric, line.records, (value, low, high)), *marks))


def text_of(metric: Metric, value: float | None) -> str:
    """A value as people read it."""
    column = column_of(metric)
    return BLANK if value is None else f"{column.factor * value:z.{column.decimals}f}"


def every_seed(
    lines: Sequence[Line], labels: Sequence[str], protocol: str, selection: Selection = EVERYTHING
) -> Grid | None:
    """One row per line of two to ten runs: gap, violation and delay, or return and share served, and verdict by seed.

    Lines whose cells hold every seed already are left out: fewer than five, which all ended alike. None where no line
    is left.

    Args:
        lines: Of one table.
        labels: Headings of their labels.
        protocol: hours or episodes.
        selection: The columns of numbers that are shown.
    """
    several = [line for line in lines if 1 < len(line.records) <= MOST_SEEDS and _hides_seeds(line)]
    if not several:
        return None
    records = [record for line in several for record in line.records]
    wanted = ("optimality_gap", "violation", "delay") if protocol == "hours" else ("episode_return", "served")
    shown_of = [name for name in wanted if selection.shows(name)]
    measured = [name for name in shown_of if any(record.metrics.get(name) is not None for record in records)]
    shown = [metric for metric in columns_for(records, protocol) if metric.name in measured]
    endings = any(map(_ending, records))
    rows = []
    for line in several:
        numbers = [[text_of(metric, value_of(metric, record)) for record in line.records] for metric in shown]
        words = [[_ending(record) for record in line.records]] if endings else []
        own = [Cell((label,)) for label in line.labels]
        seeds = Cell((_seeds([record.spec.seed for record in line.records]),))
        rows.append(Row((*own, seeds, *(Cell(_each(values)) for values in [*numbers, *words]))))
    headings = [*map(Heading, labels), Heading("seeds"), *map(heading_of, shown)]
    return Grid((*headings, *([Heading("verdict")] if endings else [])), tuple(rows))


def _tells(metric: Metric, records: Sequence[Record]) -> bool:
    """A column is shown always, where some run has a value, or where two runs have different ones."""
    optional = column_of(metric).optional
    texts = {text_of(metric, value) for record in records if (value := value_of(metric, record)) is not None}
    return not optional or len(texts) > (1 if optional == "alike" else 0)


def _hides_seeds(line: Line) -> bool:
    return len(line.records) >= FEWEST_FOR_INTERVAL or len({_ending(record) for record in line.records}) > 1


def _each(texts: Sequence[str]) -> tuple[str, ...]:
    """One text per seed; one for all where they are the same."""
    return tuple(texts if len(set(texts)) > 1 else texts[:1] or (BLANK,))


def _seeds(seeds: Sequence[int]) -> str:
    """Seeds 0 to 4, or a list."""
    if len(seeds) > 1 and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))


def _ending(record: Record) -> str:
    """A run's verdict, and how it ended if not well."""
    words = [record.metrics.get("verdict"), None if record.status == "done" else record.status]
    return ", ".join(str(word) for word in words if word)


def _worst_seed(metric: Metric, records: Sequence[Record], printed: tuple[str, str, str]) -> tuple[str, ...]:
    """The worst seed by name, where its value reads otherwise than the middle; its value, where that is no end."""
    found = worst(metric.name, records) if metric.name in WORST else None
    if found is None or (text := text_of(metric, found[0])) == printed[0]:
        return ()
    seeds = found[1]
    named = f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"
    words = ([] if text in printed else [text]) + [named if len(seeds) <= MOST_NAMED else f"{len(seeds)} seeds"]
    return (f"(worst: {', '.join(words)})",)
