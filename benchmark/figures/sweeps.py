"""Which runs a suite's figures show: one network per district, one variant, the lowest seed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accord.baselines.registry import REFERENCES
from accord.benchmark.evaluation.context import Context
from accord.benchmark.evaluation.trajectory import DAY
from accord.benchmark.records.record import Record
from accord.benchmark.specs.run import RunSpec
from accord.envs.catalogue import resolve_district
from accord.envs.demand_response.budgets import parse_budget
from accord.envs.demand_response.scenario import DistrictScenario
from accord.envs.errors import UsageError

NETWORK = "two_groups"  # preferred where a suite has several
PANELS = ("consensus-gossip", "consensus-independent")  # preferred, side by side
VARIANT = "equal_steps"  # preferred: the protocol closest to the paper's

Array = NDArray[np.float64]
Traces = Callable[[RunSpec], dict[str, np.ndarray]]
Contexts = Callable[[str], Context | None]


@dataclass(frozen=True)
class Run:
    """One run with what is drawn of it."""

    spec: RunSpec
    scenario: DistrictScenario
    context: Context | None
    arrays: dict[str, np.ndarray]

    def daily(self, name: str) -> Array:
        """Means over whole days of an hourly array, [days, ...]."""
        values = self.arrays[name]
        days = len(values) // DAY
        return np.asarray(values[: days * DAY].reshape(days, DAY, *values.shape[1:]).mean(1), dtype=np.float64)

    @property
    def peak(self) -> float:
        """Uncontrolled peak, kWh."""
        return self.scenario.district.demand_peak


@dataclass(frozen=True)
class Sweep:
    """The scenarios of one district, network and kind of budget, which differ in the level alone.

    Attributes:
        name: For file names.
        title: For people.
        runs: Of all methods and levels, one seed of one variant each.
        whole: No run is left out for want of its arrays.
    """

    name: str
    title: str
    runs: tuple[Run, ...]
    whole: bool

    @property
    def levels(self) -> list[float]:
        """Fractions of the uncontrolled peak, ascending."""
        return sorted({run.scenario.level for run in self.runs})

    @property
    def shown_level(self) -> float:
        """The tightest level that can be met, for figures of a single one."""
        met = [r.scenario.level for r in self.runs if r.context is not None and r.context.oracle == "feasible"]
        return min(met, default=self.levels[0])

    def title_at(self, level: float) -> str:
        """For figures of a single level."""
        return f"{self.title}, level {percent(level)} %"

    def of(self, method: str) -> list[Run]:
        """A method's runs, by level."""
        return sorted((r for r in self.runs if r.spec.method == method), key=lambda run: run.scenario.level)

    def panels(self, array: str) -> list[str]:
        """Two methods whose runs have an array, the preferred ones first."""
        found = sorted({run.spec.method for run in self.runs if array in run.arrays})
        return [*(m for m in PANELS if m in found), *(m for m in found if m not in PANELS)][:2]


def find_sweeps(records: Sequence[Record], traces: Traces, contexts: Contexts) -> list[Sweep]:
    """The sweeps that can be drawn, by name: one network per district, one variant, the lowest seed."""
    found: dict[tuple[str, str], list[tuple[RunSpec, DistrictScenario]]] = {}
    for record in records:
        scenario = _scenario(record)
        if scenario is not None and record.status in ("done", "out of time"):
            key = scenario.district_name, parse_budget(scenario.budget_name).kind
            found.setdefault(key, []).append((record.spec, scenario))
    sweeps = []
    for (district, kind), pairs in sorted(found.items()):
        network = _preferred(NETWORK, {scenario.network_name for _, scenario in pairs})
        pairs = [(spec, scenario) for spec, scenario in pairs if scenario.network_name == network]
        variant = _preferred(VARIANT, {spec.variant for spec, _ in pairs})
        chosen = _one_of_each(pairs, variant, traces, contexts)
        runs = tuple(run for run in chosen if "district_import_kwh" in run.arrays)
        if runs:
            seeds = sorted({run.spec.seed for run in runs})
            words = [f"{kind} budgets", *([variant] if variant else []), f"seed {', '.join(map(str, seeds))}"]
            name = re.sub(r"[^\w.-]+", "_", f"{district}-{network}-{kind}")
            whole = all(run.arrays for run in chosen if run.spec.method not in REFERENCES)
            sweeps.append(Sweep(name, f"{district}/{network}\n{', '.join(words)}", runs, whole))
    return sweeps


def percent(level: float) -> str:
    """A fraction of the uncontrolled peak, in percent."""
    return f"{100 * level:.3g}"


def _one_of_each(
    pairs: Sequence[tuple[RunSpec, DistrictScenario]], variant: str, traces: Traces, contexts: Contexts
) -> list[Run]:
    """The lowest seed of every scenario and method in a variant; a method without that variant in its default."""
    chosen: dict[tuple[str, str], tuple[RunSpec, DistrictScenario]] = {}
    for spec, scenario in sorted(pairs, key=lambda pair: (pair[0].variant != variant, pair[0].seed)):
        if spec.variant in (variant, ""):
            chosen.setdefault((spec.scenario, spec.method), (spec, scenario))
    return [
        Run(spec, scenario, contexts(spec.scenario), traces(spec)) for _, (spec, scenario) in sorted(chosen.items())
    ]


def _scenario(record: Record) -> DistrictScenario | None:
    try:
        return resolve_district(record.spec.scenario)
    except UsageError:  # not a district's address, or its files are elsewhere
        return None


def _preferred(name: str, names: set[str]) -> str:
    return name if name in names else min(names)
