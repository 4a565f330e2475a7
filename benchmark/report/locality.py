"""What the audit of locality says of the methods whose runs a report shows."""

from __future__ import annotations

from collections.abc import Sequence

from accord.baselines.audit import SCENARIO, audit_method
from accord.baselines.registry import METHODS
from accord.benchmark.records.record import Record
from accord.envs.catalogue import resolve


def audit_records(records: Sequence[Record]) -> dict[tuple[str, str], str]:
    """What the audit says of each method and variant that ran, untrained but with the settings of its run.

    It is done where the scenarios of the runs ask for it (`Scenario.audited_at`), and in a district otherwise.
    """
    ran = {
        (record.spec.method, record.spec.variant): record.spec
        for record in records
        if record.status != "failed" and record.spec.method in METHODS
    }
    found = {}
    for (method, variant), spec in ran.items():
        own = {key: value for key, value in spec.config.items() if key not in METHODS[method].implied}
        try:
            found[method, variant] = audit_method(method, own, resolve(spec.scenario).audited_at or SCENARIO).verdict
        except Exception as fault:  # a method need not be able to act in the audit's district
            why = " ".join(str(fault).split()) or type(fault).__name__
            found[method, variant] = f"not audited: {why}"
    return found
