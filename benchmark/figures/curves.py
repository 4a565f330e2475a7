"""Learning curves: what each training had reached on the last four weeks of its training hours, by time and steps."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from accord.benchmark.figures.sweeps import Traces
from accord.benchmark.records.files import RESTORE, reading
from accord.benchmark.records.published import read_published
from accord.benchmark.records.record import Record
from accord.benchmark.records.setups import groups

RUN = ("suite", "scenario", "method", "variant", "seed")
POINT = ("steps", "seconds", "gap", "violation", "return")
SETUP = "setup"  # what tells a run from others of the same names, see `groups`
TYPES = dict.fromkeys((*RUN[:-1], SETUP), "str") | {"seed": "int64"} | dict.fromkeys(POINT, "float64")


def curves_table(records: Sequence[Record], traces: Traces, earlier: Path | None = None) -> pd.DataFrame:
    """One row per run and point, columns `RUN`, `POINT` and `SETUP`; blank where a scenario has no such number.

    Args:
        records: Runs.
        traces: A run's arrays, of which `curve_*` are read; empty without any.
        earlier: A table from before; runs whose arrays are not at hand keep their rows in it.
    """
    names = [*RUN, SETUP]
    kept = read_curves(earlier).groupby(names) if earlier is not None and earlier.exists() else None
    parts = []
    for (*place, setup), group in groups(records).items():
        for record in group:
            key = (*place, record.spec.seed, setup)
            arrays = traces(record.spec)
            if not arrays and kept is not None and key in kept.groups:
                parts.append(kept.get_group(key))
            elif "curve_steps" in arrays:
                points = {name: arrays[f"curve_{name}"] for name in POINT if f"curve_{name}" in arrays}
                parts.append(pd.DataFrame(dict(zip(names, key, strict=True)) | points))
    table = pd.concat(parts) if parts else pd.DataFrame()
    table = table.reindex(columns=[*RUN, *POINT, SETUP]).astype(TYPES)
    return table.sort_values([*RUN, SETUP, "steps"], ignore_index=True)


def read_curves(path: Path) -> pd.DataFrame:
    """A table as it was written; names without a word stay empty, and so do set-ups where there is no such column.

    Raises:
        UsageError: the file cannot be read, or is not what was published.
    """
    with reading(path, RESTORE):
        text = io.BytesIO(read_published(path))
        table = pd.read_csv(text, dtype=TYPES, keep_default_na=False, na_values={name: [""] for name in POINT})
    return table if SETUP in table else table.assign(**{SETUP: ""})
