"""Commands of suites and runs: run, show, report, publish."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from accord.benchmark.cli.options import (
    RESULTS,
    Budgets,
    Jobs,
    Methods,
    Results,
    Root,
    Scenarios,
    SeedList,
    Seeds,
    Steps,
    SuiteName,
    Variants,
    Wandb,
    err,
    numbers_of,
    out,
    tracking_mode,
    words_of,
)
from accord.benchmark.evaluation.metrics import METRICS
from accord.benchmark.launch import launch
from accord.benchmark.records.record import Record
from accord.benchmark.records.store import SCRATCH, Store
from accord.benchmark.report.leaderboard import read_runs
from accord.benchmark.report.publish import publish_runs, published_runs, summary_of
from accord.benchmark.report.report import write_report
from accord.benchmark.report.tracking import Tracker
from accord.benchmark.specs.expand import runs_of
from accord.benchmark.specs.overrides import Overrides
from accord.benchmark.specs.suite import Suite, load_suite
from accord.envs.errors import UsageError


def run(
    suite: SuiteName,
    methods: Methods = "",
    scenarios: Scenarios = "",
    variants: Variants = "",
    budgets: Budgets = "",
    seeds: Seeds = None,
    seed_list: SeedList = "",
    steps: Steps = None,
    jobs: Jobs = None,
    wandb: Wandb = None,
    root: Root = SCRATCH,
) -> None:
    """Run a suite, going on where an earlier call stopped, and print its leaderboard."""
    chosen, store = load_suite(suite), Store(root)
    specs = runs_of(chosen, _overrides(methods, scenarios, variants, budgets, seeds, seed_list, steps))
    with Tracker(tracking_mode(wandb, root), store) as tracker:
        err.print(f"suite {chosen.name}: {len(specs)} runs under {root}/, W&B {tracker.mode}")
        outcome = launch(specs, store, jobs=jobs, console=err, listener=tracker)
        tracker.catch_up(outcome.records)
        found = summary_of(chosen, outcome.records, store)
        files = write_report(found, root / "reports" / chosen.name, store.traces)
        tracker.log_leaderboard(chosen.name, found.board, [file for file in files if file.suffix != ".pdf"])
    out.print(found.render("md"), soft_wrap=True)
    done = sum(record.status == "done" for record in outcome.records)
    where = f"report in {root}/reports/{chosen.name}/"
    err.print(f"{done} of {len(specs)} runs done, {outcome.fresh} carried out now; {where}", soft_wrap=True)
    if outcome.failed or "FAILED" in found.locality.values():
        raise typer.Exit(1)


def show(
    run_name: Annotated[str, typer.Argument(metavar="RUN", help="A run's digest, or the beginning of one.")],
    root: Root = SCRATCH,
    results: Results = RESULTS,
) -> None:
    """One run: its spec, how it ended, every metric, where it was made."""
    found = [record for record in _all_records(root, results) if record.spec.digest.startswith(run_name)]
    if not found:
        where = f"{root}/ or {results}/; see the column `run` of runs.parquet"
        raise UsageError(f"RUN: no run begins with '{run_name}' under {where}")
    if len({record.spec.digest for record in found}) > 1:
        names = ", ".join(sorted({record.spec.digest for record in found})[:5])
        raise UsageError(f"RUN: '{run_name}' is the beginning of several runs: {names}")
    record = found[0]
    out.print(f"{record.spec.label}: {record.status} {record.error}")
    table = Table("metric", "value", "unit", box=None)
    for name, value in record.metrics.items():
        table.add_row(name, f"{value:.6g}" if isinstance(value, float) else str(value), _unit(name))
    out.print(table)
    out.print_json(
        json.dumps(
            {
                "spec": record.spec.model_dump(mode="json"),
                "identity": None if record.identity is None else record.identity.model_dump(),
                "provenance": record.provenance.model_dump(),
            }
        )
    )


def report(
    suite: SuiteName,
    format: Annotated[str, typer.Option(help="md, latex or csv.")] = "md",
    published: Annotated[bool, typer.Option("--published", help="From --results instead of scratch runs.")] = False,
    write: Annotated[
        bool, typer.Option("--write", help="With --published: write that report anew in --results.")
    ] = False,
    root: Root = SCRATCH,
    results: Results = RESULTS,
) -> None:
    """Print a suite's leaderboard and write its report anew."""
    if write and not published:
        raise UsageError("--write: only with --published; scratch runs are published by: accord publish")
    chosen, store = load_suite(suite), Store(root)
    if published:
        found = summary_of(chosen, published_runs(chosen, results))
    else:
        found = summary_of(chosen, _recorded(chosen, store, suite), store)
    out.print(found.render(format), soft_wrap=True)
    if not published:
        write_report(found, root / "reports" / chosen.name, store.traces)
    elif write:
        write_report(found, results / chosen.name, lambda spec: {}, part=True)


def publish(
    suite: SuiteName,
    methods: Methods = "",
    scenarios: Scenarios = "",
    variants: Variants = "",
    root: Root = SCRATCH,
    results: Results = RESULTS,
) -> None:
    """Copy a suite's records and report from scratch to results/: all of its runs, and none that it does not name.

    With --methods, --scenarios or --variants all runs of these alone; what is published of the others stays as it is.
    """
    chosen = load_suite(suite)
    overrides = Overrides(words_of(methods), words_of(scenarios), words_of(variants))
    done = publish_runs(chosen, overrides, Store(root), results, typed=suite)
    beside = f" beside {done.kept}" if done.kept else ""
    text = f"{done.published} runs published{beside}: {len(done.files)} files under {results / chosen.name}/"
    out.print(text, soft_wrap=True)


def _overrides(
    methods: str,
    scenarios: str,
    variants: str,
    budgets: str,
    seeds: int | None,
    seed_list: str,
    steps: int | None,
) -> Overrides:
    return Overrides(
        words_of(methods),
        words_of(scenarios),
        words_of(variants),
        words_of(budgets),
        seeds,
        numbers_of(seed_list),
        steps,
    )


def _recorded(suite: Suite, store: Store, typed: str) -> list[Record]:
    records = store.records(suite.name)
    if not records:
        raise UsageError(f"suite '{suite.name}': no runs under {store.root}/; first: accord run {typed}")
    return records


def _all_records(root: Path, results: Path) -> list[Record]:
    published = [record for path in sorted(results.glob("*/runs.parquet")) for record in read_runs(path)]
    return [*Store(root).records(), *published]


def _unit(name: str) -> str:
    return METRICS[name].unit if name in METRICS else ""
