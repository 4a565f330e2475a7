"""Budgets of demand response: the last word of a scenario's address, and what it means.

    average-0.27          one budget over all hours
    hourly-0.35           24 budgets, one per hour of the day
    window-17_21-0.3      one budget per interval of hours of the day, here 17:00 to 21:00
    feeder-0.3            one budget per feeder and one for the substation
    cap-0.6               a bound in every single hour

The number is a fraction of the district's uncontrolled peak; written `x1.05` it is a multiple of the
smallest feasible level. What follows a `~` changes in the middle of the measured hours:

    hourly-0.35~0.3       the level
    hourly-0.35~tariff    the tariff, which then runs twelve hours late
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from accord.envs.errors import UsageError
from accord.envs.spelling import number_of
from accord.envs.task import Budget

KINDS = ("average", "hourly", "window", "feeder", "cap")
ALLOWED = "allowed: average-C, hourly-C, window-FROM_TO-C, feeder-C, cap-C with C a number like 0.27 or x1.05"
TARIFF = "tariff"
HOURS = 24


@dataclass(frozen=True)
class BudgetName:
    """A parsed budget name.

    Attributes:
        kind: One of `KINDS`.
        level: The number as typed, without the `x`.
        relative: The level is a multiple of the smallest feasible one.
        intervals: Hours of the day [from, to) of each window.
        change: What changes in the middle of the measured hours: `TARIFF`, or a level; empty for nothing.
    """

    kind: str
    level: float
    relative: bool = False
    intervals: tuple[tuple[int, int], ...] = ()
    change: str = ""


def parse_budget(name: str) -> BudgetName:
    """Read the budget part of an address.

    Raises:
        UsageError: the name has no meaning.
    """
    before, shifts, change = name.partition("~")
    kind, *middle, last = before.split("-") if "-" in before else (before, "")
    if kind not in KINDS:
        raise UsageError(f"budget '{name}': unknown kind '{kind}'; {ALLOWED}")
    relative = last.startswith("x")
    level = number_of(last.removeprefix("x"), f"budget '{name}'")
    if level is None or level <= 0:
        raise UsageError(f"budget '{name}': level '{last}' is not a number above 0; {ALLOWED}")
    if len(set(middle)) < len(middle):
        raise UsageError(f"budget '{name}': the same window twice; {ALLOWED}")
    if (kind == "window") != bool(middle):
        raise UsageError(f"budget '{name}': only window takes intervals, and it needs one; {ALLOWED}")
    if shifts and change != TARIFF and not (number_of(change, f"budget '{name}'") or 0) > 0:
        raise UsageError(f"budget '{name}': '{change}' after ~ must be a level above 0 or the word {TARIFF}")
    if change == last:
        raise UsageError(f"budget '{name}': nothing changes; allowed after ~: another level, or the word {TARIFF}")
    return BudgetName(kind, level, relative, tuple(_interval(name, word) for word in middle), change)


def make_budgets(
    name: BudgetName, level: float, demand_peak: float, feeders: Sequence[tuple[Tensor, float]]
) -> tuple[Budget, ...]:
    """The budgets of one district.

    Args:
        name: The parsed name.
        level: Fraction of the uncontrolled peak (a relative level already resolved).
        demand_peak: The district's uncontrolled peak in kWh.
        feeders: Members (bool [N]) and uncontrolled peak in kWh of each feeder.
    """
    limit = level * demand_peak
    every = torch.ones(HOURS, dtype=torch.bool)
    one_hour = torch.eye(HOURS, dtype=torch.bool)
    if name.kind == "average":
        return (Budget("average", 0, every, limit, limit),)
    if name.kind in ("hourly", "cap"):
        each = name.kind == "cap"
        return tuple(Budget(f"hour_{h:02d}", 0, one_hour[h], limit, limit, each_step=each) for h in range(HOURS))
    if name.kind == "window":
        spans = [(f"window_{a:02d}_{b:02d}", _hours_between(a, b)) for a, b in name.intervals]
        return tuple(Budget(label, 0, hours, limit, limit) for label, hours in spans)
    parts = tuple(
        Budget(f"feeder_{i}", 0, every, level * peak, level * peak, agents=members)
        for i, (members, peak) in enumerate(feeders)
    )
    return (Budget("substation", 0, every, limit, limit), *parts)


def _interval(name: str, word: str) -> tuple[int, int]:
    hours = [number_of(part, f"budget '{name}'") for part in word.split("_")]
    if len(hours) != 2 or not all(hour is not None and hour.is_integer() for hour in hours):
        raise UsageError(f"budget '{name}': interval '{word}' must read like 17_21")
    first, last = (int(hour or 0) for hour in hours)
    if not (0 <= first < HOURS and 0 < last <= HOURS and first != last):
        raise UsageError(f"budget '{name}': interval '{word}' must lie within 0_24 and not be empty")
    return first, last


def _hours_between(first: int, last: int) -> Tensor:
    hours = torch.arange(HOURS)
    return (hours >= first) & (hours < last) if first < last else (hours >= first) | (hours < last)
