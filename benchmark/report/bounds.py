"""What theory says that no run can do: whoever sees it done has found a mistake in the code."""

from __future__ import annotations

from collections.abc import Sequence

from accord.benchmark.records.record import Record

LEDGER_ERROR = 1e-6  # what float32 may leave of a ledger that is exact
ROUNDING = 1e-6  # mean prices, and shares of a budget
BOUNDED = {"consensus_error": "consensus_error_bound", "violation": "violation_bound"}


def broken_bounds(records: Sequence[Record]) -> list[str]:
    """A line for every bound that a run passes and every ledger that does not add up; see `multiplier_metrics`."""
    lines = []
    for record in records:
        summary = record.summary
        error = summary.get("ledger_error")
        if isinstance(error, float) and not error <= LEDGER_ERROR:
            lines.append(f"{record.spec.label}: the ledger of violation is {error:.2g} off; allowed: {LEDGER_ERROR:g}")
        for measured, bound in BOUNDED.items():
            value, most = summary.get(measured), summary.get(bound)
            if isinstance(value, float) and isinstance(most, float) and not value <= most * (1 + ROUNDING) + ROUNDING:
                lines.append(f"{record.spec.label}: {measured} {value:.6g} is above {bound} {most:.6g}")
    return lines
