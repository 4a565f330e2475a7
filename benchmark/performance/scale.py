"""The suite `scale`: what every method costs against the number of agents, cell by cell, until it runs out.

A cell is one method at one size, measured by `benchmark.performance.scale_cell`, one at a time; see
`benchmark.performance.cells`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from accord.baselines.registry import METHODS
from accord.benchmark.performance.cells import LEAST_SHARE, Row, busy, load_suite, measured
from accord.benchmark.performance.scale_cell import Cell
from accord.benchmark.places import Place
from accord.benchmark.specs.checked import Checked
from accord.envs.errors import UsageError

FEW = 4  # too few for four neighbours each
CPU = "cpu"


class Line(BaseModel):
    """One line of the figure: a method with its settings at every size."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    method: str = Field(description="Its name.")
    settings: dict[str, Any] = Field({}, description="By dotted name.")
    budget: str = Field("", description="In place of the suite's.")
    chunked: bool = Field(False, description="Execution in chunks; consensus-gossip alone.")
    shards: int = Field(0, ge=0, description="Execution alone, over so many processes; consensus-gossip alone.")
    partition: Literal["order", "graph"] = Field("order", description="How agents are spread over them.")


class ScaleSuite(Checked):
    """What is measured, and when a cell is over."""

    agents: tuple[int, ...] = Field(min_length=1, description="Sizes N.")
    seconds: float = Field(gt=0, description="Limit of a cell once it is set up.")
    memory_gib: float = Field(gt=0, description="Limit of a cell's process, all that it holds.")
    at_least: float = Field(gt=0, description="Seconds that are measured, where that is enough for some iterations.")
    copies: int = Field(ge=1, description="Of the task in an iteration of a method that trains on the whole of it.")
    budget: str = Field(description="Of every line that names none.")
    network: str = Field(description="For five agents or more; fewer are all connected.")
    device: str = Field(CPU, description="cpu, or cuda where there is one.")
    lines: dict[str, Line] = Field(min_length=1, description="By the name that tables and figure show.")

    def cell(self, line: Line, n_agents: int) -> Cell:
        """What to measure at a size."""
        # Measured on a week: the smallest level of the budget is worked out for a million buildings in seconds.
        address = f"synthetic_{n_agents}-week/{network_of(n_agents, self.network)}/{line.budget or self.budget}"
        own = line.model_dump(exclude={"budget"})
        return Cell(scenario=address, copies=self.copies, at_least=self.at_least, device=self.device, **own)

    def running(self) -> list[str]:
        """Names of the lines that run on the suite's device: planners with a solver, and shards, run on processors."""
        return [
            name
            for name, line in self.lines.items()
            if self.device == CPU or not (METHODS[line.method].method.privileged or line.shards)
        ]


def network_of(n_agents: int, network: str) -> str:
    """The network of districts of any size: of few agents all are connected."""
    return network if n_agents > FEW else "complete"


def load_scale() -> ScaleSuite:
    """The suite that comes with Accord; see `cells.load_suite`."""
    return load_suite(ScaleSuite, "scale.yaml")


def run_scale(
    suite: ScaleSuite, lines: Sequence[str], sizes: Sequence[int], root: Place, tell: Callable[[str], None]
) -> list[Row]:
    """Measure cells and return a row for each; a line ends with its first cell that did not.

    Args:
        suite: What to measure.
        lines: Names of those wanted; all where there are none.
        sizes: Numbers of agents; the suite's where there are none.
        root: Where scratch runs are kept, and finished cells.
        tell: Called with a line of text for each cell.

    Returns:
        Rows with `line`, `device`, `n_agents`, `fresh` (measured by this call), and what `cells.measured` says: the
        numbers are those of `scale_cell`, in seconds, µs per agent-step, MiB and bytes.

    Raises:
        UsageError: a line that the suite does not have, or a cell that a user's mistake ended.
    """
    for name in lines:
        if name not in suite.running():
            where = "" if suite.device == CPU else f" on {suite.device}"
            raise UsageError(f"LINES: '{name}' is not in the suite{where}; allowed: {', '.join(suite.running())}")
    rows = []
    for name in lines or suite.running():
        for n_agents in sorted(set(sizes or suite.agents)):
            cell = suite.cell(suite.lines[name], n_agents)
            row, fresh = measured(
                "accord.benchmark.performance.scale_cell", cell, suite.seconds, suite.memory_gib, root / "scale"
            )
            shown = name if suite.device == CPU else f"{name} on {suite.device}"
            rows.append({"line": shown, "device": suite.device, "n_agents": n_agents, "fresh": fresh, **row})
            tell(_said(rows[-1]))
            if row["status"] != "done":
                break
    return rows


def _said(row: Row) -> str:
    parts = [f"{row['line']}, {row['n_agents']:,} agents: {row['status']}"]
    if "stopped_in" in row:
        parts[0] += f" in {row['stopped_in']}"
    if "iteration_seconds" in row:
        parts.append(f"{row['iteration_seconds']:.3g} s per iteration")
    if "step_microseconds" in row:
        parts.append(f"{row['step_microseconds']:.3g} µs per agent-step")
    if busy(row) < LEAST_SHARE:
        parts.append(f"worth little and not kept, since only {100 * busy(row):.0f} % of a core was ours")
    return ", ".join(parts)
