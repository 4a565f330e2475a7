"""A leaderboard as text: Markdown, LaTeX or CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

from accord.benchmark.boards.summary import CELL, Summary
from accord.benchmark.evaluation.metric import BLANK
from accord.benchmark.markdown import markdown_table
from accord.benchmark.report.cells import Cell, Grid, Row
from accord.benchmark.report.tables import BEST, HOW_TO_READ, SEES, SMOKE, UNMET, Layout, Table

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


def render_summary(summary: Summary, fmt: str) -> str:
    """A summary as md, latex or csv."""
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
    heads = ["method", *(f"\\texttt{{{_escaped(address)}}}" for address in summary.scenarios)]
    lines = [heads, *([_escaped(f"{m} [{v}]" if v else m), *map(_escaped, cells)] for m, v, cells in summary.rows)]
    first, *body = (" & ".join(line) + " \\\\" for line in lines)
    columns = "l" * len(heads)
    opening = ["% Needs \\usepackage{booktabs}.", f"\\begin{{tabular}}{{@{{}}{columns}@{{}}}}", "\\toprule", first]
    return "\n".join([*opening, "\\midrule", *body, "\\bottomrule", "\\end{tabular}", f"% {CELL}"]) + "\n"


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


def latex(layout: Layout) -> str:
    """Tables for a document that loads booktabs and xcolor: best rows bold, infeasible rows grey."""
    opening = ["% Needs \\usepackage{booktabs} and \\usepackage{xcolor}."]
    return "\n\n".join([*opening, *(_latex_table(table, layout) for table in layout.tables)]) + "\n"


def _latex_table(table: Table, layout: Layout) -> str:
    headings = table.grid.headings
    sees = [heading.name for heading in headings].index(SEES)
    used = sorted({row.cells[sees].values[0] for row in table.grid.rows} & set(layout.key))
    smoke = f" {SMOKE}" if layout.smoke else ""
    caption = f"{table.title}. {table.opening}{smoke}"
    notes = [*layout.origins, *HOW_TO_READ, f"Bold: {BEST} Grey: {UNMET}", "Sees:"]
    notes += [f"({letter}) {layout.key[letter]}." for letter in used]
    body = [line for row in table.grid.rows for line in _latex_lines(row)]
    return "\n".join(
        [
            "\\begin{table*}",
            "\\centering\\scriptsize\\setlength{\\tabcolsep}{4pt}",
            f"\\caption{{{_escaped(caption)}}}",
            f"\\begin{{tabular}}{{@{{}}{''.join('r' if heading.is_number else 'l' for heading in headings)}@{{}}}}",
            "\\toprule",
            " & ".join(heading.name for heading in headings) + " \\\\",
            " & ".join(_escaped(heading.unit) for heading in headings) + " \\\\",
            "\\midrule",
            *body,
            "\\bottomrule",
            "\\end{tabular}",
            "",
            f"\\parbox{{\\textwidth}}{{\\vspace{{1ex}}{_escaped(' '.join(notes + list(table.faults)))}}}",
            "\\end{table*}",
        ]
    )


def _latex_lines(row: Row) -> list[str]:
    """A row's lines: the estimates and under them their intervals, or one line per seed."""
    stacks = [_latex_stack(cell, row.style) for cell in row.cells]
    height = max(map(len, stacks))
    padded = [[*stack, *[""] * (height - len(stack))] for stack in stacks]
    return [" & ".join(line) + " \\\\" for line in zip(*padded, strict=True)]


def _latex_stack(cell: Cell, style: str) -> list[str]:
    macro = {"best": "\\textbf{%s}", "plain": "%s", "infeasible": "\\textcolor{gray}{%s}"}[style]
    values = [macro % _escaped(value) if value else "" for value in cell.values]
    return values + [macro % f"{{\\tiny {_escaped(note)}}}" for note in cell.notes]


def _escaped(text: str) -> str:
    special = {
        "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "–": "--", "µ": "$\\mu$",
        "λ": "$\\lambda$", "ν": "$\\nu$", "≤": "$\\le$", "<": "$<$", ">": "$>$", **{c: f"\\{c}" for c in "_%&#${}"},
    }  # fmt: skip
    escaped = "".join(special.get(character, character) for character in text)
    return re.sub(r"(?<!\w)-(?=\d)", "$-$", escaped)
