"""From records to the two tables that are published: one row per run, and one row per method and scenario."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from accord.baselines.registry import METHODS, REFERENCES, make_method
from accord.benchmark.evaluation.context import Value
from accord.benchmark.evaluation.metrics import METRICS
from accord.benchmark.records.identity import Identity
from accord.benchmark.records.provenance import Provenance
from accord.benchmark.records.record import Record
from accord.benchmark.specs.run import RunSpec
from accord.benchmark.statistics import Estimate, estimate, probability_of_improvement, wilson_interval
from accord.envs.catalogue import is_episodic

# Every metric that is a number and so has an interquartile mean over seeds.
NUMBERS = tuple(name for name, entry in METRICS.items() if entry.is_number)
TABLE_COLUMNS = (
    *("suite", "scenario", "method", "variant", "n_agents", "seeds"),
    *("feasible_rate", "feasible_rate_low", "feasible_rate_high", "verdict", "oracle", "oracle_objective"),
    *(f"{name}{end}" for name in NUMBERS for end in ("", "_low", "_high")),
    *("sees", "locality"),
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
_BOOTSTRAP_SEED = 0


def runs_table(records: Iterable[Record]) -> pd.DataFrame:
    """One row per run: what it is, how it ended, every metric (blank where not measured), where it was made.

    Rows are in the order of names and seeds; columns and their types do not depend on the records, except
    that metrics this version does not know come last among the metrics.
    """
    rows = [record.row() for record in sorted(records, key=_order)]
    known = {*_NAMES, "seed", *_ENDED, *_ORIGIN, *_METRIC_TYPES}
    others = sorted({name for row in rows for name in row} - known)
    names = [*_NAMES, "seed", *_ENDED, *_METRIC_TYPES, *others, *_ORIGIN]
    types = dict.fromkeys(names, "string") | {"seed": "Int64"} | _METRIC_TYPES
    table = {name: [row.get(name) for row in rows] for name in names}
    return pd.DataFrame(
        {name: pd.Series(cells, dtype=None if name in others else types[name]) for name, cells in table.items()}
    )


def write_runs(records: Iterable[Record], path: Path) -> None:
    """Write the runs table as Parquet."""
    runs_table(records).to_parquet(path, index=False)


def read_runs(path: Path) -> list[Record]:
    """The records behind a published runs table; a metric that is blank there is None."""
    table = pd.read_parquet(path)
    fixed = {*_NAMES, "seed", *_ENDED, *_ORIGIN}
    metrics = [name for name in table.columns if name not in fixed]
    return [_record(row, metrics) for row in table.astype(object).to_dict("records")]


def leaderboard(records: Sequence[Record], locality: Locality | None = None) -> pd.DataFrame:
    """One row per scenario, method and variant, best first within a scenario; columns `TABLE_COLUMNS`.

    Metrics are interquartile means over seeds with 95 % bootstrap intervals, rates have Wilson intervals;
    with three seeds or fewer the interval's ends are blank.

    Args:
        records: Runs, whatever way they ended.
        locality: What the audit says of a (method, variant).
    """
    with_budgets = {r.spec.scenario for r in records if r.metrics.get("feasible") is not None}
    rows = [_row(group, locality or {}, with_budgets) for group in groups(records).values()]
    words = (*_NAMES, "verdict", "oracle", "sees", "locality")
    types = (
        dict.fromkeys(TABLE_COLUMNS, "float64") | dict.fromkeys(words, "str") | {"seeds": "int64", "n_agents": "Int64"}
    )
    return _best_first(pd.DataFrame(rows, columns=list(TABLE_COLUMNS)).astype(types))


def groups(records: Iterable[Record]) -> dict[tuple[str, str, str, str], list[Record]]:
    """The records of all seeds by suite, scenario, method and variant, in the order of seeds."""
    found: dict[tuple[str, str, str, str], list[Record]] = {}
    for record in sorted(records, key=_order):
        spec = record.spec
        found.setdefault((spec.suite, spec.scenario, spec.method, spec.variant), []).append(record)
    return found


def improvements(records: Sequence[Record], subject: str) -> pd.DataFrame:
    """Probability that a seed of `subject` does better than a seed of another method, one row per scenario and pair.

    The lower objective is better and any feasible run beats any infeasible one, or, in an episodic scenario,
    the higher return is better; ties count half. A variant of the subject is compared with the same variant of
    others and with their defaults, its default with everything. Three seeds or fewer claim no interval.
    """
    found = groups(records)
    rows = []
    for (suite, scenario, method, variant), own in found.items():
        others = {key: group for key, group in found.items() if key[:2] == (suite, scenario) and key[2] != method}
        for (*_, other, other_variant), group in others.items():
            if method != subject or other in REFERENCES or (variant and other_variant not in (variant, "")):
                continue
            estimate = probability_of_improvement(_scores(own), _scores(group), _BOOTSTRAP_SEED)
            names = (suite, scenario, method, variant, other, other_variant)
            rows.append((*names, len(own), len(group), estimate.value, estimate.low, estimate.high))
    columns = ("suite", "scenario", "method", "variant", "over", "over_variant", "seeds", "over_seeds")
    return pd.DataFrame(rows, columns=[*columns, "probability", "probability_low", "probability_high"])


def _scores(records: Sequence[Record]) -> list[float]:
    """One number per run, more is better: the return, or the objective with its sign turned; else minus infinity."""
    return [_score(record) for record in records]


def _score(record: Record) -> float:
    if is_episodic(record.spec.scenario):
        value = number(record.metrics.get("episode_return"))
        return -math.inf if value is None else value
    value = number(record.metrics.get("objective"))
    return -value if record.metrics.get("feasible") is True and value is not None else -math.inf


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
    known = entry.method.config_type.model_fields.keys() - entry.implied.keys()
    own = {name: value for name, value in (settings or {}).items() if name in known}
    together = make_method(method, own).centralised_training
    return f"{entry.sees}; trained {'together' if together else 'alone'}"


def number(value: Value) -> float | None:
    """A metric's value as a float; None where it was not measured or is not a number."""
    return None if value is None or isinstance(value, str) or value != value else float(value)


def _row(group: Sequence[Record], locality: Locality, with_budgets: set[str]) -> dict[str, Any]:
    spec, n = group[0].spec, len(group)
    rate = Estimate(None)
    if spec.scenario in with_budgets:
        successes = sum(record.metrics.get("feasible") is True for record in group)
        rate = Estimate(successes / n, *(wilson_interval(successes, n) or (None, None)))
    cells: dict[str, Any] = {
        **{"suite": spec.suite, "scenario": spec.scenario, "method": spec.method, "variant": spec.variant},
        **{"n_agents": _first(group, "n_agents"), "seeds": n, "verdict": verdict_over_seeds(group)},
        **_columns("feasible_rate", rate),
        **{"oracle": _first(group, "oracle"), "oracle_objective": _first(group, "oracle_objective")},
        **{"sees": what_it_sees(spec.method, spec.config), "locality": locality.get((spec.method, spec.variant), "")},
    }
    for name in NUMBERS:
        values = [number(record.metrics.get(name)) for record in group]
        cells |= _columns(name, estimate(values, _BOOTSTRAP_SEED))
    return cells


def _columns(name: str, found: Estimate) -> dict[str, float | None]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def _first(group: Sequence[Record], name: str) -> Value:
    return next((record.metrics[name] for record in group if record.metrics.get(name) is not None), None)


def _best_first(table: pd.DataFrame) -> pd.DataFrame:
    """References first, then by feasible rate, then by objective or return; the order of names decides what is left."""
    episodic = table["scenario"].map(is_episodic).astype(bool)
    keys = {
        "suite": table["suite"],
        "scenario": table["scenario"],
        "reference": ~table["method"].isin(list(REFERENCES)),
        "rate": -table["feasible_rate"],
        "objective": table["objective"].where(~episodic, -table["episode_return"]),
    }
    order = pd.DataFrame(keys).sort_values(list(keys), kind="stable").index
    return table.loc[order].reset_index(drop=True)


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


def _order(record: Record) -> tuple[str, str, str, str, int]:
    spec = record.spec
    return spec.suite, spec.scenario, spec.method, spec.variant, spec.seed
