"""A leaderboard laid out for people: one table per scenario, before it becomes Markdown or LaTeX."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from accord.baselines.registry import METHODS, REFERENCES
from accord.benchmark.evaluation.context import Context
from accord.benchmark.evaluation.metric import BLANK, Column, Metric
from accord.benchmark.evaluation.metrics import IMPRACTICAL_DELAY, METRICS
from accord.benchmark.figures.sweeps import Contexts
from accord.benchmark.records.record import Record
from accord.benchmark.report.leaderboard import groups, number
from accord.benchmark.statistics import FEWEST_FOR_INTERVAL
from accord.envs.catalogue import is_episodic, resolve
from accord.envs.errors import UsageError
from accord.envs.scenario import Episodes, Hours

SMOKE = "A smoke suite: few seeds and short training. It is for a first look, not for a paper."
HOW_TO_READ = (
    "Interquartile mean over seeds with its 95 % interval (bootstrap; Wilson for rates); with three "
    "seeds or fewer the seeds themselves. Gap: objective over the optimum of the linear program (LP), which has "
    "perfect foresight. Import peak: in percent of the uncontrolled peak. Savings: against serve_now. Training and "
    "execution: wall clock, execution per agent and step. Messages: per agent and step."
)

Style = Literal["best", "plain", "infeasible"]


LABELS = ("method", "variant", "sees", "verdict")


@dataclass(frozen=True)
class Cell:
    """The estimate, or one value per seed; and what stands beside it: the interval, a mark."""

    values: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """One method: its cells in the order of the table's headings."""

    cells: tuple[Cell, ...]
    style: Style


@dataclass(frozen=True)
class Table:
    """One scenario.

    Attributes:
        scenario: Its address.
        opening: What holds for every row: the linear program's answer or known returns first.
        columns: The metrics, after the `LABELS`.
        rows: Best first.
        faults: One line for each run that did not end well.
    """

    scenario: str
    opening: str
    columns: tuple[Metric, ...]
    rows: tuple[Row, ...]
    faults: tuple[str, ...]

    @property
    def headings(self) -> list[str]:
        """Of the labels, then of the metrics."""
        return [*LABELS, *(_column(metric).heading for metric in self.columns)]

    @property
    def units(self) -> list[str]:
        """In the order of the headings; empty without one."""
        return [*("" for _ in LABELS), *(_column(metric).unit for metric in self.columns)]


@dataclass(frozen=True)
class Layout:
    """Every table of a suite, and the key to its column `sees`: letter to meaning."""

    tables: tuple[Table, ...]
    key: dict[str, str]
    smoke: bool


def lay_out(
    records: Sequence[Record], board: pd.DataFrame, *, smoke: bool = False, contexts: Contexts | None = None
) -> Layout:
    """Lay a suite's runs out as tables.

    Args:
        records: Of one suite, whatever way they ended.
        board: Their leaderboard.
        smoke: The suite is not for a paper, and the tables say so.
        contexts: What each scenario is compared with; gives the smallest feasible level.
    """
    meanings = list(dict.fromkeys(_meaning(row) for _, row in board.iterrows()))
    letters = {meaning: letter for meaning, letter in zip(meanings, _letters(len(meanings)), strict=True) if meaning}
    by_scenario: dict[str, list[Record]] = {}
    for record in records:
        by_scenario.setdefault(record.spec.scenario, []).append(record)
    tables = []
    for scenario in sorted(by_scenario):
        own = by_scenario[scenario]
        episodic = is_episodic(scenario)
        context = contexts(scenario) if contexts is not None and not episodic else None
        opening = _known_returns(scenario) if episodic else _opening(scenario, own, context)
        columns = _columns_for(own, "episodes" if episodic else "hours")
        rows = _rows(board[board["scenario"] == scenario], own, letters, columns)
        tables.append(Table(scenario, opening, columns, rows, _faults(own)))
    return Layout(tuple(tables), {letter: meaning for meaning, letter in letters.items()}, smoke)


def _columns_for(records: Sequence[Record], protocol: str) -> tuple[Metric, ...]:
    """The metrics that have a column in tables of a protocol; optional ones only where some run has a value."""
    shown = [m for m in METRICS.values() if m.column is not None and m.column.shown in (protocol, "both")]
    measured = {name for record in records for name, value in record.metrics.items() if value is not None}
    return tuple(
        sorted((m for m in shown if not _column(m).optional or m.name in measured), key=lambda m: _column(m).place)
    )


def _column(metric: Metric) -> Column:
    assert metric.column is not None
    return metric.column


def _rows(
    board: pd.DataFrame, records: Sequence[Record], letters: dict[str, str], columns: Sequence[Metric]
) -> tuple[Row, ...]:
    seeds = groups(records)
    best = _best(board)
    rows = []
    for index, row in board.iterrows():
        group = seeds[row["suite"], row["scenario"], row["method"], row["variant"]]
        names = (row["method"], row["variant"], letters.get(_meaning(row), ""))
        cells = (*(Cell((name,)) for name in names), _verdict(row), *(_cell(column, row, group) for column in columns))
        style: Style = "best" if index == best else "infeasible" if row["feasible_rate"] < 0.5 else "plain"
        rows.append(Row(cells, style))
    return tuple(rows)


def _best(board: pd.DataFrame) -> Any:
    """Index of the lowest objective among rows whose every run is feasible and practical, or of the highest return.

    No yardsticks.
    """
    yardsticks = [*REFERENCES, *(name for name, entry in METHODS.items() if entry.method.privileged)]
    contenders = board[~board["method"].isin(yardsticks)]
    if contenders["scenario"].map(is_episodic).all():
        measured = contenders["episode_return"].dropna()
        return measured.idxmax() if len(measured) else None
    candidates = contenders[
        (contenders["feasible_rate"] == 1)
        & ~(contenders["delay"] > IMPRACTICAL_DELAY)
        & contenders["objective"].notna()
    ]
    return candidates["objective"].idxmin() if len(candidates) else None


def _verdict(row: pd.Series) -> Cell:
    text = (row["verdict"] or BLANK,)
    if pd.isna(row["feasible_rate_low"]):
        return Cell(text)
    low, high = 100 * row["feasible_rate_low"], 100 * row["feasible_rate_high"]
    return Cell(text, (f"{100 * row['feasible_rate']:.0f} % [{low:.0f}, {high:.0f}]",))


def _cell(metric: Metric, row: pd.Series, group: Sequence[Record]) -> Cell:
    values = [number(record.metrics.get(metric.name)) for record in group]
    found = [value for value in values if value is not None]
    marks = ("impractical",) if metric.name == "delay" and row["delay"] > IMPRACTICAL_DELAY else ()
    if len(found) >= FEWEST_FOR_INTERVAL:
        value, low, high = (_text(metric, row[f"{metric.name}{end}"]) for end in ("", "_low", "_high"))
        interval = (f"[{low}, {high}]",) if low != high else ()
        return Cell((value,), (*interval, *marks))
    points = tuple(_text(metric, value) for value in found) or (BLANK,)
    return Cell(points if len(set(points)) > 1 else points[:1], marks)


def _text(metric: Metric, value: float | None) -> str:
    """A value as people read it."""
    column = _column(metric)
    return BLANK if value is None or value != value else f"{column.factor * value:z.{column.decimals}f}"


def _opening(scenario: str, records: Sequence[Record], context: Context | None) -> str:
    def recorded(name: str) -> Any:
        return next((r.metrics[name] for r in records if r.metrics.get(name) is not None), None)

    oracle = recorded("oracle")
    if oracle == "feasible":
        gap = recorded("oracle_gap")
        known = "" if gap is None else f" or up to {100 * gap:.2f} % more: it was solved in parts"
        text = f"LP: feasible, optimum {recorded('oracle_objective'):.3f} $/h{known}."
    elif oracle == "infeasible":
        smallest = context.smallest_level if context is not None else recorded("smallest_level")
        level = f"; the smallest level that can be met is {smallest:.3f} of the peak" if smallest is not None else ""
        text = f"LP: infeasible, no controller can meet the budgets{level}."
    else:
        text = "LP: none for this scenario."
    for address in sorted({record.spec.trained_on for record in records if record.spec.trained_on}):
        text = f"{text} Policies were trained on `{address}`."
    return f"{text} In sample: measured on hours that training may use." if _in_sample(scenario) else text


def _known_returns(address: str) -> str:
    try:
        scenario = resolve(address)
    except UsageError:  # of a version that knows other scenarios
        return "Return: mean over episodes, summed over agents; the highest in bold."
    protocol = scenario.protocol
    assert isinstance(protocol, Episodes)
    known = ", ".join(f"{name} {value:.4g}" for name, value in protocol.references.items())
    text = f"Return: mean over {protocol.count} episodes, summed over agents; the highest in bold."
    return f"{text} Known: {known}." if known else text


def _in_sample(address: str) -> bool:
    try:
        scenario = resolve(address)
    except UsageError:  # its files are elsewhere
        return False
    return isinstance(scenario.protocol, Hours) and scenario.protocol.in_sample


def _faults(records: Sequence[Record]) -> tuple[str, ...]:
    bad = [record for group in groups(records).values() for record in group if record.status != "done"]
    return tuple(f"{record.spec.label}: {record.status}: {record.error[:200]}" for record in bad)


def _meaning(row: pd.Series) -> str:
    if not row["locality"]:
        return str(row["sees"])
    return f"{row['sees']} (audit: {row['locality']})" if row["sees"] else f"audit: {row['locality']}"


def _letters(count: int) -> list[str]:
    alphabet = string.ascii_lowercase
    return [alphabet[n] if n < len(alphabet) else alphabet[n // 26 - 1] + alphabet[n % 26] for n in range(count)]
