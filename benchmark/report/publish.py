"""From scratch runs to results/: a suite is published whole, or some methods of it beside what is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from accord.benchmark.boards.leaderboard import read_runs
from accord.benchmark.records.files import remove_scratch
from accord.benchmark.records.identity import identity_here
from accord.benchmark.records.lease import Leases
from accord.benchmark.records.provenance import CHANGED
from accord.benchmark.records.record import Record
from accord.benchmark.records.store import LEASES, Store
from accord.benchmark.report.locality import audit_records
from accord.benchmark.report.report import SuiteReport, write_report
from accord.benchmark.specs.expand import runs_of
from accord.benchmark.specs.overrides import Overrides
from accord.benchmark.specs.resolved import resolve_run
from accord.benchmark.specs.run import CPU, RunSpec
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
    if store is None:
        return SuiteReport(suite, records, audit_records(records))
    return SuiteReport(
        suite,
        records,
        audit_records(records),
        contexts=lambda address: store.load_context(resolve(address)),
        stale=frozenset(record.spec.digest for record in records if is_stale(record)),
    )


def is_stale(record: Record) -> bool:
    """A record of a store was made by other code, data or network than is here now."""
    try:
        return record.identity != identity_here(resolve_run(record.spec))
    except UsageError:  # a setting or an address has lost its meaning
        return True


def publish_runs(
    suite: Suite, overrides: Overrides, store: Store, results: Path, *, typed: str, replacing: bool = False
) -> Published:
    """Copy the records of a suite, or of a part of it, and write its report anew.

    Args:
        suite: The suite.
        overrides: Methods, scenarios and variants that are published, all of them without any, and on which device.
        store: Where the runs lie.
        results: Where published suites lie.
        typed: How the suite was named, for the message.
        replacing: Published rows that the suite does not name may go.

    Raises:
        UsageError: a run is missing, stale or made by code that was not committed; published rows would be lost; or
            another process publishes the suite.
    """
    specs = runs_of(suite, overrides)
    records = [record for spec in specs if (record := store.load(spec)) is not None]
    chosen = {name: getattr(overrides, name) for name in ("methods", "scenarios", "variants")}
    on = [] if overrides.device == CPU else [f"--device {overrides.device}"]
    words = " ".join([typed, *(f"--{name} {','.join(value)}" for name, value in chosen.items() if value), *on])
    missing, stale = len(specs) - len(records), sum(map(is_stale, records))
    uncommitted = sum(map(is_uncommitted, records))
    if missing:
        raise _refused(suite, missing, specs, f"are missing under {store.root}/; first: accord run {words}")
    if stale:
        why = f"are of other code, data or network than is here; first: accord run {words}"
        raise _refused(suite, stale, specs, why)
    if uncommitted:
        why = "are of code that no revision holds; commit it, and run them again under a new --root"
        raise _refused(suite, uncommitted, specs, why)

    def place(spec: RunSpec) -> tuple[str, ...]:
        # A whole method also takes the place of variants that its suite has no longer.
        return (spec.scenario, spec.method, spec.device, *([spec.variant] if overrides.variants else []))

    # Who publishes a part reads what is there and writes it again with the part.
    with Leases(results / LEASES).hold(f"publication-{suite.name}"):
        remove_scratch(results)
        target, replaced = results / suite.name, {place(spec) for spec in specs}
        part = any(chosen.values()) or bool(on)
        earlier = published_runs(suite, results) if (target / "runs.parquet").exists() else []
        kept = [record for record in earlier if place(record.spec) not in replaced]
        lost = [] if part else [record for record in kept if record.spec.device == CPU]
        if lost and not replacing:
            raise UsageError(
                f"suite '{suite.name}': {len(lost)} of {len(earlier)} runs under {target}/ are not of this suite, such "
                f"as {lost[0].spec.label}; --replace drops them, another --results leaves them"
            )
        kept = [record for record in kept if record not in lost]
        part = part and bool(earlier)
        # Nothing that is published here is stale; what is kept was published by the code of its day.
        report = replace(summary_of(suite, [*kept, *records], store), stale=frozenset())
        files = write_report(report, target, store.traces, part=part)
        return Published(len(records), len(kept), files)


def _refused(suite: Suite, count: int, specs: Sequence[RunSpec], why: str) -> UsageError:
    return UsageError(f"suite '{suite.name}': {count} of its {len(specs)} runs {why}")


def is_uncommitted(record: Record) -> bool:
    """A record or its policy was made by code that no revision holds."""
    return CHANGED in record.provenance.git_revision or CHANGED in record.policy_revision


def published_runs(suite: Suite, results: Path) -> list[Record]:
    """The records of a published suite.

    Raises:
        UsageError: nothing is published of it.
    """
    path = results / suite.name / "runs.parquet"
    if not path.exists():
        raise UsageError(f"suite '{suite.name}': nothing is published under {results / suite.name}/")
    return read_runs(path)
