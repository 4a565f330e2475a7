"""One cell of the suite `scale`: what one method costs at one number of agents, in a process of its own.

It tells after the setup, the training and the execution; see `benchmark.cells`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field

import baselines  # noqa: F401 - registers every method
from baselines.base import Controller, Effort, Method, ModelView, NoCheckpoint
from baselines.consensus import ConsensusController
from baselines.fused import CHUNK, FusedConsensus
from baselines.joint import JointConfig
from baselines.registry import make_method, nest
from benchmark.cells import Numbers, Tell, main_of
from benchmark.machine import Busy, memory_peak, one_thread, reset_memory_peak
from benchmark.quality import Enough
from benchmark.seeding import seeded
from benchmark.stages import STAGES, acting, told_apart
from envs.catalogue import resolve_district
from envs.demand_response import DemandResponse
from envs.errors import UsageError
from envs.network import Network

MOST_ITERATIONS = 56  # eight episodes of a week in rollouts of a day: what happens once in each counts its share
MOST_STEPS = 500
FEWEST = 2  # iterations or steps after the first
ENDLESS = 10**12


class Cell(BaseModel):
    """What is measured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str = Field(description="Its name.")
    scenario: str = Field(description="Address.")
    settings: dict[str, Any] = Field({}, description="Of the method, by dotted name.")
    copies: int = Field(ge=1, description="Of the task in an iteration of a method that trains on the whole of it.")
    at_least: float = Field(gt=0, description="Seconds of training and of execution, where that is enough for some.")
    chunked: bool = Field(False, description="Execution in chunks, see `baselines.fused`.")


def measure(cell: Cell, tell: Tell) -> None:
    """Measure a cell on one thread; `tell` hears what comes next, and the numbers of what is over.

    Memory counts from before the task is made, so that it holds the task's tables; what was needed to find the
    level of a budget is forgotten.

    Raises:
        UsageError: the scenario cannot be made, or the method does not run on it.
    """
    with one_thread():
        reset_memory_peak()
        before, began = memory_peak(), time.perf_counter()
        scenario = resolve_district(cell.scenario)
        task, network = scenario.task(), scenario.network()
        method = _method(cell, task.spec.n_agents)
        ready = {"setup_seconds": time.perf_counter() - began}
        reset_memory_peak()
        tell("training" if method.learns else "execution", ready)
        if method.learns:
            tell("execution", _train(method, task, network, cell.at_least) | _memory(before))
        controller = method.build(task, seeded(0, "train"))
        first = scenario.district.measured[0]
        execute = _execute_in_chunks if cell.chunked else _execute
        found = execute(task, network, controller, first, cell.at_least)
        tell("", found | {"parameters": controller.parameters} | _memory(before))


def _method(cell: Cell, n_agents: int) -> Method:
    method = make_method(cell.method, nest(cell.settings))
    if isinstance(method.config, JointConfig):
        method = make_method(cell.method, nest(cell.settings | {"lanes": cell.copies * n_agents}))
    return method


class _Laps:
    """Ends a training after some iterations.

    Attributes:
        rows: What each logged, and when.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.rows: list[tuple[float, Mapping[str, float]]] = []

    def __call__(self, row: Mapping[str, float]) -> None:
        self.rows.append((time.perf_counter(), dict(row)))
        after = len(self.rows) - 1
        if after >= MOST_ITERATIONS or (after >= FEWEST and self.rows[-1][0] - self.rows[0][0] >= self._seconds):
            raise Enough


def _train(method: Method, task: DemandResponse, network: Network, seconds: float) -> Numbers:
    """Means over iterations; the first one also pays for what is set up once, so it is left out."""
    laps = _Laps(seconds)
    with contextlib.suppress(Enough), Busy() as busy:
        method.train(task, network, Effort(ENDLESS, float("inf")), seeded(0, "train"), laps, NoCheckpoint())
    if len(laps.rows) < FEWEST:
        raise UsageError(f"training logged {len(laps.rows)} rows; two are needed to tell how long an iteration takes")
    (began, first), (ended, last), count = laps.rows[0], laps.rows[-1], len(laps.rows) - 1
    parts = {name: (last[name] - first[name]) / count for name in ("collect_seconds", "update_seconds") if name in last}
    return {
        "iteration_seconds": (ended - began) / count,
        "iteration_samples": (last["steps"] - first["steps"]) / count,
        "iterations": count,
        "training_busy": busy.share,
        **parts,
    }


@torch.inference_mode()
def _execute(task: DemandResponse, network: Network, controller: Controller, first: int, seconds: float) -> Numbers:
    view = ModelView(task) if controller.privileged else None
    controller.reset(task.spec, network, 1, seeded(0, "evaluate"), view)
    step = task.reset(1, seeded(0, "evaluate"), start=first, horizon=ENDLESS)
    network.reset_counters()
    steps, began, act = 0, 0.0, acting(controller)
    with told_apart(controller) as watch, Busy() as busy:
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
        "execution_busy": busy.share,
        "messages": network.messages / steps / task.spec.n_agents,
        "bytes": network.bytes / steps / task.spec.n_agents,
    }


@torch.inference_mode()
def _execute_in_chunks(
    task: DemandResponse, network: Network, controller: Controller, first: int, seconds: float
) -> Numbers:
    if (
        not isinstance(controller, ConsensusController)
        or controller.config.rule != "gossip"
        or controller.config.actions != "mean"
    ):
        raise UsageError("key 'chunked': only consensus-gossip with its mean actions is rolled out in chunks")
    agents, cores = task.spec.n_agents, os.cpu_count() or 1

    def run(threads: int) -> tuple[FusedConsensus, float, int]:
        rollout = FusedConsensus(task, network, controller.models[0].actor, controller.config.dual, threads=threads)
        rollout.reset(first)
        rollout.step()  # the first one warms up
        rollout.seconds = dict.fromkeys(STAGES, 0.0)
        network.reset_counters()
        steps, began = 0, time.perf_counter()
        while steps < FEWEST or (steps < MOST_STEPS and time.perf_counter() - began < seconds):
            rollout.step()
            steps += 1
        return rollout, time.perf_counter() - began, steps

    with Busy() as busy:
        rollout, spent, steps = run(1)
    found = {
        **_per_step(rollout.seconds, spent, steps * agents),
        "messages": network.messages / steps / agents,
        "bytes": network.bytes / steps / agents,
        "execution_busy": busy.share,
        "state_bytes": rollout.state.bytes_per_agent,
        "products_microseconds": 1e6 * _products(rollout, agents) / agents,
    }
    if agents >= cores * CHUNK:
        _, spent, steps = run(cores)
        found["all_cores_microseconds"] = 1e6 * spent / (steps * agents)
    return found


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


def _memory(before: float | None) -> Numbers:
    """Most memory since the setup beyond what there was before it, MiB; None where the system does not say."""
    peak = memory_peak()
    return {"peak_memory": None if peak is None or before is None else peak - before}


if __name__ == "__main__":
    main_of(Cell, measure)
