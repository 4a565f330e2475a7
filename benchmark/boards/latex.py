"""A leaderboard as LaTeX tables that fit the text of a two-column page: 6.75 inches wide and 9 high."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from accord.benchmark.boards.cells import Cell, Heading, Row
from accord.benchmark.boards.selection import STEPS
from accord.benchmark.boards.summary import CELL, Summary
from accord.benchmark.boards.tables import BEST, HOW_TO_READ, LABELS, NETWORK, SMOKE, UNMET, VERDICT, Layout, Table
from accord.benchmark.evaluation.metric import BLANK

MOST_LINES = 60  # of a table's body on one page, at eight points a line
LONGEST_NAME = 24  # letters of a method's name in one line
SHORT = 12  # letters of a summary's cell that stay in one line
NEEDS = "% Needs \\usepackage{booktabs} and \\usepackage{xcolor}. Labels are tab:ADDRESS, of a summary tab:SUITE."
UNMET_MACRO = "\\providecommand{\\unmet}[1]{\\textcolor[gray]{0.4}{#1}}"
BEGIN = ["\\begin{table*}", "\\centering\\scriptsize\\setlength{\\tabcolsep}{3pt}"]
STYLES = {"best": "\\textbf{%s}", "plain": "%s", "infeasible": "\\unmet{%s}"}
NOTES = {"best": "\\tiny %s", "plain": "\\tiny %s", "infeasible": "\\unmet{\\tiny %s}"}
FEASIBLE = re.compile(r"^feasible (?=\d)")  # the column's name says it
END_OF_INTERVAL = re.compile(r"\(worst: \d* ?seeds?[^()]*\)")  # a worst seed whose value the interval shows already
GAP = re.compile(r"(?P<gap>[^\[,( ]*(?: \[[^\]]*\])?),? ?")  # what a summary's cell begins with
BROKEN = re.compile(r", (?=[a-z])|(?<=runs) (?=of )")  # where a cell of words goes on in its next line


def latex(layout: Layout) -> str:
    """Tables for a document that loads booktabs and xcolor, and a paragraph that says how to read them.

    Best rows are bold, infeasible ones grey. Under a median stands its interval. A table that is too high for a page
    goes on in another one.
    """
    how = [*layout.origins, *HOW_TO_READ, f"Bold: {BEST} Grey: {UNMET}", "What a method sees:"]
    how += [f"({letter}) {meaning}." for letter, meaning in layout.key.items()]
    reading = f"\\paragraph{{How to read the tables.}} {_escaped(' '.join(how))}"
    tables = [text for table in layout.tables for text in _tables(table, smoke=layout.smoke)]
    return "\n\n".join([f"{NEEDS}\n{UNMET_MACRO}", *tables, reading]) + "\n"


def latex_summary(summary: Summary, suite: str) -> str:
    """A row per method and a column per scenario, its address broken at the slashes."""
    addresses = [address.replace("/", "/ ").split() for address in summary.scenarios]
    body = []
    for method, extra, cells in summary.rows:
        stacks = [[*_name_lines(method), *([f"[{extra}]"] if extra else [])], *map(_summary_lines, cells)]
        body += [_line([_escaped(text) for text in line]) for line in zip_longest(*stacks, fillvalue="")]
    opened = _opened(f"{suite}. {CELL}", f"tab:{suite}", "l" * (1 + len(addresses)))
    heads = [_line([_escaped(text) for text in line]) for line in zip_longest(["method"], *addresses, fillvalue="")]
    return "\n".join([NEEDS, *opened, *heads, "\\midrule", *body, *_closed("")]) + "\n"


def _summary_lines(cell: str) -> list[str]:
    """Gap and interval, and under them what is over, whether most postpone, and how many are feasible."""
    if len(cell) <= SHORT:
        return [cell]
    found = GAP.match(cell)
    assert found is not None
    return [found["gap"], cell[found.end() :]]


def _tables(table: Table, *, smoke: bool) -> Iterator[str]:
    """The table, in parts where it is too high."""
    headings, labels = table.grid.headings, _labels(table)
    shown = [i for i in range(labels, len(headings)) if i not in _same(table)]
    spec = "l" + "".join("r" if headings[i].is_number else "l" for i in shown)
    names = [["method"], *(_heading(headings[i]) for i in shown)]
    heads = [_line(line) for line in zip_longest(*names, fillvalue="")]
    parts = list(_parts([_lines(row, headings, labels, shown) for row in table.grid.rows]))
    said = (f" {headings[i].name.capitalize()}: {value} {headings[i].unit}." for i, value in _same(table).items())
    same = "".join(said)
    for number, part in enumerate(parts, 1):
        which = f" Part {number} of {len(parts)}." if len(parts) > 1 else ""
        caption = f"{table.title}.{which} {table.opening}{same}{f' {SMOKE}' if smoke else ''}"
        label = f"tab:{table.title}{f'-{number}' if number > 1 else ''}"
        faults = " ".join(table.faults) if number == len(parts) else ""
        yield "\n".join([*_opened(caption, label, spec), *heads, "\\midrule", *part, *_closed(faults)])


def _parts(rows: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    part: list[str] = []
    for lines in rows:
        if part and len(part) + len(lines) > MOST_LINES:
            yield part
            part = []
        part += lines
    yield part


def _opened(caption: str, label: str, spec: str) -> list[str]:
    name = label.replace("_", "-").replace("*", "all").replace("~", "-then-")
    return [
        *BEGIN,
        f"\\caption{{{_escaped(caption)}}}\\label{{{name}}}",
        f"\\begin{{tabular}}{{@{{}}{spec}@{{}}}}",
        "\\toprule",
    ]


def _closed(below: str) -> list[str]:
    notes = ["", f"\\parbox{{\\textwidth}}{{\\vspace{{1ex}}{_escaped(below)}}}"] if below else []
    return ["\\bottomrule", "\\end{tabular}", *notes, "\\end{table*}"]


def _heading(heading: Heading) -> list[str]:
    """A word a line, so that no column is wider for its name; the unit below."""
    name = "feasible" if heading.name == VERDICT else heading.name
    return [_escaped(word) for word in [*name.split(), heading.unit] if word]


def _labels(table: Table) -> int:
    """How many of the first columns name a row: method, variant and, where there are several, network."""
    names = [heading.name for heading in table.grid.headings]
    return len(LABELS) + (NETWORK in names)


def _same(table: Table) -> dict[int, str]:
    """Columns that say one thing in every row that has it, such as the steps of a training: place and text."""
    found = {}
    for i, heading in enumerate(table.grid.headings):
        said = {row.cells[i].values for row in table.grid.rows} - {(BLANK,)}
        if heading.name == STEPS and len(said) == 1:
            found[i] = said.pop()[0]
    return found


def _lines(row: Row, headings: Sequence[Heading], labels: int, shown: Sequence[int]) -> list[str]:
    """A row's lines: estimates and under them their intervals, or one per seed; under the method what names it too."""
    first, *others = _name_lines(row.cells[0].values[0])
    beside = [word for cell in row.cells[1:labels] for word in cell.values[0].split("; ") if word]
    stacks = [_stack(Cell((first,), (*others, *beside)), row.style, is_number=False)]
    stacks += [_stack(row.cells[i], row.style, is_number=headings[i].is_number) for i in shown]
    return [_line(line) for line in zip_longest(*stacks, fillvalue="")]


def _stack(cell: Cell, style: str, *, is_number: bool) -> list[str]:
    values, notes = list(cell.values), [note for note in cell.notes if not END_OF_INTERVAL.fullmatch(note)]
    if not is_number:
        (first, *others), notes = BROKEN.split(values[0]), [part for note in notes for part in BROKEN.split(note)]
        values, notes = [FEASIBLE.sub("", first)], [*others, *notes]
    shown = [_escaped(value) if value in ("", BLANK) else STYLES[style] % _escaped(value) for value in values]
    return shown + [NOTES[style] % _escaped(note.strip("()")) for note in notes]


def _name_lines(name: str) -> list[str]:
    """A method's name, a long one in several lines."""
    if len(name) <= LONGEST_NAME:
        return [name]
    at = max(name.rfind(sign, 0, LONGEST_NAME) for sign in "-_") + 1 or LONGEST_NAME
    return [name[:at], *_name_lines(name[at:])]


def _line(cells: Sequence[str]) -> str:
    opening = "{}" if cells[0].startswith("[") else ""  # else the line before would take it as its own
    return f"{opening}{' & '.join(cells)} \\\\"


def _escaped(text: str) -> str:
    special = {
        "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "–": "--", "µ": "$\\mu$",
        "λ": "$\\lambda$", "ν": "$\\nu$", "α": "$\\alpha$", "β": "$\\beta$", "η": "$\\eta$", "γ": "$\\gamma$",
        "≤": "$\\le$", "≥": "$\\ge$", "×": "$\\times$", "<": "$<$", ">": "$>$", **{c: f"\\{c}" for c in "_%&#${}"},
    }  # fmt: skip
    escaped = "".join(special.get(character, character) for character in text)
    return re.sub(r"(?<!\w)-(?=\d)", "$-$", escaped)
