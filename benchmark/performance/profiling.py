"""Where a method's time goes at a number of agents: by stage, and by function."""

from __future__ import annotations

import cProfile
import math
import pstats
from pathlib import Path

from rich.console import Console
from rich.table import Table

from accord.benchmark.performance.cells import Numbers
from accord.benchmark.performance.scale import Line, ScaleSuite
from accord.benchmark.performance.scale_cell import measure
from accord.benchmark.performance.stages import STAGES

FUNCTIONS = 15


def profile(suite: ScaleSuite, line: Line, n_agents: int, console: Console) -> None:
    """Measure a cell of the suite `scale` in this process, once as it is and once function by function; print both.

    Args:
        suite: Says how long, and on which network and budget.
        line: Method and settings.
        n_agents: N.
        console: Where to print.

    Raises:
        UsageError: the method does not run at this size.
    """
    cell = suite.cell(line, n_agents)
    numbers: Numbers = {}
    measure(cell, lambda now, found: numbers.update(found))
    console.print(_stages(numbers, f"{line.method}, {cell.scenario}"))
    profiler = cProfile.Profile()
    # The first word comes once everything is set up: of that the profile says nothing.
    measure(cell, lambda now, found: profiler.enable() if now else profiler.disable())
    console.print(_functions(pstats.Stats(profiler)))


def _stages(numbers: Numbers, title: str) -> Table:
    table = Table("stage", "time", "share %", title=title, title_justify="left", box=None)
    if "iteration_seconds" in numbers:
        whole = numbers["iteration_seconds"]
        for part in ("collect", "update"):
            share = numbers.get(f"{part}_seconds", math.nan)  # not every training tells the two apart
            table.add_row(f"training: {part}", f"{share:.4g} s per iteration", f"{100 * share / whole:.0f}")
        table.add_row(
            "training", f"{whole:.4g} s per iteration of {numbers['iteration_samples']:,.0f} agent-steps", "100"
        )
    whole = numbers["step_microseconds"]
    for part in STAGES:
        share = numbers[f"{part}_microseconds"]
        table.add_row(f"execution: {part}", f"{share:.4g} µs per agent-step", f"{100 * share / whole:.0f}")
    table.add_row("execution", f"{whole:.4g} µs per agent-step", "100")
    return table


def _functions(stats: pstats.Stats) -> Table:
    """The functions with the most time of their own, the profiler's own cost included."""
    rows = stats.stats.items()  # type: ignore[attr-defined]  # missing in the stubs
    most = sorted(rows, key=lambda row: -row[1][2])[:FUNCTIONS]
    table = Table("function", "calls", "s of its own", "s with what it calls", title="functions", box=None)
    for (file, number, name), (_, calls, own, total, _) in most:
        where = f"{Path(file).name}:{number} {name}" if number else name
        table.add_row(where, f"{calls:,}", f"{own:.3f}", f"{total:.3f}")
    return table
