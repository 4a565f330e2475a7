"""Learning curves: what each training had reached on the last four weeks of its training hours, by time and steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from accord.benchmark.figures.sweeps import Traces
from accord.benchmark.records.record import Record

RUN = ("suite", "scenario", "method", "variant", "seed")
POINT = ("steps", "seconds", "gap", "violation", "return")
TYPES = dict.fromkeys(RUN[:-1], "str") | {"seed": "int64"} | dict.fromkeys(POINT, "float64")


def curves_table(records: Sequence[Record], traces: Traces, earlier: Path | None = None) -> pd.DataFrame:
    """One row per run and point, columns `RUN` and `POINT`; blank where a scenario has no such number.

    Args:
        records: Runs.
        traces: A run's arrays, of which `curve_*` are read; empty without any.
        earlier: A table from before; runs whose arrays are not at hand keep their rows in it.
    """
    kept = read_curves(earlier).groupby(list(RUN)) if earlier is not None and earlier.exists() else None
    parts = []
    for record in records:
        spec = record.spec
        key = (spec.suite, spec.scenario, spec.method, spec.variant, spec.seed)
        arrays = traces(spec)
        if not arrays and kept is not None and key in kept.groups:
            parts.append(kept.get_group(key))
        elif "curve_steps" in arrays:
            points = {name: arrays[f"curve_{name}"] for name in POINT if f"curve_{name}" in arrays}
            parts.append(pd.DataFrame(dict(zip(RUN, key, strict=True)) | points))
    table = pd.concat(parts) if parts else pd.DataFrame()
    return table.reindex(columns=[*RUN, *POINT]).astype(TYPES).sort_values([*RUN, "steps"], ignore_index=True)


def read_curves(path: Path) -> pd.DataFrame:
    """A table as it was written; a variant without a name stays an empty word."""
    return pd.read_csv(path, dtype=TYPES, keep_default_na=False, na_values={name: [""] for name in POINT})
