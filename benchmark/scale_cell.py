"""One cell of the suite `scale`: what one method costs at one number of agents, in a process of its own.

`python -m benchmark.scale_cell SPEC` prints a line of JSON after the setup, the training and the execution, so that
what was measured before a limit is not lost.
"""

from __future__ import annotations

import contextlib
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import torch
from pydantic import BaseModel, ConfigDict

import baselines  # noqa: F401 - registers every method
from baselines.base import Controller, Effort, Method, ModelView, NoCheckpoint
from baselines.consensus import ConsensusController
from baselines.fused import CHUNK, FusedConsensus
from baselines.joint import JointConfig
from baselines.registry import make_method, nest
from benchmark.quality import Enough
from benchmark.seeding import seeded
from benchmark.stages import STAGES, acting, told_apart
from envs.catalogue import resolve_district
from envs.demand_response import DemandResponse
from envs.errors import UsageError
from envs.network import Network

MOST_ITERATIONS, MOST_STEPS = 12, 500
FEWEST = 2  # iterations or steps after the first
ENDLESS = 10**12
MEBIBYTE = 2**20
Numbers = dict[str, Any]


class Cell(BaseModel):
    """What is measured.

    Attributes:
        method: Its name.
        scenario: Address.
        settings: Of the method, by dotted name.
        copies: Of the task in one iteration of a method that trains on the whole of it.
        at_least: Seconds of training and of execution that are measured, fewer where many iterations fit.
        chunked: Execution in chunks, see `baselines.fused`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str
    scenario: str
    settings: dict[str, Any] = {}
    copies: int
    at_least: float
    chunked: bool = False


def measure(cell: Cell, tell: Callable[[str, Numbers], None]) -> None:
    """Measure a cell on one thread; `tell` hears what comes next, and the numbers of what is over.

    Raises:
        UsageError: the scenario cannot be made, or the method does not run on it.
    """
    torch.set_num_threads(1)
    before, began = psutil.Process().memory_info().rss, time.perf_counter()
    scenario = resolve_district(cell.scenario)
    task, network = scenario.task(), scenario.network()
    method = _method(cell, task.spec.n_agents)
    ready = {"setup_seconds": time.perf_counter() - began}
    _forget_peak()
    tell("training" if method.learns else "execution", ready)
    if method.learns:
        tell("execution", _train(method, task, network, cell.at_least) | _memory(before))
    controller = method.build(task, seeded(0, "train"))
    first = scenario.district.measured[0]
    if cell.chunked:
        found = _execute_in_chunks(task, network, controller, first, cell.at_least)
    else:
        found = _execute(task, network, controller, first, cell.at_least)
    tell("", found | {"parameters": controller.parameters} | _memory(before))


def _method(cell: Cell, n_agents: int) -> Method:
    method = make_method(cell.method, nest(cell.settings))
    if isinstance(method.config, JointConfig):
        method = make_method(cell.method, nest(cell.settings | {"lanes": cell.copies * n_agents}))
    return method


class _Laps:
    """Ends a training after some iterations."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.rows: list[tuple[float, Mapping[str, float]]] = []

    def __call__(self, row: Mapping[str, float]) -> None:
        self.rows.append((time.perf_counter(), dict(row)))
        after = len(self.rows) - 1
        if after >= MOST_ITERATIONS or (after >= FEWEST and self.rows[-1][0] - self.rows[0][0] >= self._seconds):
            raise Enough


def _train(method: Method, task: DemandResponse, network: Network, seconds: float) -> Numbers:
    laps = _Laps(seconds)
    with contextlib.suppress(Enough):
        method.train(task, network, Effort(ENDLESS, float("inf")), seeded(0, "train"), laps, NoCheckpoint())
    pairs = list(zip(laps.rows, laps.rows[1:], strict=False))

    def median(name: str) -> float:
        return statistics.median(after[1][name] - before[1][name] for before, after in pairs)

    return {
        # The first iteration also pays for what is set up once.
        "iteration_seconds": statistics.median(after[0] - before[0] for before, after in pairs),
        "iteration_samples": int(median("steps")),
        "iterations": len(pairs),
        "collect_seconds": median("collect_seconds"),
        "update_seconds": median("update_seconds"),
    }


@torch.inference_mode()
def _execute(task: DemandResponse, network: Network, controller: Controller, first: int, seconds: float) -> Numbers:
    view = ModelView(task) if controller.privileged else None
    controller.reset(task.spec, network, 1, seeded(0, "evaluate"), view)
    step = task.reset(1, seeded(0, "evaluate"), start=first, horizon=ENDLESS)
    network.reset_counters()
    steps, began, act = 0, 0.0, acting(controller)
    with told_apart(controller) as watch:
        while steps <= FEWEST or (steps <= MOST_STEPS and time.perf_counter() - began < seconds):
            with watch(act):
                actions = controller.act(step)
            with watch("dynamics"):
                step = task.step(actions)
            with watch("dual"):
                controller.feedback(step)
            steps += 1
            if steps == 1:  # the first one warms up
                began, watch.seconds = time.perf_counter(), dict.fromkeys(STAGES, 0.0)
        spent = time.perf_counter() - began
    return {
        **_per_step(watch.seconds, spent, (steps - 1) * task.spec.n_agents),
        "messages": network.messages / steps / task.spec.n_agents,
        "bytes": network.bytes / steps / task.spec.n_agents,
    }


@torch.inference_mode()
def _execute_in_chunks(
    task: DemandResponse, network: Network, controller: Controller, first: int, seconds: float
) -> Numbers:
    if not isinstance(controller, ConsensusController) or controller.config.rule != "gossip":
        raise UsageError("key 'chunked': only consensus-gossip is rolled out in chunks")
    rollout = FusedConsensus(task, network, controller.models[0].actor, controller.config.dual)
    rollout.reset(first)
    rollout.step()
    rollout.seconds = dict.fromkeys(STAGES, 0.0)
    network.reset_counters()
    steps, began = 0, time.perf_counter()
    while steps < FEWEST or (steps < MOST_STEPS and time.perf_counter() - began < seconds):
        rollout.step()
        steps += 1
    spent, agents = time.perf_counter() - began, task.spec.n_agents
    return {
        **_per_step(rollout.seconds, spent, steps * agents),
        "messages": network.messages / steps / agents,
        "bytes": network.bytes / steps / agents,
        "state_bytes": rollout.state.bytes_per_agent,
        "products_microseconds": 1e6 * _products(rollout, agents) / agents,
    }


def _products(rollout: FusedConsensus, n_agents: int) -> float:
    """Seconds of the policy's matrix products alone for all agents, chunk by chunk; the fastest of three."""
    weights = rollout.look_up().weights
    size = min(CHUNK, n_agents)
    inputs = [torch.rand(weight.shape[1], size) for weight, _ in weights]
    outputs = [torch.empty(weight.shape[0], size) for weight, _ in weights]
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        for _ in range(-(-n_agents // size)):
            for (weight, bias), x, y in zip(weights, inputs, outputs, strict=True):
                torch.addmm(bias, weight, x, out=y)
        best = min(best, time.perf_counter() - began)
    return best


def _per_step(seconds: Mapping[str, float], spent: float, agent_steps: int) -> Numbers:
    return {
        "step_microseconds": 1e6 * spent / agent_steps,
        **{f"{stage}_microseconds": 1e6 * seconds[stage] / agent_steps for stage in STAGES},
    }


def _forget_peak() -> None:
    """Let the system's high-water mark start from what is held now: data and levels of budgets are nobody's cost."""
    with contextlib.suppress(OSError):  # only Linux can
        Path("/proc/self/clear_refs").write_text("5")


def _memory(before: int) -> Numbers:
    """Most memory since the setup beyond what the process began with."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    with contextlib.suppress(OSError):
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        peak = int(status["VmHWM"].split()[0]) * 1024
    return {"peak_memory": max(0, peak - before) / MEBIBYTE}


def main() -> None:
    """See the module; what a user got wrong is one line on standard error."""
    cell = Cell.model_validate_json(sys.argv[1])
    try:
        measure(cell, lambda now, numbers: print(json.dumps({"now": now, **numbers}), flush=True))
    except UsageError as mistake:
        sys.exit(str(mistake))


if __name__ == "__main__":
    main()
