"""Results per building as tables: a bounded one to look at, and all numbers as CSV."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from accord.benchmark.evaluation.buildings import BILL, CHANGE, DELAY, PEAK, TODAY, WAITING, Buildings, Quantity
from accord.benchmark.evaluation.metric import BLANK
from accord.benchmark.evaluation.trajectory import TRACED_AGENTS
from accord.benchmark.markdown import markdown_table

MOST_ROWS = 40  # of a table to look at: the first and the last half of them
DIGITS = 4  # of the largest number of a column, or all before its point
UNITS = {"$": "usd", "%": "percent"}  # in names of CSV columns
WHOLE = "district"


def headings(found: Buildings) -> list[str]:
    """Of the columns of `rows`, with units."""
    return ["building", *(_heading(quantity, end) for quantity, end in _columns(found)), "waits (kWh)"]


def rows(found: Buildings) -> list[list[str]]:
    """A row per building and one of the district; of very many buildings the first and the last ones."""
    half = MOST_ROWS // 2
    table = found.table
    parts = [table] if len(table) <= MOST_ROWS else [table.head(half), table.tail(half)]
    shown = [row for part in parts for row in part.to_dict("records")]
    shown.append({**found.district.to_dict(), "building": WHOLE})
    decimals = {name: _decimals(table[name]) for name in (*(quantity.name for quantity in found.shown), WAITING)}
    return [[str(row["building"]), *_numbers(found, row, decimals)] for row in shown]


def markdown(found: Buildings) -> str:
    """The table of `rows` with what stands above and below it; numbers line up as plain text too."""
    texts = rows(found)
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    aligned = [[row[0], *map(str.rjust, row[1:], widths[1:])] for row in texts]
    return "\n\n".join([" ".join(opening(found)), markdown_table(headings(found), aligned), " ".join(notes(found))])


def opening(found: Buildings) -> list[str]:
    """What stands above the table: a sentence each."""
    first = "bill" if BILL in found.shown else "import"
    said = [
        f"{found.run}.",
        f"{found.hours:,} measured hours. Changes are against today's rule, {found.rule}, on the same hours; the "
        f"building whose {first} rises most comes first.",
    ]
    if DELAY in found.shown and not _delays_change(found):
        said.append(f"{found.rule} delays nothing, so the delay is its own change.")
    return said


def notes(found: Buildings) -> list[str]:
    """What stands below it: what is left out, and why."""
    left_out, said = len(found.table) - MOST_ROWS, []
    if left_out > 0:
        said.append(f"{left_out:,} of {len(found.table):,} buildings between these are left out; all: --format csv.")
    if BILL in found.shown:
        said.append("Bill: price times import of the measured hours; what waits at their end is in no bill.")
    else:
        said.append("No bill: this district has no tariff, every price is 0.")
    said.append(
        "Delay: mean waiting load over mean demand. Waits: load that still waits at the end, "
        f"{100 * found.waiting_share:.1f} % of the district's demand."
    )
    said.append(_of_peaks(found))
    if found.table[[f"{quantity.name}{CHANGE}" for quantity in found.shown]].isna().to_numpy().any():
        said.append(f"{BLANK}: today's number is near 0, so a share of it would say nothing.")
    return said


def csv(found: Buildings) -> str:
    """Every building and every number, also today's; then the district."""
    every = pd.concat([found.table, found.district.to_frame().T.assign(building=WHOLE)], ignore_index=True)
    names = {"building": "building", WAITING: f"{WAITING}_kwh"}
    for quantity in found.shown:
        names |= {f"{quantity.name}{end}": _csv_name(quantity, end) for end in ("", TODAY, CHANGE)}
    return every[[name for name in every.columns if name in names]].rename(columns=names).to_csv(index=False)


def _of_peaks(found: Buildings) -> str:
    if PEAK in found.shown:
        return "Peak: highest hour of import; the district's, of its sum."
    peak, change = (float(found.district[f"{PEAK.name}{end}"]) for end in ("", CHANGE))
    return (
        f"The district's peak: {peak:,.0f} kWh ({_signed(change, 1)} %); those of buildings are not known, since hours "
        f"are kept up to {TRACED_AGENTS:,} buildings."
    )


def _columns(found: Buildings) -> Iterator[tuple[Quantity, str]]:
    """What is shown of each quantity: the number and its change, where that says something else."""
    for quantity in found.shown:
        yield quantity, ""
        if quantity is not DELAY or _delays_change(found):
            yield quantity, CHANGE


def _delays_change(found: Buildings) -> bool:
    """Today's rule delays something itself, so that a delay is not its own change."""
    return bool((found.table[f"{DELAY.name}{TODAY}"] > 0).any())


def _heading(quantity: Quantity, end: str) -> str:
    unit = quantity.change_unit if end == CHANGE else quantity.unit
    return f"{quantity.name} {end.strip('_')} ({unit})".replace("  ", " ")


def _csv_name(quantity: Quantity, end: str) -> str:
    unit = quantity.change_unit if end == CHANGE else quantity.unit
    return f"{quantity.name}{end}_{UNITS.get(unit, unit).lower()}"


def _numbers(found: Buildings, row: Mapping[Any, Any], decimals: Mapping[str, int]) -> Iterator[str]:
    for quantity, end in _columns(found):
        value = float(row[f"{quantity.name}{end}"])
        if math.isnan(value):
            yield BLANK
        elif end == CHANGE:
            yield _signed(value, 1 if quantity.change_unit == "%" else decimals[quantity.name])
        else:
            yield f"{value:,.{decimals[quantity.name]}f}"
    yield f"{row[WAITING]:,.{decimals[WAITING]}f}"


def _signed(value: float, decimals: int) -> str:
    text = f"{value:+,.{decimals}f}"
    return text.lstrip("+-") if float(text.replace(",", "")) == 0 else text


def _decimals(values: pd.Series) -> int:
    """So many that the largest number has `DIGITS` digits."""
    largest = float(values.abs().max())
    whole = 1 if not largest >= 1 else math.floor(math.log10(largest)) + 1
    return max(0, DIGITS - whole)
