"""Do published results come out again? Reruns them and compares every metric."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from accord.benchmark.evaluation.context import Value
from accord.benchmark.evaluation.metrics import METRICS
from accord.benchmark.records.provenance import provenance_here
from accord.benchmark.records.record import Record
from accord.benchmark.records.store import SCRATCH

# On other hardware a metric may leave the range of the published seeds by this share of its size.
TOLERANCE = 0.05
# Linear programmes and eigenvalues: their libraries pick instructions by the processor, finer than its name says.
ROUNDING = 1e-12
IDENTICAL, WITHIN, DIFFERENT = "identical", "within tolerance", "different"


@dataclass(frozen=True)
class Comparison:
    """One metric of one rerun.

    Attributes:
        metric: Its name.
        published: What `results/` says.
        again: What the rerun says.
        verdict: identical, within tolerance or different.
    """

    metric: str
    published: Value
    again: Value
    verdict: str


def compare(published: Record, again: Record, seeds: Sequence[Record]) -> list[Comparison]:
    """Every metric but those measured by the clock.

    Args:
        published: The published record.
        again: Its rerun.
        seeds: The published records of all seeds of this scenario, method and variant.
    """
    names = [name for name in published.metrics if name not in METRICS or not METRICS[name].clocked]
    rows = [Comparison("status", published.status, again.status, _same(published.status, again.status))]
    for name in names:
        before, after = published.metrics[name], again.metrics.get(name)
        verdict = _same(before, after)
        if verdict == DIFFERENT and _within([record.metrics.get(name) for record in seeds], after):
            verdict = WITHIN
        rows.append(Comparison(name, before, after, verdict))
    return rows


def reproduces(published: Record, again: Record, rows: Sequence[Comparison]) -> bool:
    """Identical in every metric, to rounding, on the same class of hardware; elsewhere none different."""
    worst = {row.verdict for row in rows}
    if published.provenance.same_class(again.provenance):
        return worst == {IDENTICAL}
    return DIFFERENT not in worst


def report_rerun(published: Record, again: Record, everything: Sequence[Record], console: Console) -> bool:
    """Print how a rerun compares and what differs; whether it reproduces.

    Args:
        published: The published record.
        again: Its rerun.
        everything: The published records of the suite, for the range of the seeds.
        console: Where to print.
    """
    spec = published.spec
    key = (spec.scenario, spec.method, spec.variant)
    seeds = [r for r in everything if (r.spec.scenario, r.spec.method, r.spec.variant) == key]
    rows = compare(published, again, seeds)
    held = reproduces(published, again, rows)
    counts = {
        verdict: sum(row.verdict == verdict for row in rows) for verdict in dict.fromkeys(row.verdict for row in rows)
    }
    words = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    console.print(f"{'ok' if held else 'NO'}  {spec.label}: {words}", markup=False, highlight=False, soft_wrap=True)
    for row in rows:
        if row.verdict != IDENTICAL and (row.verdict == DIFFERENT or not held):
            console.print(
                f"      {row.metric}: {row.published} published, {row.again} now: {row.verdict}",
                markup=False,
                soft_wrap=True,
            )
    return held


def rerun_folder() -> Path:
    """Reruns of one revision go on where they stopped; changed code never finds the reruns of another."""
    revision = provenance_here().git_revision
    folder = SCRATCH / "reproduce" / revision[:12]
    if not revision.isalnum() or revision == "unknown":
        folder = folder.with_name("changed")
        shutil.rmtree(folder, ignore_errors=True)
    return folder


def _same(before: Value, after: Value) -> str:
    if before == after or (_blank(before) and _blank(after)):
        return IDENTICAL
    if isinstance(before, float) and isinstance(after, float):
        return IDENTICAL if math.isclose(before, after, rel_tol=ROUNDING, abs_tol=ROUNDING) else DIFFERENT
    return DIFFERENT


def _blank(value: Value) -> bool:
    """Not measured; tables keep a NaN as a blank."""
    return value is None or value != value


def _within(published: Sequence[Value], after: Value) -> bool:
    numbers = [float(value) for value in published if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if not numbers or not isinstance(after, (int, float)) or isinstance(after, bool):
        return False
    slack = TOLERANCE * max(abs(value) for value in numbers)
    return min(numbers) - slack <= after <= max(numbers) + slack
