"""What a rollout means for each building: bill, delay and import, beside those of today's rule on the same hours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from accord.benchmark.evaluation.context import relative_change
from accord.benchmark.evaluation.evaluate import Evaluation
from accord.benchmark.evaluation.metrics import per_demand
from accord.envs.districts.citylearn_schema import read_dataset
from accord.envs.districts.named import FOLDER
from accord.envs.scenario import Scenario

FloatArray = npt.NDArray[np.float64]
TODAY, CHANGE = "_today", "_change"  # after a quantity's name
WAITING = "waiting"  # load still waiting at the end, kWh


@dataclass(frozen=True)
class Quantity:
    """One thing that is measured of every building, over the measured hours.

    Attributes:
        name: Of its columns; that of today's rule ends in `TODAY`, that of the change in `CHANGE`.
        unit: Of the number.
        change_unit: Of the change: percent of today's number, or the unit itself for a difference.
    """

    name: str
    unit: str
    change_unit: str = "%"


BILL, DELAY = Quantity("bill", "$"), Quantity("delay", "h", change_unit="h")
IMPORT, PEAK = Quantity("import", "kWh"), Quantity("peak", "kWh")
QUANTITIES = (BILL, DELAY, IMPORT, PEAK)


@dataclass(frozen=True)
class Buildings:
    """A run's results per building.

    Attributes:
        run: What was run, for titles.
        rule: Name of today's rule.
        hours: Measured hours.
        table: A row per building, those first whose bill (or else whose import) rises most. Columns: `building`; for
            each of `QUANTITIES` its number, today's and the change; `WAITING`. NaN where there is nothing to say.
        district: The same numbers of all buildings together; its peak is that of their sum.
        waiting_share: Load still waiting at the end, over the district's demand.
    """

    run: str
    rule: str
    hours: int
    table: pd.DataFrame
    district: pd.Series
    waiting_share: float

    @property
    def shown(self) -> tuple[Quantity, ...]:
        """The quantities that were measured: no bill without a tariff, no peak of very many buildings."""
        return tuple(quantity for quantity in QUANTITIES if self.table[quantity.name].notna().any())


def names_of(scenario: Scenario) -> list[str] | None:
    """Names of the buildings, [N]: those of the schema of a district of one's own, else their places from 1.

    None where agents are no buildings. Whichever simulator runs a district, policies for it are trained in its model.
    """
    name: str | None = getattr(scenario.trained_on, "district_name", None)
    if name is None:
        return None
    if name.startswith(FOLDER):
        return [building.name for building in read_dataset(name.removeprefix(FOLDER)).buildings]
    return [f"building {place}" for place in range(1, scenario.n_agents + 1)]


def beside_today(run: str, rule: str, names: Sequence[str], found: Evaluation, today: Evaluation) -> Buildings:
    """Compare a rollout with that of today's rule, building by building.

    Args:
        run: What was run, for titles.
        rule: Name of today's rule.
        names: Of the buildings, [N].
        found: The run's rollout.
        today: That of the rule, on the same hours.
    """
    numbers, before = _measured(found), _measured(today)
    columns: dict[str, FloatArray] = {}
    for quantity in QUANTITIES:
        now, then = numbers[quantity.name], before[quantity.name]
        change = now - then if quantity.change_unit == quantity.unit else _percent(now, then)
        columns |= {quantity.name: now, f"{quantity.name}{TODAY}": then, f"{quantity.name}{CHANGE}": change}
    every = pd.DataFrame({"building": [*names, ""], **columns, WAITING: numbers[WAITING]})
    table, district = every.iloc[:-1], every.iloc[-1]
    by = BILL if table[BILL.name].notna().any() else IMPORT
    ordered = table.sort_values(f"{by.name}{CHANGE}", ascending=False, kind="stable", ignore_index=True)
    demand = float(found.trajectory.sums["demand"].sum())
    return Buildings(run, rule, found.trajectory.hours, ordered, district, float(district[WAITING]) / demand)


def _measured(found: Evaluation) -> dict[str, FloatArray]:
    """Each quantity of every building, and of the district in the last place: [N + 1]."""
    sums, series, traces = found.trajectory.sums, found.trajectory.series, found.traces
    bill, used = _with_total(sums["bill"].numpy()), _with_total(sums["import_kwh"].numpy())
    waiting, demand = sums["waiting_load"], sums["demand"]
    delay, overall = per_demand(waiting, demand), per_demand(waiting.sum(), demand.sum())
    # Hours of very many buildings are not kept, and so their own peaks are not known.
    peaks = traces["import_kwh"].max(0) if "import_kwh" in traces else np.full(len(waiting), np.nan)
    final = found.trajectory.final_waiting
    assert final is not None
    return {
        BILL.name: bill if any(series["price"]) else np.full_like(bill, np.nan),
        DELAY.name: np.append(delay.numpy(), float(overall)),
        IMPORT.name: used,
        PEAK.name: np.append(peaks, max(series["import_kwh"])).astype(np.float64),
        WAITING: _with_total(final.clamp_min(0.0).numpy()),
    }


def _with_total(values: FloatArray) -> FloatArray:
    return np.append(values, values.sum())


def _percent(now: FloatArray, then: FloatArray) -> FloatArray:
    """Change in percent of the size of today's number; NaN where that is nothing to measure the other by."""
    pairs = zip(now.tolist(), then.tolist(), strict=True)
    changes = [relative_change(value, base, beside=value) for value, base in pairs]
    return np.array([np.nan if change is None else 100 * change for change in changes])
