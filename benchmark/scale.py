"""The suite `scale`: what every method costs against the number of agents, cell by cell, until it runs out.

A cell is one method at one size, measured by `benchmark.scale_cell` in a process of its own, one at a time. A finished
cell is kept, so that a suite that was stopped goes on.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import psutil
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from baselines.registry import explain, make_method, nest
from benchmark.record import provenance_here, write_file
from benchmark.scale_cell import MEBIBYTE, Cell
from benchmark.specs import digest_of
from envs.errors import UsageError

GIBIBYTE = 1024 * MEBIBYTE
LOOKS = 0.05  # seconds between two looks at a cell's memory
SETUP = 1800.0  # seconds for data, graph and level of the budget, which no method is charged for
Row = dict[str, Any]


class Line(BaseModel):
    """One line of the figure: a method with its settings at every size."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str
    settings: dict[str, Any] = Field({}, description="By dotted name.")
    budget: str = Field("", description="In place of the suite's.")
    chunked: bool = Field(False, description="Execution in chunks; consensus-gossip alone.")


class ScaleSuite(BaseModel):
    """What is measured, and when a cell is over."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    agents: tuple[int, ...] = Field(min_length=1)
    seconds: float = Field(gt=0)
    memory_gib: float = Field(gt=0)
    copies: int = Field(ge=1)
    at_least: float = Field(gt=0)
    budget: str
    network: str
    lines: dict[str, Line] = Field(min_length=1)

    def cell(self, line: Line, n_agents: int) -> Cell:
        """What to measure at a size."""
        network = self.network if n_agents > 4 else "complete"
        # Measured on a week: the smallest level of the budget is worked out for a million buildings in seconds.
        address = f"synthetic_{n_agents}-week/{network}/{line.budget or self.budget}"
        own = {"method": line.method, "settings": line.settings, "chunked": line.chunked}
        return Cell(scenario=address, copies=self.copies, at_least=self.at_least, **own)


def load_scale() -> ScaleSuite:
    """The suite that comes with Accord.

    Raises:
        UsageError: its file has an unknown key, a wrong value or a setting that a method does not have.
    """
    path = Path(str(resources.files("benchmark") / "scale.yaml"))
    try:
        suite = ScaleSuite.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise UsageError(f"{path}: {explain(error)}") from None
    for line in suite.lines.values():
        make_method(line.method, nest(line.settings))
    return suite


def run_scale(
    suite: ScaleSuite, lines: Sequence[str], sizes: Sequence[int], root: Path, tell: Callable[[str], None]
) -> list[Row]:
    """Measure cells and return a row for each; a line ends with its first cell that ran out of time or memory.

    Args:
        suite: What to measure.
        lines: Names of those wanted; all where there are none.
        sizes: Numbers of agents; the suite's where there are none.
        root: Scratch folder, where finished cells are kept.
        tell: Called with a line of text for each cell.

    Raises:
        UsageError: a line that the suite does not have, or a cell that a user's mistake ended.
    """
    for name in lines:
        if name not in suite.lines:
            raise UsageError(f"LINES: '{name}' is not in the suite; allowed: {', '.join(suite.lines)}")
    rows = []
    for name in lines or suite.lines:
        for n_agents in sorted(sizes or suite.agents):
            cell = suite.cell(suite.lines[name], n_agents)
            row = _measured(cell, suite, root)
            rows.append({"line": name, "n_agents": n_agents, **row})
            tell(_said(rows[-1]))
            if row["status"] != "done":
                break
    return rows


def _measured(cell: Cell, suite: ScaleSuite, root: Path) -> Row:
    """The row of a cell, from scratch where it is there."""
    limits = {"seconds": suite.seconds, "memory_gib": suite.memory_gib}
    what = {"cell": cell.model_dump(mode="json"), "limits": limits}
    path = root / "scale" / f"{digest_of(what)}.json"
    if path.exists():
        row: Row = json.loads(path.read_text())["row"]
        return row
    row = _watched(cell, suite.seconds, suite.memory_gib * GIBIBYTE)
    content = {**what, "row": row, "provenance": provenance_here().model_dump(mode="json")}
    write_file(path, (json.dumps(content, indent=1) + "\n").encode())
    return row


@dataclass
class _Heard:
    """What a cell's process has said so far.

    Attributes:
        now: What it is at.
        numbers: Of what is over.
        ready: When it had its data.
    """

    now: str = "setup"
    numbers: Row = field(default_factory=dict)
    ready: float | None = None

    def listen(self, stream: Any) -> None:
        """Read lines until the process ends."""
        for line in stream:
            said = json.loads(line)
            self.now = said.pop("now")
            self.numbers |= said
            self.ready = self.ready or time.perf_counter()


def _watched(cell: Cell, seconds: float, memory: float) -> Row:
    """Run a cell in a process of its own, and end it at a limit."""
    command = [sys.executable, "-m", "benchmark.scale_cell", cell.model_dump_json()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    heard, faults = _Heard(), list[str]()
    ears = [
        threading.Thread(target=heard.listen, args=[process.stdout]),
        threading.Thread(target=lambda: faults.extend(process.stderr or [])),
    ]
    for ear in ears:
        ear.start()
    began, peak, status = time.perf_counter(), 0, "done"
    try:
        inside = psutil.Process(process.pid)
        while process.poll() is None and status == "done":
            time.sleep(LOOKS)
            now = time.perf_counter()
            peak = max(peak, _resident(inside))
            if peak > memory:
                status = "out of memory"
            elif now - (heard.ready or now) > seconds or (heard.ready is None and now - began > SETUP):
                status = "out of time"
    finally:
        process.kill()
        process.wait()
        for ear in ears:
            ear.join()
    row = heard.numbers
    if status == "done" and process.returncode:
        said = faults[-1].strip() if faults else f"ended with {process.returncode}"
        if process.returncode == 1 and len(faults) == 1:
            raise UsageError(said)
        # The system kills what it has no memory for.
        status, row = "out of memory" if process.returncode < 0 else "failed", row | {"error": said}
    if status != "done":
        row = row | {"stopped_in": heard.now, "peak_memory": peak / MEBIBYTE}
    return {"status": status, **row}


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _said(row: Row) -> str:
    parts = [f"{row['line']}, {row['n_agents']:,} agents: {row['status']}"]
    if "stopped_in" in row:
        parts[0] += f" in {row['stopped_in']}"
    if "iteration_seconds" in row:
        parts.append(f"{row['iteration_seconds']:.3g} s per iteration")
    if "step_microseconds" in row:
        parts.append(f"{row['step_microseconds']:.3g} µs per agent-step")
    if "peak_memory" in row:
        parts.append(f"{row['peak_memory']:.0f} MiB")
    return ", ".join(parts)
