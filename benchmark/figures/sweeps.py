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
from accord.benchmark.figures.styles import is_own
from accord.benchmark.records.record import Record
from accord.benchmark.specs.run import RunSpec
from accord.envs.catalogue import resolve_district
from accord.envs.demand_response.budgets import TARIFF, parse_budget
from accord.envs.demand_response.scenario import DistrictScenario
from accord.envs.errors import UsageError

NETWORK = "two_groups"  # preferred where a suite has several
PANELS = ("consensus-gossip", "consensus-independent")  # preferred, side by side
VARIANT = "equal_steps"  # preferred: the protocol closest to the paper's

CHANGED = {"": "", TARIFF: "tariff changed"}  # what a change of that name is called in titles

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
    """The scenarios of one district, network, kind of budget and change, which differ in the level alone.

    Attributes:
        name: For file names.
        title: For people.
        runs: Of all methods and levels, one seed of one variant each; those whose arrays are at hand.
        whole: No run is left out for want of its arrays.
        weeks: Whole weeks that are measured.
    """

    name: str
    title: str
    runs: tuple[Run, ...]
    whole: bool
    weeks: int

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
        """Two methods whose runs have an array, the preferred ones first, and every other one that is a user's own."""
        found = sorted({run.spec.method for run in self.runs if array in run.arrays})
        first = [*(m for m in PANELS if m in found), *(m for m in found if m not in PANELS and not is_own(m))][:2]
        return [*first, *filter(is_own, found)]


def find_sweeps(records: Sequence[Record], traces: Traces, contexts: Contexts) -> list[Sweep]:
    """The sweeps of records, by name: one network per district, one variant, the lowest seed."""
    found: dict[tuple[str, str, str], list[tuple[RunSpec, DistrictScenario]]] = {}
    for record in records:
        scenario = district_of(record.spec.scenario)
        if scenario is not None and record.status in ("done", "out of time"):
            budget = parse_budget(scenario.budget_name)
            key = scenario.district_name, budget.kind, budget.change
            found.setdefault(key, []).append((record.spec, scenario))
    sweeps = []
    for (district, kind, change), pairs in sorted(found.items()):
        network = preferred(NETWORK, {scenario.network_name for _, scenario in pairs})
        pairs = [(spec, scenario) for spec, scenario in pairs if scenario.network_name == network]
        variant = preferred(VARIANT, {spec.variant for spec, _ in pairs})
        chosen = _one_of_each(pairs, variant, traces, contexts)
        runs = tuple(run for run in chosen if "district_import_kwh" in run.arrays)
        seeds = ", ".join(map(str, sorted({run.spec.seed for run in chosen})))
        words = [f"{kind} budgets", CHANGED.get(change, f"changed to {change}"), variant, f"seed {seeds}"]
        title = f"{district}/{network}\n{', '.join(word for word in words if word)}"
        name = re.sub(r"[^\w.-]+", "_", f"{district}-{network}-{kind}{change and '-'}{change}")
        whole = all(run.arrays for run in chosen if run.spec.method not in REFERENCES)
        weeks = min(_hours(run.scenario) for run in chosen) // (7 * DAY)
        sweeps.append(Sweep(name, title, runs, whole, weeks))
    return sweeps


def district_of(address: str) -> DistrictScenario | None:
    """The scenario of a district's address; None for any other, and where its files are elsewhere."""
    try:
        return resolve_district(address)
    except UsageError:
        return None


def hour_of_day(scenario: DistrictScenario, hours: int) -> NDArray[np.int64]:
    """Of each measured hour, [T]."""
    first = int(scenario.district.hour[scenario.district.measured[0]])
    return (first + np.arange(hours)) % DAY


def preferred(name: str, names: set[str]) -> str:
    """A name if it is among others, else the first of these in the alphabet."""
    return name if name in names else min(names)


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


def _hours(scenario: DistrictScenario) -> int:
    first, last = scenario.protocol.measured
    return last - first
