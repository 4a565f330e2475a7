"""The contract of a metric: all that tables, W&B and reproduction must know of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from accord.benchmark.evaluation.context import Context, Value
from accord.benchmark.evaluation.trajectory import Trajectory

Function = Callable[[Trajectory, Context], Value]
BLANK = "–"  # of a table's cell without a value
Section = Literal["feasibility", "violation", "scaling", "metrics"]


@dataclass(frozen=True)
class Column:
    """A metric's column in the tables of a leaderboard.

    Attributes:
        heading: Its heading.
        unit: Below the heading, or beside it.
        factor: From the metric's unit to that.
        decimals: Digits after the point.
        place: Columns stand in the order of these numbers.
        shown: In tables of scenarios that are measured over hours, in episodes, or in both.
        optional: Where it is left out: where no run of a table has a value (`blank`), or where no two of them have
            different ones (`alike`).
        share_of: Another metric, as whose share this one is shown.
    """

    heading: str
    unit: str = ""
    factor: float = 1.0
    decimals: int = 1
    place: int = 50
    shown: Literal["hours", "episodes", "both"] = "hours"
    optional: Literal["", "blank", "alike"] = ""
    share_of: str = ""


@dataclass(frozen=True)
class Metric:
    """A metric and all that others must know of it.

    Attributes:
        name: Its name.
        unit: Physical unit; empty for words.
        better: "low" or "high"; empty where neither is better.
        compute: From trajectory and context; None for what is measured around the rollout.
        section: Of W&B.
        clocked: Measured by a clock: it differs from run to run and machine to machine.
        column: Its column in tables; None where it has none.
        adds_up: The measure of episodic tasks that is added up over an episode for it.
        meaning: What it is, in a sentence; None takes the first line of the docstring of `compute`.
    """

    name: str
    unit: str
    better: Literal["low", "high", ""] = ""
    compute: Function | None = None
    section: Section = "metrics"
    clocked: bool = False
    column: Column | None = None
    adds_up: str = ""
    meaning: str | None = None

    @property
    def sentence(self) -> str:
        """What it is."""
        return self.meaning or ((self.compute and self.compute.__doc__) or "").strip().partition("\n")[0]

    @property
    def is_number(self) -> bool:
        """It has a median over seeds."""
        return self.unit not in ("", "bool")


METRICS: dict[str, Metric] = {}


def metric(
    unit: str,
    better: Literal["low", "high", ""] = "",
    *,
    section: Section = "metrics",
    column: Column | None = None,
    adds_up: str = "",
) -> Callable[[Function], Function]:
    """Decorator: make a function a metric under its own name; see `Metric`.

    Raises:
        ValueError: there is a metric of that name.
    """

    def add(function: Function) -> Function:
        register_metric(
            Metric(function.__name__, unit, better, function, section=section, column=column, adds_up=adds_up)
        )
        return function

    return add


def register_metric(entry: Metric) -> None:
    """Make a metric known by its name.

    Raises:
        ValueError: there is a metric of that name.
    """
    if entry.name in METRICS:
        raise ValueError(f"metric '{entry.name}' is registered twice")
    METRICS[entry.name] = entry
