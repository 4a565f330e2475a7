"""A leaderboard as Markdown, and a summary in every format."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from accord.benchmark.boards.cells import Grid
from accord.benchmark.boards.latex import latex_summary
from accord.benchmark.boards.summary import CELL, Summary
from accord.benchmark.boards.tables import BEST, HOW_TO_READ, SMOKE, UNMET, Layout
from accord.benchmark.evaluation.metric import BLANK
from accord.benchmark.markdown import markdown_table

EVERY_SEED = "Every seed, in the order of seeds; one value where all are the same:"


def markdown(layout: Layout) -> str:
    """Best rows in bold; rows that are mostly not feasible in italics; under each table every seed."""
    parts = [f"> {SMOKE}"] if layout.smoke else []
    parts.append(" ".join(layout.origins))
    parts.append(_listed("How to read the tables:", [*HOW_TO_READ, f"**Bold**: {BEST}", f"*Italics*: {UNMET}"]))
    parts.append(_listed("What a method sees:", [f"{letter}: {meaning}" for letter, meaning in layout.key.items()]))
    for table in layout.tables:
        parts += [f"## {table.title}", table.opening, _markdown_grid(table.grid)]
        if table.seeds is not None:
            parts += [EVERY_SEED, _markdown_grid(table.seeds)]
        if table.faults:
            parts.append(_listed("Runs that did not end well:", table.faults))
    return "\n\n".join(parts)


def render_summary(summary: Summary, suite: str, fmt: str) -> str:
    """A suite's summary as md, latex or csv."""
    if fmt == "csv":
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["method", "variant", *summary.scenarios])
        writer.writerows([method, variant, *cells] for method, variant, cells in summary.rows)
        return file.getvalue()
    if fmt == "md":
        headings = ["method", *(f"`{address}`" for address in summary.scenarios)]
        rows = [[f"`{method}`{f' [{variant}]' if variant else ''}", *cells] for method, variant, cells in summary.rows]
        return f"{markdown_table(headings, rows)}\n\n{CELL}"
    return latex_summary(summary, suite)


def _listed(opening: str, lines: Sequence[str]) -> str:
    return f"{opening}\n\n" + "\n".join(f"- {line}" for line in lines)


def _markdown_grid(grid: Grid) -> str:
    marks = {"best": "**", "plain": "", "infeasible": "*"}
    headings = [f"{heading.name} ({heading.unit})" if heading.unit else heading.name for heading in grid.headings]
    rows = []
    for row in grid.rows:
        texts = [" ".join([", ".join(cell.values), *cell.notes]) for cell in row.cells]
        mark = marks[row.style]
        rows.append([text if text in ("", BLANK) else f"{mark}{text}{mark}" for text in texts])
    return markdown_table(headings, rows)
