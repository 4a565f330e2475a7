"""From scratch runs to results/: a suite is published whole, or some methods of it beside what is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from accord.benchmark.records.record import Record
from accord.benchmark.records.store import Store
from accord.benchmark.report.leaderboard import read_runs
from accord.benchmark.report.locality import audit_records
from accord.benchmark.report.report import SuiteReport, write_report
from accord.benchmark.specs.expand import runs_of
from accord.benchmark.specs.overrides import Overrides
from accord.benchmark.specs.run import RunSpec
from accord.benchmark.specs.suite import Suite
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError


@dataclass(frozen=True)
class Published:
    """What a publication did: runs that were published, runs that stay beside them, and the files."""

    published: int
    kept: int
    files: list[Path]


def summary_of(suite: Suite, records: Sequence[Record], store: Store | None = None) -> SuiteReport:
    """A suite's report, audited; with what each scenario is compared with where there is a store."""
    contexts = None if store is None else lambda address: store.load_context(resolve(address))
    return SuiteReport(suite, records, audit_records(records), contexts)


def publish_runs(suite: Suite, overrides: Overrides, store: Store, results: Path, *, typed: str) -> Published:
    """Copy the records of a suite, or of a part of it, and write its report anew.

    Args:
        suite: The suite.
        overrides: Methods, scenarios and variants that are published; all of them without any.
        store: Where the runs lie.
        results: Where published suites lie.
        typed: How the suite was named, for the message.

    Raises:
        UsageError: a run is missing.
    """
    specs = runs_of(suite, overrides)
    records = [record for spec in specs if (record := store.load(spec)) is not None]
    chosen = {name: getattr(overrides, name) for name in ("methods", "scenarios", "variants")}
    if len(records) < len(specs):
        words = " ".join([typed, *(f"--{name} {','.join(value)}" for name, value in chosen.items() if value)])
        missing = f"{len(specs) - len(records)} of its {len(specs)} runs are missing under {store.root}/"
        raise UsageError(f"suite '{suite.name}': {missing}; first: accord run {words}")

    def place(spec: RunSpec) -> tuple[str, ...]:
        # A whole method also takes the place of variants that its suite has no longer.
        return (spec.scenario, spec.method, *([spec.variant] if overrides.variants else []))

    target, replaced = results / suite.name, {place(spec) for spec in specs}
    part = any(chosen.values()) and (target / "runs.parquet").exists()
    earlier = published_runs(suite, results) if part else []
    kept = [record for record in earlier if place(record.spec) not in replaced]
    files = write_report(summary_of(suite, [*kept, *records], store), target, store.traces, part=part)
    return Published(len(records), len(kept), files)


def published_runs(suite: Suite, results: Path) -> list[Record]:
    """The records of a published suite.

    Raises:
        UsageError: nothing is published of it.
    """
    path = results / suite.name / "runs.parquet"
    if not path.exists():
        raise UsageError(f"suite '{suite.name}': nothing is published under {results / suite.name}/")
    return read_runs(path)
