"""The command line. A user's mistake is one line on standard error and exit status 2."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, get_args

import typer
from rich.logging import RichHandler
from rich.table import Table

import accord.baselines  # noqa: F401 - registers every method
from accord.baselines.registry import METHODS, REFERENCES
from accord.benchmark.cli.allocation import film, studies
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
    out,
    words_of,
)
from accord.benchmark.cli.tools import audit, profile, scale, scale_quality, tune
from accord.benchmark.evaluation.audit import audit_records
from accord.benchmark.evaluation.metrics import METRICS, Context
from accord.benchmark.launch.local import launch
from accord.benchmark.records.record import Record
from accord.benchmark.records.store import SCRATCH, Store
from accord.benchmark.report.leaderboard import leaderboard, read_runs
from accord.benchmark.report.report import render, write_report
from accord.benchmark.report.reproduce import report_rerun, rerun_folder
from accord.benchmark.report.tracking import Tracker, tracking_mode
from accord.benchmark.specs.overrides import Overrides
from accord.benchmark.specs.suite import RunSpec, Suite, in_scenario, load_suite, suite_names
from accord.envs.allocation.dynamics import Variant
from accord.envs.catalogue import DistrictScenario, resolve
from accord.envs.demand_response.budgets import KINDS
from accord.envs.districts.named import NAMED
from accord.envs.errors import UsageError
from accord.envs.network.topologies import TOPOLOGIES
from accord.envs.third_party.mpe2_and_lbf import LBF, MPE2
from accord.envs.toy.games import ALLOWED as GAMES

INTERRUPTED = 130
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Accord: the benchmark's command line.",
)


@app.command()
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
    specs = chosen.runs(_overrides(methods, scenarios, variants, budgets, seeds, seed_list, steps))
    tracker = Tracker(tracking_mode(wandb), root)
    err.print(f"suite {chosen.name}: {len(specs)} runs under {root}/, W&B {tracker.mode}", highlight=False)

    def track(record: Record) -> None:
        policy = store.policy(record.policy).finished() if record.policy else None
        if tracker.log_run(record, policy["curve"] if policy else [], store.traces(record.spec)):
            store.mark_tracked(record.spec)

    outcome = launch(specs, store, jobs=jobs, console=err, on_record=track)
    for record in outcome.records:
        # Finished by a call that was stopped, or that did not track.
        if not store.tracked(record.spec):
            track(record)
    told = audit_records(outcome.records)
    files = _write(chosen, outcome.records, store, root / "reports" / chosen.name, told)
    if outcome.fresh:
        table = leaderboard(outcome.records, told)
        tracker.log_leaderboard(chosen.name, table, [file for file in files if file.suffix != ".pdf"])
    text = render(outcome.records, "md", smoke=chosen.smoke, contexts=_contexts(store), locality=told)
    out.print(text, markup=False, highlight=False, soft_wrap=True)
    done = sum(record.status == "done" for record in outcome.records)
    where = f"report in {root}/reports/{chosen.name}/"
    err.print(f"{done} of {len(specs)} runs done, {outcome.fresh} carried out now; {where}", soft_wrap=True)
    if outcome.failed or "FAILED" in told.values():
        raise typer.Exit(1)


@app.command(name="list")
def list_all() -> None:
    """Suites, methods, and the words of a scenario's address."""
    table = Table(show_header=False, box=None)
    for name in suite_names():
        table.add_row("suite", name, load_suite(name).description)
    for method in dict.fromkeys(entry.method for entry in METHODS.values()):
        names = ", ".join(sorted(name for name, entry in METHODS.items() if entry.method is method))
        table.add_row("method", names, (method.__doc__ or "").splitlines()[0])
    for name, reference in sorted(REFERENCES.items()):
        table.add_row("reference", name, (reference.__doc__ or "").splitlines()[0])
    for name, build in NAMED.items():
        table.add_row("district", name, (build.__doc__ or "").splitlines()[0])
    table.add_row("district", "synthetic_N", "N buildings drawn from the homes and the mixed set")
    table.add_row("district", "synthetic_N-week", "the same, measured on one week: for the optimum of thousands")
    table.add_row("district", "folder:PATH", "your own data, in CityLearn's schema")
    table.add_row("episodic", f"games/NAME with {GAMES}", "in place of district, network and budget")
    table.add_row("", ", ".join([*(f"mpe2/{name}" for name in MPE2), *(f"lbf/{name}" for name in LBF)]), "")
    table.add_row("", f"allocation_NxW/radius-C/VARIANT with {', '.join(get_args(Variant))}", "N agents, W resources")
    table.add_row("network", ", ".join(TOPOLOGIES), "")
    table.add_row("budget", ", ".join(f"{kind}-C" for kind in KINDS), "C a share of the uncontrolled peak, or x1.05")
    out.print(table)


@app.command()
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
    out.print(f"{record.spec.label}: {record.status} {record.error}", highlight=False)
    table = Table("metric", "value", "unit", box=None)
    for name, value in record.metrics.items():
        table.add_row(name, f"{value:.6g}" if isinstance(value, float) else str(value), _unit(name))
    out.print(table)
    out.print_json(
        json.dumps({"spec": record.spec.model_dump(mode="json"), "provenance": record.provenance.model_dump()})
    )


@app.command()
def report(
    suite: SuiteName,
    format: Annotated[str, typer.Option(help="md, latex or csv.")] = "md",
    published: Annotated[bool, typer.Option(help="From --results instead of scratch runs.")] = False,
    root: Root = SCRATCH,
    results: Results = RESULTS,
) -> None:
    """Print a suite's leaderboard and write its report anew."""
    chosen, store = load_suite(suite), Store(root)
    if published:
        records = _published(chosen, results)
        text = render(records, format, smoke=chosen.smoke, locality=audit_records(records))
        out.print(text, markup=False, highlight=False, soft_wrap=True)
        return
    records = _recorded(chosen, store, suite)
    told = audit_records(records)
    text = render(records, format, smoke=chosen.smoke, contexts=_contexts(store), locality=told)
    out.print(text, markup=False, highlight=False, soft_wrap=True)
    _write(chosen, records, store, root / "reports" / chosen.name, told)


@app.command()
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
    chosen, store = load_suite(suite), Store(root)
    specs = chosen.runs(Overrides(words_of(methods), words_of(scenarios), words_of(variants)))
    records = [record for spec in specs if (record := store.load(spec)) is not None]
    if len(records) < len(specs):
        filters = {"--methods": methods, "--scenarios": scenarios, "--variants": variants}
        words = " ".join([suite, *(f"{name} {value}" for name, value in filters.items() if value)])
        missing = f"{len(specs) - len(records)} of its {len(specs)} runs are missing under {root}/"
        raise UsageError(f"suite '{chosen.name}': {missing}; first: accord run {words}")

    def place(spec: RunSpec) -> tuple[str, ...]:
        # A whole method also takes the place of variants that its suite has no longer.
        return (spec.scenario, spec.method, *([spec.variant] if variants else []))

    target, replaced = results / chosen.name, {place(spec) for spec in specs}
    part = bool(methods or scenarios or variants) and (target / "runs.parquet").exists()
    earlier = _published(chosen, results) if part else []
    kept = [record for record in earlier if place(record.spec) not in replaced]
    everything = [*kept, *records]
    files = _write(chosen, everything, store, target, audit_records(everything), part=part)
    beside = f" beside {len(kept)}" if kept else ""
    out.print(f"{len(records)} runs published{beside}: {len(files)} files under {target}/", soft_wrap=True)


@app.command()
def reproduce(
    suite: SuiteName,
    methods: Methods = "",
    scenarios: Scenarios = "",
    variants: Variants = "",
    seed_list: SeedList = "",
    jobs: Jobs = None,
    root: Annotated[Path | None, typer.Option(help="Where the reruns are kept; by default by git revision.")] = None,
    results: Results = RESULTS,
) -> None:
    """Rerun what results/ publishes and say per metric: identical, within tolerance, or different."""
    chosen = load_suite(suite)
    published = _published(chosen, results)
    wanted = [record for record in published if _wanted(record.spec, methods, scenarios, variants, seed_list)]
    if not wanted:
        raise UsageError(f"suite '{chosen.name}': no published run is left after the filters")
    store = Store(root or rerun_folder())
    again = launch([record.spec for record in wanted], store, jobs=jobs, console=err)
    by_digest = {record.spec.digest: record for record in again.records}
    held = [report_rerun(record, by_digest[record.spec.digest], published, out) for record in wanted]
    out.print(f"{sum(held)} of {len(held)} published runs reproduce")
    if not all(held):
        raise typer.Exit(1)


for tool in (tune, audit, scale, scale_quality, profile, studies, film):
    app.command()(tool)


def main() -> None:
    """Entry point: a user's mistake is one line, Ctrl-C is not a crash."""
    logging.basicConfig(
        level=logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=err, show_time=False, show_path=False)],
    )
    try:
        app(standalone_mode=True)
    except UsageError as mistake:
        err.print(f"error: {mistake}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except OSError as fault:
        where = f"{fault.filename}: " if fault.filename else ""
        err.print(f"error: {where}{fault.strerror or fault}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # what typer makes of a KeyboardInterrupt
            err.print("stopped; the same command goes on from here")
        raise


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
        _numbers(seed_list),
        steps,
    )


def _numbers(text: str) -> list[int]:
    words = words_of(text)
    for word in words:
        if not word.isdecimal():
            raise UsageError(f"--seed-list: '{word}' is not a seed; allowed: whole numbers from 0, separated by commas")
    return [int(word) for word in words]


def _contexts(store: Store) -> Callable[[str], Context | None]:
    def load(address: str) -> Context | None:
        scenario = resolve(address)
        return store.load_context(scenario) if isinstance(scenario, DistrictScenario) else None

    return load


def _write(
    suite: Suite,
    records: list[Record],
    store: Store,
    target: Path,
    locality: dict[tuple[str, str], str],
    *,
    part: bool = False,
) -> list[Path]:
    contexts = _contexts(store)
    return write_report(
        records, target, suite=suite, traces=store.traces, contexts=contexts, locality=locality, part=part
    )


def _recorded(suite: Suite, store: Store, typed: str) -> list[Record]:
    records = store.records(suite.name)
    if not records:
        raise UsageError(f"suite '{suite.name}': no runs under {store.root}/; first: accord run {typed}")
    return records


def _published(suite: Suite, results: Path) -> list[Record]:
    path = results / suite.name / "runs.parquet"
    if not path.exists():
        raise UsageError(f"suite '{suite.name}': nothing is published under {results / suite.name}/")
    return read_runs(path)


def _all_records(root: Path, results: Path) -> list[Record]:
    published = [record for path in sorted(results.glob("*/runs.parquet")) for record in read_runs(path)]
    return [*Store(root).records(), *published]


def _wanted(spec: RunSpec, methods: str, scenarios: str, variants: str, seed_list: str) -> bool:
    seeds, parts = _numbers(seed_list), words_of(scenarios)
    return (
        (not methods or spec.method in words_of(methods))
        and in_scenario(spec.scenario, parts)
        and (not variants or spec.variant in words_of(variants))
        and (not seeds or spec.seed in seeds)
    )


def _unit(name: str) -> str:
    return METRICS[name].unit if name in METRICS else ""
