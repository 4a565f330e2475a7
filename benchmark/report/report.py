"""What is published of a suite: the runs, the leaderboard in three formats, and the figures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from accord.benchmark.figures.curves import curves_table
from accord.benchmark.figures.families import Contexts, Traces
from accord.benchmark.records.record import Record, write_file
from accord.benchmark.report.leaderboard import Locality, improvements, leaderboard, write_runs
from accord.benchmark.report.tables import BLANK, HOW_TO_READ, LABELS, SMOKE, Book, Cell, Row, Table, make_book
from accord.benchmark.specs.suite import Suite
from accord.envs.errors import UsageError

FORMATS = ("md", "latex", "csv")
NO_FIGURES = "No figures: these runs left no traces."


def write_report(
    records: Sequence[Record],
    target: Path,
    *,
    suite: Suite,
    traces: Traces,
    contexts: Contexts,
    locality: Locality | None = None,
    part: bool = False,
) -> list[Path]:
    """Write runs.parquet, leaderboard.csv, .md, .tex, improvement.csv and figures/ in a folder; deterministic.

    Where there are learning curves, curves.csv too; runs without traces keep their curves of an earlier report.
    Figures that an earlier report left and this one does not draw are removed, unless this one draws none.

    Args:
        records: The suite's runs, whatever way they ended.
        target: The folder; made if it is missing.
        suite: Its name heads the leaderboard, and a smoke suite says that it is one.
        traces: A run's arrays for figures, empty without any.
        contexts: What a scenario's runs are compared with, by its address.
        locality: What the audit says of a (method, variant).
        part: The traces of some runs are elsewhere, so that figures of an earlier report stay.

    Returns:
        Every file that was written, or kept.
    """
    # seaborn takes a second to load, and only reports need it.
    from accord.benchmark.figures.suite import draw_figures

    target.mkdir(parents=True, exist_ok=True)
    curves = curves_table(records, traces, target / "curves.csv")
    figures = draw_figures(records, target / "figures", traces, contexts, curves=curves, keep=part)
    book = make_book(records, smoke=suite.smoke, contexts=contexts, locality=locality)
    shown = [f"![{path.stem}](figures/{path.name})" for path in figures if path.suffix == ".png"] or [NO_FIGURES]
    texts = {
        "leaderboard.csv": leaderboard(records, locality).to_csv(index=False),
        "leaderboard.md": "\n\n".join([f"# {suite.name}", suite.description, _markdown(book), "## Figures", *shown])
        + "\n",
        "leaderboard.tex": _latex(book),
        "improvement.csv": improvements(records, suite.subject).to_csv(index=False),
    }
    if len(curves):
        texts["curves.csv"] = curves.to_csv(index=False)
    write_runs(records, target / "runs.parquet")
    for name, text in texts.items():
        write_file(target / name, text.encode())
    return [target / "runs.parquet", *(target / name for name in texts), *figures]


def render(
    records: Sequence[Record],
    fmt: str,
    *,
    smoke: bool = False,
    contexts: Contexts | None = None,
    locality: Locality | None = None,
) -> str:
    """A leaderboard as text.

    Args:
        records: Of one suite, whatever way they ended.
        fmt: md, latex or csv.
        smoke: The suite is not for a paper; Markdown and LaTeX say so.
        contexts: What a scenario's runs are compared with; gives the smallest level that can be met.
        locality: What the audit says of a (method, variant).

    Raises:
        UsageError: an unknown format.
    """
    if fmt not in FORMATS:
        raise UsageError(f"--format: unknown format '{fmt}'; allowed: {', '.join(FORMATS)}")
    if fmt == "csv":
        return leaderboard(records, locality).to_csv(index=False)
    book = make_book(records, smoke=smoke, contexts=contexts, locality=locality)
    return _markdown(book) if fmt == "md" else _latex(book)


def _markdown(book: Book) -> str:
    """Best feasible row in bold; rows that are mostly not feasible in italics."""
    parts = [f"> {SMOKE}"] if book.smoke else []
    parts.append(f"{HOW_TO_READ} **Bold**: lowest objective among the feasible. *Italics*: not feasible in most runs.")
    parts.append(
        "What a method sees:\n\n" + "\n".join(f"- {letter}: {meaning}" for letter, meaning in book.key.items())
    )
    for table in book.tables:
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


def _latex(book: Book) -> str:
    """Tables for a document that loads booktabs and xcolor: best feasible row bold, infeasible rows grey."""
    opening = ["% Needs \\usepackage{booktabs} and \\usepackage{xcolor}."]
    return "\n\n".join([*opening, *(_latex_table(table, book) for table in book.tables)]) + "\n"


def _latex_table(table: Table, book: Book) -> str:
    used = sorted({cell.values[0] for row in table.rows for cell in row.cells[2:3]} & set(book.key))
    smoke = f" {SMOKE}" if book.smoke else ""
    caption = f"{table.scenario}. {table.opening}{smoke}"
    notes = [HOW_TO_READ, "Bold: lowest objective among the feasible. Grey: not feasible in most runs.", "Sees:"]
    notes += [f"({letter}) {book.key[letter]}." for letter in used]
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
