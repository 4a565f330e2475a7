"""A leaderboard as LaTeX tables that fit a page of two columns, 6.75 inches wide and 9 high, or one of its columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from accord.benchmark.boards.cells import Cell, Heading, Row
from accord.benchmark.boards.selection import STEPS
from accord.benchmark.boards.summary import CELL, Summary
from accord.benchmark.boards.tables import (
    BEST,
    HOW_TO_READ,
    LABELS,
    NEEDS,
    NETWORK,
    SEES,
    SMOKE,
    UNMET,
    VERDICT,
    Layout,
    Table,
)
from accord.benchmark.evaluation.metric import BLANK

MOST_LINES = 60  # of a table's body on one page, at eight points a line
BREAKS = "-_/ "  # after which a name may go on in the next line
SHORT = 12  # letters of a summary's cell that stay in one line
PREAMBLE = "% Needs \\usepackage{booktabs} and \\usepackage{xcolor}. Labels are tab:ADDRESS, of a summary tab:SUITE."
UNMET_MACRO = "\\providecommand{\\unmet}[1]{\\textcolor[gray]{0.4}{#1}}"
LOOK = "\\centering\\scriptsize\\setlength{\\tabcolsep}{3pt}"
STYLES = {"best": "\\textbf{%s}", "plain": "%s", "infeasible": "\\unmet{%s}"}
NOTES = {"best": "\\tiny %s", "plain": "\\tiny %s", "infeasible": "\\unmet{\\tiny %s}"}
FEASIBLE = re.compile(r"^feasible (?=\d)")  # the column's name says it
END_OF_INTERVAL = re.compile(r"\(worst: \d* ?seeds?[^()]*\)")  # a worst seed whose value the interval shows already
GAP = re.compile(r"(?P<gap>[^\[,( ]*(?: \[[^\]]*\])?),? ?")  # what a summary's cell begins with
BROKEN = re.compile(r", (?=[a-z])|(?<=runs) (?=of )")  # where a cell of words goes on in its next line


@dataclass(frozen=True)
class Room:
    """What a table is to fit.

    Attributes:
        environment: That it floats in.
        width: LaTeX's name for the width.
        longest_name: Letters of a method's name in one line.
        narrow: Without what a method sees, the verdict last, and broken into lines wherever that is possible.
        columns: Headings of the columns of numbers; empty for all.
    """

    environment: str
    width: str
    longest_name: int
    narrow: bool = False
    columns: tuple[str, ...] = ()


PAGE = Room("table*", "\\textwidth", 24)
COLUMN = Room("table", "\\columnwidth", 22, narrow=True, columns=("gap", "violation", "return"))


def latex(layout: Layout, room: Room = PAGE) -> str:
    """Tables for a document that loads booktabs and xcolor, and a paragraph that says how to read them.

    Best rows are bold, infeasible ones grey. Under a median stands its interval. A table that is too high for a page
    goes on in another one.

    Args:
        layout: The tables.
        room: What they are to fit.
    """
    how = [*layout.origins, *HOW_TO_READ, f"Bold: {BEST} Grey: {UNMET}"]
    if not room.narrow:
        how += ["What a method sees:", *(f"({letter}) {meaning}." for letter, meaning in layout.key.items())]
    reading = f"\\paragraph{{How to read the tables.}} {_escaped(' '.join(how))}"
    tables = [text for table in layout.tables for text in _tables(table, room, smoke=layout.smoke)]
    return "\n\n".join([f"{PREAMBLE}\n{UNMET_MACRO}", *tables, reading]) + "\n"


def latex_summary(summary: Summary, suite: str) -> str:
    """A row per method and a column per scenario, its address broken at the slashes."""
    addresses = [address.replace("/", "/ ").split() for address in summary.scenarios]
    body = []
    for method, extra, cells in summary.rows:
        stacks = [[*_name_lines(method, PAGE), *([f"[{extra}]"] if extra else [])], *map(_summary_lines, cells)]
        body += [_line([_escaped(text) for text in line]) for line in zip_longest(*stacks, fillvalue="")]
    opened = _opened(f"{suite}. {CELL}", f"tab:{suite}", "l" * (1 + len(addresses)), PAGE)
    heads = [_line([_escaped(text) for text in line]) for line in zip_longest(["method"], *addresses, fillvalue="")]
    return "\n".join([PREAMBLE, *opened, *heads, "\\midrule", *body, *_closed("", PAGE)]) + "\n"


def _summary_lines(cell: str) -> list[str]:
    """Gap and interval, and under them what is over, whether most postpone, and how many are feasible."""
    if len(cell) <= SHORT:
        return [cell]
    found = GAP.match(cell)
    assert found is not None
    return [found["gap"], cell[found.end() :]]


def _tables(table: Table, room: Room, *, smoke: bool) -> Iterator[str]:
    """The table, in parts where it is too high."""
    headings, labels = table.grid.headings, _labels(table)
    shown = _shown(table, room)
    spec = "l" + "".join("r" if headings[i].is_number else "l" for i in shown)
    names = [["method"], *(_heading(headings[i]) for i in shown)]
    heads = [_line(line) for line in zip_longest(*names, fillvalue="")]
    parts = list(_parts([_lines(row, headings, labels, shown, room) for row in table.grid.rows]))
    said = (f" {headings[i].name.capitalize()}: {value} {headings[i].unit}." for i, value in _same(table).items())
    same = "".join(said)
    for number, part in enumerate(parts, 1):
        which = f" Part {number} of {len(parts)}." if len(parts) > 1 else ""
        caption = f"{table.title}.{which} {table.opening}{same}{f' {SMOKE}' if smoke else ''}"
        label = f"tab:{table.title}{f'-{number}' if number > 1 else ''}"
        faults = " ".join(table.faults) if number == len(parts) else ""
        yield "\n".join([*_opened(caption, label, spec, room), *heads, "\\midrule", *part, *_closed(faults, room)])


def _shown(table: Table, room: Room) -> list[int]:
    """Places of the columns beside those that name a row; what a method needs is too wide for a page."""
    headings, same = table.grid.headings, _same(table)
    found = [i for i in range(_labels(table), len(headings)) if i not in same and headings[i].name != NEEDS]
    if not room.narrow:
        return found
    wanted = {*(room.columns or (heading.name for heading in headings)), VERDICT} - {SEES}
    return sorted((i for i in found if headings[i].name in wanted), key=lambda i: headings[i].name == VERDICT)


def _parts(rows: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    part: list[str] = []
    for lines in rows:
        if part and len(part) + len(lines) > MOST_LINES:
            yield part
            part = []
        part += lines
    yield part


def _opened(caption: str, label: str, spec: str, room: Room) -> list[str]:
    name = label.replace("_", "-").replace("*", "all").replace("~", "-then-")
    return [
        f"\\begin{{{room.environment}}}",
        LOOK,
        f"\\caption{{{_escaped(caption)}}}\\label{{{name}}}",
        f"\\begin{{tabular}}{{@{{}}{spec}@{{}}}}",
        "\\toprule",
    ]


def _closed(below: str, room: Room) -> list[str]:
    notes = ["", f"\\parbox{{{room.width}}}{{\\vspace{{1ex}}{_escaped(below)}}}"] if below else []
    return ["\\bottomrule", "\\end{tabular}", *notes, f"\\end{{{room.environment}}}"]


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


def _lines(row: Row, headings: Sequence[Heading], labels: int, shown: Sequence[int], room: Room) -> list[str]:
    """A row's lines: estimates and under them their intervals, or one per seed; under the method what names it too."""
    first, *others = _name_lines(row.cells[0].values[0], room)
    beside = [word for cell in row.cells[1:labels] for word in cell.values[0].split("; ") if word]
    if room.narrow:
        beside = [line for word in beside for line in _name_lines(word, room)]
    stacks = [_stack(Cell((first,), (*others, *beside)), row.style, is_number=False)]
    stacks += [_stack(row.cells[i], row.style, headings[i].is_number, broken=room.narrow) for i in shown]
    return [_line(line) for line in zip_longest(*stacks, fillvalue="")]


def _stack(cell: Cell, style: str, is_number: bool, *, broken: bool = False) -> list[str]:
    values, notes = list(cell.values), [note for note in cell.notes if not END_OF_INTERVAL.fullmatch(note)]
    if broken or not is_number:
        notes = [part for note in notes for part in BROKEN.split(note)]
    if not is_number:
        first, *others = BROKEN.split(values[0])
        values, notes = [FEASIBLE.sub("", first)], [*others, *notes]
    shown = [_escaped(value) if value in ("", BLANK) else STYLES[style] % _escaped(value) for value in values]
    return shown + [NOTES[style] % _escaped(note.strip("()")) for note in notes]


def _name_lines(name: str, room: Room) -> list[str]:
    """A method's name, a long one in several lines."""
    most = room.longest_name
    if len(name) <= most:
        return [name]
    at = max(name.rfind(sign, 0, most) for sign in BREAKS) + 1 or most
    return [name[:at], *_name_lines(name[at:], room)]


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
