"""A leaderboard as text: Markdown, LaTeX or CSV."""

from __future__ import annotations

import re

from accord.benchmark.evaluation.metric import BLANK
from accord.benchmark.report.tables import HOW_TO_READ, LABELS, SMOKE, Cell, Layout, Row, Table


def markdown(layout: Layout) -> str:
    """Best feasible row in bold; rows that are mostly not feasible in italics."""
    parts = [f"> {SMOKE}"] if layout.smoke else []
    parts.append(f"{HOW_TO_READ} **Bold**: lowest objective among the feasible. *Italics*: not feasible in most runs.")
    parts.append(
        "What a method sees:\n\n" + "\n".join(f"- {letter}: {meaning}" for letter, meaning in layout.key.items())
    )
    for table in layout.tables:
        parts += [f"## {table.scenario}", table.opening, _markdown_table(table)]
        if table.faults:
            parts.append("Runs that did not end well:\n\n" + "\n".join(f"- {line}" for line in table.faults))
    return "\n\n".join(parts)


def _markdown_table(table: Table) -> str:
    marks = {"best": "**", "plain": "", "infeasible": "*"}
    rows = [[f"{name} ({unit})" if unit else name for name, unit in zip(table.headings, table.units, strict=True)]]
    for row in table.rows:
        texts = [" ".join([", ".join(cell.values), *cell.notes]).replace("|", "\\|") for cell in row.cells]
        mark = marks[row.style]
        rows.append([text if text in ("", BLANK) else f"{mark}{text}{mark}" for text in texts])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * width for width in widths]
    lines = [
        [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)] for cells in [rows[0], rule, *rows[1:]]
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def latex(layout: Layout) -> str:
    """Tables for a document that loads booktabs and xcolor: best feasible row bold, infeasible rows grey."""
    opening = ["% Needs \\usepackage{booktabs} and \\usepackage{xcolor}."]
    return "\n\n".join([*opening, *(_latex_table(table, layout) for table in layout.tables)]) + "\n"


def _latex_table(table: Table, layout: Layout) -> str:
    used = sorted({cell.values[0] for row in table.rows for cell in row.cells[2:3]} & set(layout.key))
    smoke = f" {SMOKE}" if layout.smoke else ""
    caption = f"{table.scenario}. {table.opening}{smoke}"
    notes = [HOW_TO_READ, "Bold: lowest objective among the feasible. Grey: not feasible in most runs.", "Sees:"]
    notes += [f"({letter}) {layout.key[letter]}." for letter in used]
    body = [line for row in table.rows for line in _latex_lines(row)]
    return "\n".join(
        [
            "\\begin{table*}",
            "\\centering\\scriptsize\\setlength{\\tabcolsep}{4pt}",
            f"\\caption{{{_escaped(caption)}}}",
            f"\\begin{{tabular}}{{@{{}}{'l' * len(LABELS)}{'r' * len(table.columns)}@{{}}}}",
            "\\toprule",
            " & ".join(table.headings) + " \\\\",
            " & ".join(_escaped(unit) for unit in table.units) + " \\\\",
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
