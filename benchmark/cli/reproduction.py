"""The command `reproduce`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accord.benchmark.cli.options import (
    Imports,
    Jobs,
    Methods,
    Results,
    Scenarios,
    SeedList,
    Variants,
    err,
    numbers_of,
    out,
    store_option,
    words_of,
)
from accord.benchmark.places import RESULTS, SCRATCH, Place
from accord.envs.errors import UsageError

if TYPE_CHECKING:
    from accord.benchmark.records.record import Record
    from accord.benchmark.specs.run import RunSpec

ALL = "all"
LIMITED = ("out of time", "out of memory")


def reproduce(
    suite: Annotated[str, typer.Argument(help=f"A published suite, or {ALL} of them.")],
    methods: Methods = "",
    scenarios: Scenarios = "",
    variants: Variants = "",
    seed_list: SeedList = "",
    within: Annotated[float | None, typer.Option(min=1, help="Seconds: draw rows that fit, of every suite.")] = None,
    draw: Annotated[int, typer.Option(min=0, help="Another number draws other rows.")] = 0,
    short: Annotated[
        bool, typer.Option("--short", help="Of every method of every suite the shortest row, if it takes seconds.")
    ] = False,
    jobs: Jobs = None,
    root: Annotated[
        Place | None, store_option("Where the reruns are kept, a folder or a URL; by default by git revision.")
    ] = None,
    results: Results = RESULTS,
    imports: Imports = None,
) -> None:
    """Rerun what results/ publishes: identical on the same kind of machine, one test per row on another one."""
    from accord.benchmark.report.draw import shortest_of_each_method
    from accord.benchmark.report.reproduce import report_rerun, rerun_folder

    if short and within is not None:
        raise UsageError("--short: leave out --within")
    published = _published(suite, results)
    named = [record for record in published if is_wanted(record.spec, methods, scenarios, variants, seed_list)]
    wanted = [record for record in named if record.status not in LIMITED]
    if not wanted:
        why = f"; {len(named)} ended at a limit, which depends on the machine" if named else ""
        raise UsageError(f"suite '{suite}': no published run is left after the filters{why}")
    wanted = _without_those_that_need_what_is_not_here(wanted)
    wanted = _choose(wanted, within, draw, jobs) if within is not None else wanted
    wanted = shortest_of_each_method(wanted) if short else wanted
    if not wanted:
        raise UsageError("--short: bounds alone are left after the filters, and they are compared in every other row")
    again = _rerun(wanted, root or rerun_folder(), jobs, imports or ())
    held = [report_rerun(record, again[record.spec.digest], published, out) for record in wanted]
    out.print(f"{sum(held)} of {len(held)} published runs reproduce")
    if any(record.status in LIMITED for record in named):
        out.print("those that ended at a limit of time or memory, which depends on the machine, were left out")
    if not all(held):
        raise typer.Exit(1)


def _published(suite: str, results: Path) -> list[Record]:
    from accord.benchmark.boards.leaderboard import read_runs
    from accord.benchmark.report.publish import published_runs
    from accord.benchmark.specs.suite import load_suite

    if suite != ALL:
        return published_runs(load_suite(suite, SCRATCH), results)
    tables = sorted(results.glob("*/runs.parquet"))
    if not tables:
        raise UsageError(f"nothing is published under {results}/")
    return [record for table in tables for record in read_runs(table)]


def _choose(records: Sequence[Record], within: float, draw: int, jobs: int | None) -> list[Record]:
    """Rows that fit, of every suite for the same share of the time."""
    from accord.benchmark.report.draw import drawn

    by_suite: dict[str, list[Record]] = {}
    for record in records:
        by_suite.setdefault(record.spec.suite, []).append(record)
    seconds = within * (jobs or os.cpu_count() or 1) / len(by_suite)
    return [record for own in by_suite.values() for record in drawn(own, seconds, draw)]


def _without_those_that_need_what_is_not_here(records: Sequence[Record]) -> list[Record]:
    """Rows that can be rerun here; a line for each suite of which some want a package or a GPU."""
    from accord.envs.catalogue import DISTRICTS, family_of, resolve
    from accord.envs.checks import devices_here

    left, out_of, devices = list(records), dict[str, list[str]](), devices_here()
    for record in records:
        if record.spec.device not in devices:
            left.remove(record)
            out_of.setdefault(record.spec.suite, []).append(f"they were computed on {record.spec.device}")
            continue
        # A district of ours needs no package, and a very large one takes a minute to draw.
        if family_of(record.spec.scenario) is DISTRICTS:
            continue
        try:
            scenario = resolve(record.spec.scenario)
        except UsageError:  # it has lost its meaning, which its rerun says
            continue
        try:
            scenario.check()
        except UsageError as why:
            left.remove(record)
            out_of.setdefault(record.spec.suite, []).append(str(why))
    for suite, reasons in out_of.items():
        line = f"--  {suite}: {len(reasons)} rows are left out: {reasons[0]}"
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    if not left:
        raise UsageError("no row that is left after the filters can be rerun here")
    return left


def _rerun(
    wanted: Sequence[Record], folder: Place, jobs: int | None, imports: Sequence[Path]
) -> dict[str, Record | str]:
    """Reruns by the digest of their spec, or why there is none.

    What was trained to its end is trained to its end again, however slow this machine is.
    """
    from accord.benchmark.launch import launch
    from accord.benchmark.records.store import Store
    from accord.benchmark.specs.resolved import resolve_run

    found: dict[str, Record | str] = {}
    for record in wanted:
        try:
            resolve_run(record.spec)
        except UsageError as why:
            found[record.spec.digest] = f"cannot be made here: {why}"
    specs = [record.spec for record in wanted if record.spec.digest not in found]
    if specs:
        again = launch(specs, Store(folder), jobs=jobs, console=err, unlimited=True, imports=imports)
        found |= {record.spec.digest: record for record in again.records}
    return found


def is_wanted(spec: RunSpec, methods: str, scenarios: str, variants: str, seed_list: str) -> bool:
    """A run is left after the options by which runs are chosen."""
    from accord.benchmark.specs.run import in_scenario

    seeds, parts = numbers_of(seed_list), words_of(scenarios)
    return (
        (not methods or spec.method in words_of(methods))
        and in_scenario(spec.scenario, parts)
        and (not variants or spec.variant in words_of(variants))
        and (not seeds or spec.seed in seeds)
    )
