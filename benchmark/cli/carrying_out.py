"""Runs that the command line asked for: carried out and tracked, or only counted and timed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from accord.benchmark.boards.leaderboard import read_runs
from accord.benchmark.boards.selection import EVERYTHING, Selection
from accord.benchmark.cli.drawing import print_report
from accord.benchmark.cli.options import err, out
from accord.benchmark.cli.printing import print_table
from accord.benchmark.launch import launch
from accord.benchmark.launch.forecast import Forecast, Times, forecast_of
from accord.benchmark.launch.jobs import Launcher
from accord.benchmark.launch.start import Outcome, planned
from accord.benchmark.places import local_folder, place_from
from accord.benchmark.records.files import make_folder, write_file
from accord.benchmark.records.record import Record
from accord.benchmark.records.store import Store
from accord.benchmark.report.bounds import broken_bounds
from accord.benchmark.report.publish import summary_of
from accord.benchmark.report.report import write_report
from accord.benchmark.report.tracking import Tracker
from accord.benchmark.specs.named import own_suite, suite_files
from accord.benchmark.specs.run import RunSpec
from accord.benchmark.specs.suite import Suite


def carry_out(
    suite: Suite, specs: Sequence[RunSpec], store: Store, tracker: Tracker, launcher: Launcher, imports: Sequence[Path]
) -> bool:
    """Carry out what the store does not hold, show every run at W&B, print and write the report.

    Args:
        suite: Heads the report; a user's own is kept in the store, where it is found by name from then on.
        specs: Its runs.
        store: Where runs are kept.
        tracker: Of W&B.
        launcher: What carries runs out.
        imports: Files that the processes import first.

    Returns:
        No run ended by an error, no method fails the audit of locality, and no run breaks a bound of theory.
    """
    _keep(suite, store)
    err.print(f"suite {suite.name}: {len(specs)} runs under {store.root}/, W&B {tracker.mode}", soft_wrap=True)
    outcome = _tracked(specs, store, tracker, launcher, imports)
    return _reported(suite, outcome, outcome.records, store, tracker, EVERYTHING)


def evaluate_runs(
    suite: Suite, specs: Sequence[RunSpec], store: Store, tracker: Tracker, launcher: Launcher, imports: Sequence[Path]
) -> bool:
    """The same for runs on one scenario that stand beside all others of their suite; that scenario is printed."""
    _keep(suite, store)
    outcome = _tracked(specs, store, tracker, launcher, imports)
    selection = Selection(scenarios=[specs[0].scenario])
    return _reported(suite, outcome, store.records(suite.name), store, tracker, selection)


def _tracked(
    specs: Sequence[RunSpec], store: Store, tracker: Tracker, launcher: Launcher, imports: Sequence[Path]
) -> Outcome:
    outcome = launch(specs, store, launcher=launcher, console=err, listener=tracker, imports=imports)
    tracker.catch_up(outcome.records)
    return outcome


def _reported(
    suite: Suite, outcome: Outcome, records: Sequence[Record], store: Store, tracker: Tracker, selection: Selection
) -> bool:
    found = summary_of(suite, records, store)
    target = local_folder(store.root) / "reports" / suite.name
    with store.leases.hold(f"report-{suite.name}", wait=True):
        files = write_report(found, target, store.traces)
    tracker.log_leaderboard(suite.name, found.board, [file for file in files if file.suffix != ".pdf"])
    print_report(found, selection)
    done = sum(record.status == "done" for record in outcome.records)
    text = f"{done} of {len(outcome.records)} runs done, {outcome.fresh} carried out now; report in {target}/"
    err.print(text, soft_wrap=True)
    broken = broken_bounds(outcome.records)
    for line in broken:
        err.print(f"Error: {line}", soft_wrap=True)
    audited = {(record.spec.method, record.spec.variant) for record in outcome.records}
    return not (outcome.failed or broken or any(found.locality.get(row) == "FAILED" for row in audited))


def forecast(specs: Sequence[RunSpec], store: Store, results: Path, jobs: int | None) -> None:
    """Print what would be trained and run, what is stored already, and about how long the rest takes."""
    published = [record for path in sorted(results.glob("*/runs.parquet")) for record in read_runs(path)]
    found = forecast_of(specs, planned(specs, store), Times([*store.records(), *published]))
    rows = [
        [row.method, str(row.runs), str(row.stored), str(row.trainings), _duration(row.seconds)] for row in found.rows
    ]
    print_table(["method", "runs", "stored", "to train", "time on one core"], rows)
    out.print(_in_words(found, jobs or os.cpu_count() or 1), soft_wrap=True)


def _keep(suite: Suite, store: Store) -> None:
    """Keep a user's own suite; a name that a suite of Accord has stays that suite's."""
    make_folder(store.root)
    source, kept = place_from(suite.source), own_suite(store.root, suite.name)
    if suite.name not in suite_files() and source != kept:
        write_file(kept, source.read_bytes())


def _in_words(found: Forecast, processes: int) -> str:
    if found.runs == found.stored:
        return f"{found.stored} of {found.runs} runs are stored: nothing is left to do."
    known = [row for row in found.rows if row.seconds is not None and row.stored < row.runs]
    missing = [row.method for row in found.rows if row.seconds is None]
    words = [f"{found.stored} of {found.runs} runs are stored"]
    if found.optima:
        optima = "1 optimum is" if found.optima == 1 else f"{found.optima} optima are"
        words.append(f"{optima} solved first, about {_duration(found.optima_seconds)} on one core")
    if known:
        busy = min(processes, found.jobs)
        total = found.optima_seconds + sum(row.seconds or 0.0 for row in known)
        where = "1 process" if busy == 1 else f"{busy} processes"
        rest = " without those below" if missing else ""
        words.append(f"about {_duration(total / busy)} in all on {where}{rest}, by {found.basis}")
    if missing:
        words.append(f"no basis for {', '.join(missing)}: no record of such a run on this kind of scenario")
    return "; ".join(words) + "."


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "no basis"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
