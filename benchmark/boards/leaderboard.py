"""From records to the two tables that are published: one row per run, and one row per method and scenario."""

from __future__ import annotations

import io
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from accord.baselines.audit import CENTRAL, NEIGHBOURS
from accord.baselines.base import Method
from accord.baselines.registry import METHODS, REFERENCES, make_method
from accord.benchmark.evaluation.context import Value
from accord.benchmark.evaluation.metrics import METRICS
from accord.benchmark.records.files import RESTORE, reading
from accord.benchmark.records.provenance import Provenance
from accord.benchmark.records.published import read_published, write_published
from accord.benchmark.records.record import Record, names_and_seed
from accord.benchmark.records.setups import Key, groups
from accord.benchmark.specs.resolved import Identity
from accord.benchmark.specs.run import RunSpec
from accord.benchmark.statistics import Estimate, estimate, rate
from accord.envs.catalogue import is_episodic

# Every metric that is a number and so has a median over seeds.
NUMBERS = tuple(name for name, entry in METRICS.items() if entry.is_number)
WORST = ("optimality_gap", "violation", "episode_return")  # whose worst seed is named
TABLE_COLUMNS = (
    *("suite", "scenario", "method", "variant", "n_agents", "seeds"),
    *("feasible_rate", "feasible_rate_low", "feasible_rate_high", "verdict", "oracle", "oracle_objective"),
    *(f"{name}{end}" for name in NUMBERS for end in ("", "_low", "_high")),
    *("sees", "needs", "locality", "setup", "trainings", "steps"),
    *(f"{name}_worst" for name in WORST),
)
VERDICTS = ("feasible", "violates", "postpones", "both", "infeasible", "failed", "out of time", "out of memory")

Locality = Mapping[tuple[str, str], str]

_NAMES = ("suite", "scenario", "method", "variant")
_ENDED = ("status", "error")
_ORIGIN = (
    *("run", "policy", "policy_revision", "identity", "spec", "git_revision", "data_digest", "cpu", "gpu"),
    "provenance",
)
_METRIC_TYPES = {
    **dict.fromkeys(METRICS, "Float64"),
    **{name: "string" for name, entry in METRICS.items() if entry.unit == ""},
    **{name: "boolean" for name, entry in METRICS.items() if entry.unit == "bool"},
    **{"n_agents": "Int64", "oracle": "string", "oracle_objective": "Float64"},
}


def runs_table(records: Iterable[Record]) -> pd.DataFrame:
    """One row per run: what it is, how it ended, every metric (blank where not measured), where it was made.

    Rows are in the order of names and seeds; columns and their types do not depend on the records, except
    that metrics this version does not know come last among the metrics.
    """
    rows = [record.row() for record in sorted(records, key=names_and_seed)]
    known = {*_NAMES, "seed", *_ENDED, *_ORIGIN, *_METRIC_TYPES}
    others = sorted({name for row in rows for name in row} - known)
    names = [*_NAMES, "seed", *_ENDED, *_METRIC_TYPES, *others, *_ORIGIN]
    types = dict.fromkeys(names, "string") | {"seed": "Int64"} | _METRIC_TYPES
    table = {name: [row.get(name) for row in rows] for name in names}
    return pd.DataFrame(
        {name: pd.Series(cells, dtype=None if name in others else types[name]) for name, cells in table.items()}
    )


def write_runs(records: Iterable[Record], path: Path) -> None:
    """Write the runs table as Parquet, complete or as before, and its digest."""
    write_published(path.parent, {path.name: runs_table(records).to_parquet(index=False)})


def read_runs(path: Path) -> list[Record]:
    """The records behind a published runs table; a metric that is blank there is None.

    Raises:
        UsageError: the file cannot be read, or is not what was published.
    """
    with reading(path, RESTORE):
        table = pd.read_parquet(io.BytesIO(read_published(path)))
        fixed = {*_NAMES, "seed", *_ENDED, *_ORIGIN}
        metrics = [name for name in table.columns if name not in fixed]
        return [_record(row, metrics) for row in table.astype(object).to_dict("records")]


def leaderboard(records: Sequence[Record], locality: Locality | None = None) -> pd.DataFrame:
    """One row per scenario, method, variant and set-up, best first within a scenario; columns `TABLE_COLUMNS`.

    Metrics are medians over seeds with the intervals of `estimate`, whose ends are blank with four seeds or fewer; the
    feasible rate has the interval of `rate`. `setup` says what tells a row from others of the same names. `trainings`
    counts the policies behind its runs, 0 where nothing is learned, and `steps` are the agent-steps of each, blank
    where nothing is learned. `NAME_worst` is the worst seed's value of a metric.

    Args:
        records: Runs, whatever way they ended.
        locality: What the audit says of a (method, variant).
    """
    with_budgets = {r.spec.scenario for r in records if r.metrics.get("feasible") is not None}
    rows = [_row(key, group, locality or {}, with_budgets) for key, group in groups(records).items()]
    rows.sort(key=lambda row: (row["suite"], row["scenario"], standing(row)))
    words = (*_NAMES, "verdict", "oracle", "sees", "needs", "locality", "setup")
    types = dict.fromkeys(TABLE_COLUMNS, "float64") | dict.fromkeys(words, "str")
    types |= {"seeds": "int64", "trainings": "int64", "n_agents": "Int64", "steps": "Int64"}
    return pd.DataFrame(rows, columns=list(TABLE_COLUMNS)).astype(types)


def standing(row: Mapping[Any, Any]) -> tuple[bool, float, float]:
    """What rows of a scenario are ordered by: references first, then by feasible rate, then by objective or return."""
    episodic = is_episodic(row["scenario"])
    rate, value = number(row["feasible_rate"]), number(row["episode_return" if episodic else "objective"])
    last = math.inf
    reached = last if value is None else -value if episodic else value
    return row["method"] not in REFERENCES, last if rate is None else -rate, reached


def worst(name: str, records: Sequence[Record]) -> tuple[float, list[int]] | None:
    """A metric's worst value over runs and the seeds that have it; None where nothing was measured."""
    values = {record.spec.seed: number(record.metrics.get(name)) for record in records}
    known = {seed: value for seed, value in values.items() if value is not None}
    if not known:
        return None
    found = (min if METRICS[name].better == "high" else max)(known.values())
    return found, [seed for seed, value in known.items() if value == found]


def verdict_over_seeds(records: Sequence[Record]) -> str:
    """How many runs were what: `feasible 4/5, postpones 1/5`; without numbers where all agree on one run.

    A run that hit a limit counts twice: for what it reached, and as `out of time` or `out of memory`.
    """
    words = [str(record.metrics["verdict"]) for record in records if record.metrics.get("verdict")]
    words += [record.status for record in records if record.status != "done"]
    counts = Counter(words)
    if len(records) == 1:
        return ", ".join(word for word in VERDICTS if counts[word])
    return ", ".join(f"{word} {counts[word]}/{len(records)}" for word in VERDICTS if counts[word])


def what_it_sees(method: str, settings: Mapping[str, Any] | None = None) -> str:
    """What a method may look at, in execution and, with these settings, in training; empty if it is not registered."""
    if method in REFERENCES:
        return REFERENCES[method].summary
    if method not in METHODS:
        return ""
    entry = METHODS[method]
    if not entry.method.learns:
        return entry.sees
    together = _made(method, settings or {}).centralised_training
    return f"{entry.sees}; trained {'together' if together else 'alone'}"


def what_it_needs(spec: RunSpec, locality: str) -> str:
    """What a method needs beside one's own meter: a model, foresight, a centre, messages; empty if nothing is known.

    Args:
        spec: A run of it.
        locality: What the audit says.
    """
    if spec.method in REFERENCES:
        return ", ".join(REFERENCES[spec.method].needs)
    known = list(_made(spec.method, spec.config).needs) if spec.method in METHODS else []
    ways = {CENTRAL: ["centre"], NEIGHBOURS: ["messages"]}
    return ", ".join([*known, *ways.get(locality.split(",")[0], [])])


def _made(method: str, settings: Mapping[str, Any]) -> Method:
    """A method with those of the settings that it still knows."""
    entry = METHODS[method]
    known = entry.method.config_type.model_fields.keys() - entry.implied.keys()
    return make_method(method, {name: value for name, value in settings.items() if name in known})


def number(value: Value) -> float | None:
    """A metric's value as a float; None where it was not measured or is not a number."""
    return None if value is None or isinstance(value, str) or value != value else float(value)


def _row(key: Key, group: Sequence[Record], locality: Locality, with_budgets: set[str]) -> dict[str, Any]:
    spec, n = group[0].spec, len(group)
    successes = sum(record.metrics.get("feasible") is True for record in group)
    found = {name: worst(name, group) for name in WORST}
    audited = locality.get((spec.method, spec.variant), "")
    cells: dict[str, Any] = {
        **dict(zip((*_NAMES, "setup"), key, strict=True)),
        **{"n_agents": _first(group, "n_agents"), "seeds": n, "verdict": verdict_over_seeds(group)},
        **_columns("feasible_rate", rate(successes, n) if spec.scenario in with_budgets else Estimate(None)),
        **{"oracle": _first(group, "oracle"), "oracle_objective": _first(group, "oracle_objective")},
        **{"sees": what_it_sees(spec.method, spec.config), "needs": what_it_needs(spec, audited), "locality": audited},
        "trainings": len({record.policy_name or record.policy for record in group if record.policy}),
        "steps": None if spec.effort is None else spec.effort.steps,
        **{f"{name}_worst": pair and pair[0] for name, pair in found.items()},
    }
    for name in NUMBERS:
        cells |= _columns(name, estimate([number(record.metrics.get(name)) for record in group]))
    return cells


def _columns(name: str, found: Estimate) -> dict[str, float | None]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def _first(group: Sequence[Record], name: str) -> Value:
    return next((record.metrics[name] for record in group if record.metrics.get(name) is not None), None)


def _record(row: Mapping[Any, Any], metrics: Sequence[str]) -> Record:
    return Record(
        spec=RunSpec(**json.loads(row["spec"])),
        status=row["status"],
        error=row["error"],
        metrics={name: None if pd.isna(row[name]) else row[name] for name in metrics},
        provenance=Provenance(**json.loads(row["provenance"])),
        policy=row["policy"],
        policy_revision=str(row.get("policy_revision") or ""),
        identity=Identity.model_validate_json(row["identity"]) if row.get("identity") else None,
    )
