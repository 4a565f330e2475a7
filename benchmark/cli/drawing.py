"""A leaderboard on a terminal: the columns that fit, and a line about those that do not."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table as Drawn

from accord.benchmark.boards.cells import Cell, Grid
from accord.benchmark.boards.render import EVERY_SEED
from accord.benchmark.boards.selection import Selection
from accord.benchmark.boards.summary import CELL, Summary
from accord.benchmark.boards.tables import BEST, HOW_TO_READ, LABELS, NETWORK, SMOKE, UNMET, Layout, Table
from accord.benchmark.cli.options import out
from accord.benchmark.report.report import SuiteReport

GAP = 2  # characters between columns
WIDEST = 16  # characters of a column of numbers, unless a number has more
NARROWEST_CELL = 24  # characters of a column of a summary
STYLES = {"best": "bold", "plain": "", "infeasible": "dim italic"}


def print_report(
    report: SuiteReport, selection: Selection, fmt: str = "", *, summary: bool = False, narrow: bool = False
) -> None:
    """Print a leaderboard, or a part of it.

    Args:
        report: The whole of it.
        selection: What of it is shown.
        fmt: md, latex or csv; empty for tables on a terminal, and md elsewhere.
        summary: One table, a row per method and a column per scenario.
        narrow: LaTeX tables for one column of a page.

    Raises:
        UsageError: an unknown format, one that is not for one column, or a selection of what is not there.
    """
    part = report.selected(selection)
    if fmt or narrow or not out.is_terminal:
        text = part.render(fmt or "md", summary=summary, narrow=narrow)
        out.print(text, end="" if text.endswith("\n") else "\n", soft_wrap=True)
    elif summary:
        _draw_summary(part.summary)
    else:
        _draw(part.layout)


def _draw(layout: Layout) -> None:
    if layout.smoke:
        out.print(SMOKE)
    out.print(" ".join(layout.origins))
    for line in (*HOW_TO_READ, f"Bold: {BEST}", f"Dim: {UNMET}"):
        out.print(line)
    for letter, meaning in layout.key.items():
        out.print(f"Sees {letter}: {meaning}.")
    left_out: dict[str, None] = {}
    for table in layout.tables:
        left_out |= dict.fromkeys(_draw_table(table))
    if left_out:
        out.print(
            f"Left out, since this terminal has {out.width} columns: {', '.join(left_out)}. "
            "Choose with --columns, or see all with --format md."
        )


def _draw_table(table: Table) -> list[str]:
    """Draw a table and its seeds; the headings of what had no room."""
    out.print()
    out.print(table.title, style="bold")
    out.print(table.opening)
    left_out = _draw_grid(table.grid)
    if table.seeds is not None:
        out.print(EVERY_SEED)
        left_out += _draw_grid(table.seeds)
    for fault in table.faults:
        out.print(f"Did not end well: {fault}")
    return left_out


def _draw_grid(grid: Grid) -> list[str]:
    """Draw as many columns as fit, the labels as one; the headings of the others."""
    labels = [n for n, heading in enumerate(grid.headings) if heading.name in (*LABELS, NETWORK)]
    stacked = [_stack([row.cells[n] for n in labels]) for row in grid.rows]
    columns = [("method", stacked)]
    for n, heading in enumerate(grid.headings):
        if n not in labels:
            columns.append((_headed(heading.name, heading.unit), [_lines(row.cells[n]) for row in grid.rows]))
    widths = [max(_width(name.split("\n")), *map(_width, cells)) for name, cells in columns]
    shown, used = 0, 0
    for width in widths:
        used += width + GAP
        if shown > 1 and used > out.width:
            break
        shown += 1
    drawn = Drawn(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for (name, _), width in zip(columns[:shown], widths, strict=False):
        drawn.add_column(name, max_width=width, overflow="fold")
    for n, row in enumerate(grid.rows):
        drawn.add_row(*("\n".join(cells[n]) for _, cells in columns[:shown]), style=STYLES[row.style])
    out.print(drawn)
    return [name.replace("\n", " ") for name, _ in columns[shown:]]


def _draw_summary(summary: Summary) -> None:
    """Draw the scenarios side by side, as many as fit; the others below, under the same methods."""
    names = [f"{method}\n[{extra}]" if extra else method for method, extra, _ in summary.rows]
    first = max((len(line) for name in names for line in name.split("\n")), default=0)
    at_once = max(1, (out.width - first - GAP) // (NARROWEST_CELL + GAP))
    for start in range(0, len(summary.scenarios), at_once):
        part = slice(start, start + at_once)
        drawn = Drawn(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("method", *(address.replace("/", "/\n") for address in summary.scenarios[part])):
            drawn.add_column(heading, overflow="fold")
        for name, (_, _, cells) in zip(names, summary.rows, strict=True):
            drawn.add_row(name, *cells[part])
        out.print(drawn)
    out.print(CELL)


def _headed(name: str, unit: str) -> str:
    return f"{name}\n{unit}" if unit else name


def _stack(labels: Sequence[Cell]) -> list[str]:
    """Method, variant and network, a line each; the latter two in brackets."""
    method, *others = (cell.values[0] for cell in labels)
    return [method, *(f"[{text}]" for text in others if text)]


def _lines(cell: Cell) -> list[str]:
    """A cell's lines: what is separated by commas, then each note."""
    return [part for value in cell.values for part in value.split(", ")] + list(cell.notes)


def _width(lines: Sequence[str]) -> int:
    """Of a column with these lines: all of each where they are short, else its longest word."""
    longest = max((len(word) for line in lines for word in line.split()), default=0)
    return max(longest, min(WIDEST, max(map(len, lines), default=0)))
