"""The command `buildings`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from accord.benchmark.cli.completion import suite_names
from accord.benchmark.cli.options import (
    Imports,
    Methods,
    Results,
    Root,
    Scenarios,
    SeedList,
    Variants,
    err,
    out,
    path_option,
)
from accord.benchmark.cli.reproduction import is_wanted
from accord.benchmark.cli.runs import all_records
from accord.benchmark.places import RESULTS, SCRATCH, Place
from accord.envs.errors import UsageError

if TYPE_CHECKING:
    from accord.benchmark.evaluation.buildings import Buildings
    from accord.benchmark.records.record import Record

FORMATS = ("md", "csv")
DRAWN = (".png", ".pdf")  # both are written, whichever is named
MOST_NAMED = 5  # runs in a message


def buildings(
    run_name: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="A run's digest, or the beginning of one; or a suite, of which the options below choose a run.",
            autocompletion=suite_names,
        ),
    ],
    methods: Methods = "",
    scenarios: Scenarios = "",
    variants: Variants = "",
    seed_list: SeedList = "",
    format: Annotated[
        str,
        typer.Option(help="md or csv, which has every building; by default a table on a terminal, and md elsewhere."),
    ] = "",
    figure: Annotated[Path | None, path_option("Also draw it: this file, as PNG and as PDF.")] = None,
    root: Root = SCRATCH,
    results: Results = RESULTS,
    imports: Imports = None,
) -> None:
    """What a run in a district means for each building: bill, delay and import against today's rule.

    The run is rolled out again with its policy, beside the rule `serve_now` on the same hours.
    """
    from accord.benchmark.boards.buildings import csv, markdown
    from accord.benchmark.launch.replay import buildings_of
    from accord.benchmark.records.store import Store

    if format and format not in FORMATS:
        raise UsageError(f"--format: unknown format '{format}'; allowed: {', '.join(FORMATS)}")
    if figure is not None and figure.suffix not in ("", *DRAWN):
        raise UsageError(f"--figure: {figure}: unknown format '{figure.suffix}'; allowed: {', '.join(DRAWN)}, or none")
    named = _named(run_name, root, all_records(root, results))
    if not named:
        raise UsageError(f"RUN: no finished run of '{run_name}'; first: accord run {run_name}")
    found = [record for record in named if is_wanted(record.spec, methods, scenarios, variants, seed_list)]
    if not found:
        options = "--methods, --scenarios, --variants and --seed-list"
        raise UsageError(f"RUN: none of the {len(named)} runs of '{run_name}' is left after {options}")
    result = buildings_of(_one_of(found, run_name), Store(root))
    if format == "csv":
        out.print(csv(result), end="", soft_wrap=True)
    elif format == "md" or not out.is_terminal:
        out.print(markdown(result), soft_wrap=True)
    else:
        _draw_table(result)
    if figure is not None:
        _draw_figure(result, figure)


def _named(name: str, root: Place, records: Sequence[Record]) -> list[Record]:
    """Runs whose digest begins with a name, or those of the suite of that name; the scratch run where two are one."""
    from accord.benchmark.specs.suite import load_suite

    by_digest = {record.spec.digest: record for record in reversed(records)}
    found = [record for digest, record in by_digest.items() if digest.startswith(name)]
    if found:
        return found
    suite = load_suite(name, root).name
    return [record for record in by_digest.values() if record.spec.suite == suite]


def _one_of(records: Sequence[Record], name: str) -> Record:
    """The run that is meant: of several, the one whose method acts and is not what others are compared with."""
    from accord.baselines.registry import REFERENCES
    from accord.envs.catalogue import resolve

    chosen = records
    if len(chosen) > 1:
        acting = [record for record in records if record.spec.method not in REFERENCES]
        if not acting:
            raise UsageError(f"RUN: '{name}' stands for {len(records)} runs of bounds, which do not act")
        chosen = [r for r in acting if r.spec.method != resolve(r.spec.scenario).uncontrolled] or acting
    if len(chosen) > 1:
        labels = [f"{record.spec.digest[:8]} ({record.spec.label})" for record in chosen[:MOST_NAMED]]
        more = f" and {len(chosen) - MOST_NAMED} more" if len(chosen) > MOST_NAMED else ""
        raise UsageError(
            f"RUN: '{name}' stands for {len(chosen)} runs: {', '.join(labels)}{more}; name one by its digest, or by "
            "--methods, --scenarios, --variants and --seed-list"
        )
    return chosen[0]


def _draw_table(found: Buildings) -> None:
    """On a terminal: a word of a heading a line, so that 80 columns are enough."""
    from accord.benchmark.boards.buildings import headings, notes, opening, rows

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    names = ["\n".join(heading.split()) for heading in headings(found)]
    for name in names:
        table.add_column(name, justify="left" if name == names[0] else "right", overflow="fold")
    *several, district = rows(found)
    for row in several:
        table.add_row(*row)
    table.add_row(*district, style="bold")
    for part in (" ".join(opening(found)), "", table, "", " ".join(notes(found))):
        out.print(part)


def _draw_figure(found: Buildings, file: Path) -> None:
    from accord.benchmark.figures.buildings import draw_buildings
    from accord.benchmark.figures.canvas import save, style

    stem = file.with_suffix("")
    with style():
        files = save(draw_buildings(found), stem)
    err.print(" and ".join(map(str, files)), soft_wrap=True)
