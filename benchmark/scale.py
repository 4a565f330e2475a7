"""The suite `scale`: what every method costs against the number of agents, cell by cell, until it runs out.

A cell is one method at one size, measured by `benchmark.scale_cell` in a process of its own, one at a time. A finished
cell is kept, so that a suite that was stopped goes on.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import IO, Any

import psutil
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from baselines.registry import explain, make_method, nest
from benchmark.record import write_file
from benchmark.scale_cell import MISTAKE, Cell
from benchmark.specs import digest_of
from envs.errors import UsageError

MEBIBYTE, GIBIBYTE = 2**20, 2**30
OURS = 0.9  # of a core's time; with less, something else ran
FEW = 4  # too few for four neighbours each
LOOKS = 0.05  # seconds between two looks at a cell's memory
SETUP = 1800.0  # seconds for data, graph and level of the budget, which no method is charged for
Row = dict[str, Any]


class Line(BaseModel):
    """One line of the figure: a method with its settings at every size."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str = Field(description="Its name.")
    settings: dict[str, Any] = Field({}, description="By dotted name.")
    budget: str = Field("", description="In place of the suite's.")
    chunked: bool = Field(False, description="Execution in chunks; consensus-gossip alone.")


class ScaleSuite(BaseModel):
    """What is measured, and when a cell is over."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    agents: tuple[int, ...] = Field(min_length=1, description="Sizes N.")
    seconds: float = Field(gt=0, description="Limit of a cell once it is set up.")
    memory_gib: float = Field(gt=0, description="Limit of a cell's process, all that it holds.")
    at_least: float = Field(gt=0, description="Seconds that are measured, where that is enough for some iterations.")
    copies: int = Field(ge=1, description="Of the task in an iteration of a method that trains on the whole of it.")
    budget: str = Field(description="Of every line that names none.")
    network: str = Field(description="For five agents or more; fewer are all connected.")
    lines: dict[str, Line] = Field(min_length=1, description="By the name that tables and figure show.")

    def cell(self, line: Line, n_agents: int) -> Cell:
        """What to measure at a size."""
        network = self.network if n_agents > FEW else "complete"
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
    """Measure cells and return a row for each; a line ends with its first cell that did not.

    Args:
        suite: What to measure.
        lines: Names of those wanted; all where there are none.
        sizes: Numbers of agents; the suite's where there are none.
        root: Scratch folder, where finished cells are kept.
        tell: Called with a line of text for each cell.

    Returns:
        Rows with `line`, `n_agents`, `fresh` (measured by this call), `status`, and the numbers of `scale_cell`:
        seconds, µs per agent-step, MiB, bytes. Of a cell that was stopped `stopped_in`, `resident` (MiB of its
        process, all that it held) and the numbers of what was over.

    Raises:
        UsageError: a line that the suite does not have, or a cell that a user's mistake ended.
    """
    for name in lines:
        if name not in suite.lines:
            raise UsageError(f"LINES: '{name}' is not in the suite; allowed: {', '.join(suite.lines)}")
    rows = []
    for name in lines or suite.lines:
        for n_agents in sorted(set(sizes or suite.agents)):
            row, fresh = _measured(suite.cell(suite.lines[name], n_agents), suite, root)
            rows.append({"line": name, "n_agents": n_agents, "fresh": fresh, **row})
            tell(_said(rows[-1]))
            if row["status"] != "done":
                break
    return rows


def _measured(cell: Cell, suite: ScaleSuite, root: Path) -> tuple[Row, bool]:
    """The row of a cell, from scratch where it is there, and whether it had to be measured."""
    limits = {"seconds": suite.seconds, "memory_gib": suite.memory_gib}
    what = {"cell": cell.model_dump(mode="json"), "limits": limits}
    path = root / "scale" / f"{digest_of(what)}.json"
    if path.exists():
        row: Row = json.loads(path.read_text())["row"]
        return row, False
    row = _watched(cell, suite.seconds, suite.memory_gib * GIBIBYTE)
    if row["status"] != "failed":  # what failed may not fail again
        write_file(path, (json.dumps({**what, "row": row}, indent=1) + "\n").encode())
    return row, True


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

    def listen(self, stream: IO[str]) -> None:
        """Read lines until the process ends; what is no JSON was printed by somebody else."""
        for line in stream:
            with suppress(json.JSONDecodeError):
                said = json.loads(line)
                self.now = said.pop("now", self.now)
                self.numbers |= said
                if self.now != "setup":
                    self.ready = self.ready or time.perf_counter()


def _watched(cell: Cell, seconds: float, memory: float) -> Row:
    """Run a cell in a process of its own, and end it at a limit."""
    command = [sys.executable, "-m", "benchmark.scale_cell", cell.model_dump_json()]
    heard, faults = _Heard(), list[str]()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        ears = [
            threading.Thread(target=heard.listen, args=[process.stdout]),
            threading.Thread(target=faults.extend, args=[process.stderr]),
        ]
        for ear in ears:
            ear.start()
        try:
            stopped, peak = _wait(process, heard, seconds, memory)
        finally:
            process.kill()
            process.wait()
            for ear in ears:
                ear.join()
    said = faults[-1].strip() if faults else f"ended with {process.returncode}"
    if not stopped and process.returncode == MISTAKE:
        raise UsageError(said)
    row = {"status": "done", **heard.numbers}
    if stopped:
        row["status"] = stopped
    elif process.returncode:
        # The system kills what it has no memory for.
        row |= {"status": "out of memory" if process.returncode == -signal.SIGKILL else "failed", "error": said}
    if row["status"] != "done":
        row |= {"stopped_in": heard.now, "resident": peak / MEBIBYTE}
    return row


def _wait(process: subprocess.Popen[str], heard: _Heard, seconds: float, memory: float) -> tuple[str, int]:
    """Until the process ends or must: the limit that it ran into, if any, and the most bytes that it held."""
    inside, began, peak = psutil.Process(process.pid), time.perf_counter(), 0
    while process.poll() is None:
        time.sleep(LOOKS)
        now = time.perf_counter()
        with suppress(psutil.NoSuchProcess):
            peak = max(peak, inside.memory_info().rss)
        if peak > memory:
            return "out of memory", peak
        if now - (heard.ready or now) > seconds or (heard.ready is None and now - began > SETUP):
            return "out of time", peak
    return "", peak


def _said(row: Row) -> str:
    parts = [f"{row['line']}, {row['n_agents']:,} agents: {row['status']}"]
    if "stopped_in" in row:
        parts[0] += f" in {row['stopped_in']}"
    if "iteration_seconds" in row:
        parts.append(f"{row['iteration_seconds']:.3g} s per iteration")
    if "step_microseconds" in row:
        parts.append(f"{row['step_microseconds']:.3g} µs per agent-step")
    busy = min((row[name] for name in ("training_busy", "execution_busy") if name in row), default=1.0)
    if busy < OURS:
        parts.append(f"worth little, since only {100 * busy:.0f} % of a core was ours")
    return ", ".join(parts)
