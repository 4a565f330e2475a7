"""Commands of suites and runs: run, show, report, publish."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accord.benchmark.cli.options import (
    DEVICES,
    Address,
    Budgets,
    Imports,
    Jobs,
    LauncherName,
    Methods,
    OnDevice,
    Results,
    Root,
    Scenarios,
    SeedList,
    Seeds,
    Steps,
    SuiteName,
    Variants,
    Wandb,
    device_from,
    launcher_from,
    numbers_of,
    out,
    tracking_mode,
    words_of,
)
from accord.benchmark.cli.printing import print_table
from accord.benchmark.places import RESULTS, SCRATCH, Place, local_folder
from accord.benchmark.specs.named import EVALUATED
from accord.envs.errors import UsageError

if TYPE_CHECKING:
    from accord.benchmark.records.record import Record
    from accord.benchmark.records.store import Store
    from accord.benchmark.specs.run import Device
    from accord.benchmark.specs.suite import Suite

Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="A setting for every method that learns, like ppo.lr=1e-3; may be given again."),
]


def run(
    suite: SuiteName,
    methods: Methods = "",
    scenarios: Scenarios = "",
    variants: Variants = "",
    budgets: Budgets = "",
    seeds: Seeds = None,
    seed_list: SeedList = "",
    steps: Steps = None,
    settings: Settings = None,
    device: OnDevice = "cpu",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done, and how long.")] = False,
    jobs: Jobs = None,
    launcher: LauncherName = "local",
    address: Address = None,
    wandb: Wandb = None,
    root: Root = SCRATCH,
    results: Results = RESULTS,
    imports: Imports = None,
) -> None:
    """Run a suite, going on where an earlier call stopped, and print its leaderboard."""
    from accord.benchmark.cli.carrying_out import carry_out, forecast
    from accord.benchmark.records.store import Store
    from accord.benchmark.report.tracking import Tracker
    from accord.benchmark.specs.expand import check_runs, runs_of
    from accord.benchmark.specs.overrides import Overrides, settings_from
    from accord.benchmark.specs.suite import load_suite

    chosen, store = load_suite(suite, root), Store(root)
    overrides = Overrides(
        words_of(methods),
        words_of(scenarios),
        words_of(variants),
        words_of(budgets),
        seeds,
        numbers_of(seed_list),
        steps,
        settings_from(settings or []),
        device_from(device, launcher),
    )
    specs = runs_of(chosen, overrides)
    check_runs(specs)
    if dry_run:
        forecast(specs, store, results, jobs)
        return
    chosen_launcher = launcher_from(launcher, address, jobs, root, device=device)
    with Tracker(tracking_mode(wandb, root), store) as tracker:
        well = carry_out(chosen, specs, store, tracker, chosen_launcher, imports or ())
    if not well:
        raise typer.Exit(1)


def show(
    run_name: Annotated[str, typer.Argument(metavar="RUN", help="A run's digest, or the beginning of one.")],
    root: Root = SCRATCH,
    results: Results = RESULTS,
) -> None:
    """One run: its spec, how it ended, every metric, where it was made."""
    from accord.benchmark.evaluation.metrics import METRICS

    found = [record for record in all_records(root, results) if record.spec.digest.startswith(run_name)]
    if not found:
        where = f"{root}/ or {results}/; see the column `run` of runs.parquet"
        raise UsageError(f"RUN: no run begins with '{run_name}' under {where}")
    if len({record.spec.digest for record in found}) > 1:
        names = ", ".join(sorted({record.spec.digest for record in found})[:5])
        raise UsageError(f"RUN: '{run_name}' is the beginning of several runs: {names}")
    record = found[0]
    out.print(f"{record.spec.label}: {record.status} {record.error}", soft_wrap=True)
    rows = []
    for name, value in record.metrics.items():
        text = f"{value:.6g}" if isinstance(value, float) else str(value)
        rows.append([name, text, METRICS[name].unit if name in METRICS else ""])
    print_table(["metric", "value", "unit"], rows)
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
    format: Annotated[
        str, typer.Option(help="md, latex or csv; by default tables on a terminal, and md elsewhere.")
    ] = "",
    summary: Annotated[
        bool, typer.Option("--summary", help="One table: a row per method, a column per scenario.")
    ] = False,
    narrow: Annotated[
        bool, typer.Option("--narrow", help="With --format latex: tables for one column of a page, 3.25 inches.")
    ] = False,
    methods: Annotated[
        str, typer.Option(help="Only these methods, in this order: NAME with its variants, NAME[VARIANT], NAME[].")
    ] = "",
    scenarios: Scenarios = "",
    columns: Annotated[str, typer.Option(help="Only these columns of numbers, like objective,violation.")] = "",
    label: Annotated[
        list[str] | None, typer.Option(help="Another name for a method, METHOD=TEXT; may be given again.")
    ] = None,
    published: Annotated[bool, typer.Option("--published", help="From --results instead of scratch runs.")] = False,
    write: Annotated[
        bool, typer.Option("--write", help="With --published: write that report anew in --results.")
    ] = False,
    root: Root = SCRATCH,
    results: Results = RESULTS,
    imports: Imports = None,
) -> None:
    """Print a suite's leaderboard, or a part of it, and write its report anew.

    The report that is written is whole, whatever is printed.
    """
    from accord.benchmark.boards.selection import Selection, labels_from
    from accord.benchmark.cli.drawing import print_report
    from accord.benchmark.records.store import Store
    from accord.benchmark.report.publish import published_runs, summary_of
    from accord.benchmark.report.report import SuiteReport, checked_format, write_report
    from accord.benchmark.specs.suite import load_suite

    checked_format(format or "md", summary=summary, narrow=narrow)
    if write and not published:
        raise UsageError("--write: only with --published; scratch runs are published by: accord publish")
    if summary and columns:
        raise UsageError("--columns: leave it out with --summary, whose cells are gap, violation and verdict")
    selection = Selection(words_of(methods), words_of(scenarios), words_of(columns), labels_from(label or []))
    chosen, store = load_suite(suite, root), Store(root)
    records = published_runs(chosen, results) if published else _recorded(chosen, store, suite)
    selection.check(records)  # before the audit, which takes its time
    if published and summary and not write:
        found = SuiteReport(chosen, records)  # a summary has no column for what the audit says
    else:
        found = summary_of(chosen, records, None if published else store)
    print_report(found, selection, format, summary=summary, narrow=narrow)
    if not published:
        with store.leases.hold(f"report-{chosen.name}", wait=True):
            write_report(found, local_folder(root) / "reports" / chosen.name, store.traces)
    elif write:
        write_report(found, results / chosen.name, lambda spec: {}, part=True)


def publish(
    suite: SuiteName,
    methods: Methods = "",
    scenarios: Scenarios = "",
    variants: Variants = "",
    device: Annotated[str, typer.Option(help="cpu or cuda: what runs on the other published stays.")] = "cpu",
    replace: Annotated[bool, typer.Option(help="Published runs that the suite does not name may go.")] = False,
    root: Root = SCRATCH,
    results: Results = RESULTS,
    imports: Imports = None,
) -> None:
    """Copy a suite's records and report from scratch to results/: all of its runs, and none that it does not name.

    With --methods, --scenarios or --variants all runs of these alone; what is published of the others stays as it is.
    """
    from accord.benchmark.records.store import Store
    from accord.benchmark.report.publish import publish_runs
    from accord.benchmark.specs.overrides import Overrides
    from accord.benchmark.specs.suite import load_suite

    chosen = load_suite(suite, root)
    if chosen.name == EVALUATED:  # its file says which scenario was measured last, not by which policies
        raise UsageError(f"suite '{EVALUATED}': what accord evaluate measures is not published")
    if device not in DEVICES:
        raise UsageError(f"--device: unknown device '{device}'; allowed: {', '.join(DEVICES)}")
    kind: Device = "cpu" if device == "cpu" else "cuda"
    overrides = Overrides(words_of(methods), words_of(scenarios), words_of(variants), device=kind)
    done = publish_runs(chosen, overrides, Store(root), results, typed=suite, replacing=replace)
    beside = f" beside {done.kept}" if done.kept else ""
    text = f"{done.published} runs published{beside}: {len(done.files)} files under {results / chosen.name}/"
    out.print(text, soft_wrap=True)


def _recorded(suite: Suite, store: Store, typed: str) -> list[Record]:
    records = store.records(suite.name)
    if not records:
        raise UsageError(f"suite '{suite.name}': no runs under {store.root}/; first: accord run {typed}")
    return records


def all_records(root: Place, results: Path) -> list[Record]:
    """Every run, scratch ones first and then what is published."""
    from accord.benchmark.boards.leaderboard import read_runs
    from accord.benchmark.records.store import Store

    published = [record for path in sorted(results.glob("*/runs.parquet")) for record in read_runs(path)]
    return [*Store(root).records(), *published]
