"""What the benchmark of throughput makes of its rows: the figures that are compared, their ratios, tables of both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from accord.benchmark.evaluation.context import VIOLATION_ALLOWED
from accord.benchmark.performance.quality import WITHIN, time_to_quality

Row = dict[str, Any]
HEADINGS = ("steps/s", "steps/s of wall", "µs/step collection", "µs/sample updates", "matrix %", "busy %", "GFLOP/s")


def stages(row: Mapping[str, Any]) -> dict[str, float | None]:
    """The figures of a row, of processor time unless they say otherwise; None where the row lacks what they need."""
    collect, update, samples = row.get("collect_seconds"), row.get("update_seconds"), row.get("agent_samples")
    seconds, wall = row.get("processor_seconds"), row.get("seconds")
    return {
        "agent_steps_per_second": row["agent_steps"] / seconds if seconds else None,
        "agent_steps_per_wall_second": row["agent_steps"] / wall if seconds and wall else None,
        "collect_microseconds": None if collect is None else 1e6 * collect / row["agent_steps"],
        "update_microseconds": None if update is None or not samples else 1e6 * update / samples,
        "matrix_share": row["update_gflop"] / update / row["gemm_gflops"] if update and row["update_gflop"] else None,
    }


def compare(ours: Mapping[str, Any], peer: Mapping[str, Any]) -> dict[str, float | None]:
    """How many times faster ours is: end to end, per stage, and until it is good; None where that is not known."""
    a, b = stages(ours), stages(peer)
    pairs = {
        "end_to_end": (a["agent_steps_per_second"], b["agent_steps_per_second"]),
        "collection": (b["collect_microseconds"], a["collect_microseconds"]),
        "updates": (b["update_microseconds"], a["update_microseconds"]),
        "quality": (time_to_quality(peer), time_to_quality(ours)),
    }
    return {name: x / y if x and y else None for name, (x, y) in pairs.items()}


def show(rows: list[Row], ratios: list[Row], console: Console) -> None:
    """Print a table of rows, one of ratios where there are any, and what went wrong."""
    table = _table("agent-steps in training on one thread, in processor time", "library", "method", "width")
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    for row in rows:
        found = stages(row)
        share = found["matrix_share"]
        table.add_row(
            *_name(row),
            _number(found["agent_steps_per_second"], 0),
            _number(found["agent_steps_per_wall_second"], 0),
            _number(found["collect_microseconds"], 2),
            _number(found["update_microseconds"], 2),
            _number(None if share is None else 100 * share, 1),
            _number(100 * row["busy"] if "busy" in row else None, 0),
            _number(row.get("gemm_gflops"), 0),
        )
    console.print(table)
    if ratios:
        table = _table("times faster than the peer", "method", "peer", "width")
        for heading in ("end to end", "collection", "updates"):
            table.add_column(heading, justify="right")
        for row in ratios:
            figures = (_number(row[stage], 1) for stage in ("end_to_end", "collection", "updates"))
            table.add_row(row["method"], row["peer"], str(row["width"]), *figures)
        console.print(table)
    _show_errors(rows, console)


def show_quality(rows: list[Row], console: Console) -> None:
    """Print how long each row took to be good, and the least gap of a look that met the budget."""
    table = _table(f"training until the budget is met within {WITHIN:.0%} of the optimum", "library", "method", "width")
    for heading in ("seconds until good", "seconds trained", "least gap %", "looks"):
        table.add_column(heading, justify="right")
    for row in rows:
        looks = row.get("looks", [])
        gaps = [100 * look["gap"] for look in looks if look["violation"] <= VIOLATION_ALLOWED]
        figures = _number(time_to_quality(row), 1), _number(row.get("seconds"), 1), _number(min(gaps, default=None), 1)
        table.add_row(*_name(row), *figures, str(len(looks)))
    console.print(table)
    _show_errors(rows, console)


def _table(title: str, *names: str) -> Table:
    table = Table(title=title, title_justify="left")
    for name in names:
        table.add_column(name, no_wrap=True)
    return table


def _name(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["library"], row["method"], str(row["width"])


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def _show_errors(rows: list[Row], console: Console) -> None:
    for row in rows:
        if "error" in row:
            console.print(
                f"{row['method']}, width {row['width']}: {row['error']}", style="red", markup=False, highlight=False
            )
