"""The suite `scale-quality`: seconds and samples until a policy is good, against the number of agents.

A cell is one method at one size, measured by `benchmark.performance.quality_cell`, see `benchmark.performance.cells`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from accord.benchmark.launch.contexts import prepare_context
from accord.benchmark.performance.cells import LEAST_SHARE, Row, busy, load_suite, measured
from accord.benchmark.performance.quality_cell import QualityCell
from accord.benchmark.performance.scale import network_of
from accord.benchmark.places import Place
from accord.benchmark.records.store import Store
from accord.benchmark.specs.checked import Checked
from accord.envs.catalogue import resolve_district
from accord.envs.errors import UsageError

GUARD = 4.0  # times the seconds of training: looking at policies takes its own


class QualityLine(BaseModel):
    """One line of the table: a method with its settings at every size."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    method: str = Field(description="Its name.")
    settings: dict[str, Any] = Field({}, description="By dotted name.")


class QualitySuite(Checked):
    """What is measured, and when a cell is over."""

    district: str = Field(pattern=r"^synthetic_N(-week)?$", description="First word of the address; N is a size.")
    agents: tuple[int, ...] = Field(min_length=1, description="Sizes N.")
    seconds: float = Field(gt=0, description="Of training per cell.")
    memory_gib: float = Field(gt=0, description="Limit of a cell's process, all that it holds.")
    steps: int = Field(gt=0, description="Agent-steps of a cell's first training; each further one is twice as long.")
    seed: int = Field(ge=0, description="Of the first training; each further one takes the next.")
    budget: str = Field(description="Third word of the address.")
    network: str = Field(description="For five agents or more; fewer are all connected.")
    lines: dict[str, QualityLine] = Field(min_length=1, description="By the name that tables show.")

    def cell(self, line: QualityLine, n_agents: int, store: Store) -> QualityCell:
        """What to measure at a size; the optimum is worked out once."""
        district = self.district.replace("N", str(n_agents))
        scenario = resolve_district(f"{district}/{network_of(n_agents, self.network)}/{self.budget}")
        optimum = prepare_context(scenario, store).oracle_objective
        if optimum is None:
            raise UsageError(f"scenario '{scenario.address}': no plan meets its budget, so none is good")
        return QualityCell(
            method=line.method,
            scenario=scenario.address,
            optimum=optimum,
            settings=line.settings,
            steps=self.steps,
            seconds=self.seconds,
            seed=self.seed,
        )


def load_scale_quality() -> QualitySuite:
    """The suite that comes with Accord; see `cells.load_suite`."""
    return load_suite(QualitySuite, "scale_quality.yaml")


def run_scale_quality(
    suite: QualitySuite,
    lines: Sequence[str],
    sizes: Sequence[int],
    jobs: int,
    root: Place,
    tell: Callable[[str], None],
) -> list[Row]:
    """Measure cells, some lines at a time, and return a row for each; a line ends with its first that is not done.

    Args:
        suite: What to measure.
        lines: Names of those wanted; all where there are none.
        sizes: Numbers of agents; the suite's where there are none.
        jobs: Lines at a time, each on one thread.
        root: Where scratch runs are kept, and finished cells.
        tell: Called with a line of text for each cell.

    Returns:
        Rows with `line`, `n_agents`, `fresh` and what `quality_cell.measure` tells.

    Raises:
        UsageError: a line that the suite does not have, or a cell that a user's mistake ended.
    """
    for name in lines:
        if name not in suite.lines:
            raise UsageError(f"LINES: '{name}' is not in the suite; allowed: {', '.join(suite.lines)}")
    chosen, sizes, folder = list(lines or suite.lines), sorted(set(sizes or suite.agents)), root / "scale-quality"
    # Optima first: what works them out would take the cells' time.
    cells = {(name, n): suite.cell(suite.lines[name], n, Store(root)) for n in sizes for name in chosen}

    def run(name: str) -> Iterator[Row]:
        for n_agents in sizes:
            cell = cells[name, n_agents]
            row, fresh = measured(
                "accord.benchmark.performance.quality_cell", cell, GUARD * suite.seconds, suite.memory_gib, folder
            )
            row = {"line": name, "n_agents": n_agents, "fresh": fresh, **row}
            tell(_said(row))
            yield row
            if row["status"] != "done":
                break

    with ThreadPoolExecutor(jobs) as pool:
        return [row for rows in pool.map(lambda name: list(run(name)), chosen) for row in rows]


def _said(row: Row) -> str:
    parts = [f"{row['line']}, {row['n_agents']:,} agents: {row['status']}"]
    if "seconds" in row:
        parts.append(f"{row['seconds']:.0f} s and {row['steps']:,.0f} agent-steps, trainings: {row['trainings']}")
    if "best_gap" in row:
        parts.append(f"best {100 * row['best_gap']:.1f} % above the optimum, {100 * row['best_violation']:.1f} % over")
    if busy(row) < LEAST_SHARE:
        parts.append(f"worth little and not kept, since only {100 * busy(row):.0f} % of a core was ours")
    return ", ".join(parts)
