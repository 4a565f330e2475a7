"""One cell of the suite `scale`: what one method costs at one number of agents, in a process of its own.

It tells after the setup, the training and the execution; see `benchmark.performance.cells`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

import accord.baselines  # noqa: F401 - registers every method
from accord.baselines.base import Controller, Effort, Method, Training
from accord.baselines.consensus.chunked_rollout import FusedConsensus
from accord.baselines.consensus.controller import ConsensusController
from accord.baselines.registry import make_method, nest
from accord.baselines.rollout import begin
from accord.baselines.training.joint import JointConfig
from accord.benchmark.machine import (
    Busy,
    cores_allowed,
    device_memory_peak,
    memory_peak,
    reset_memory_peak,
    threads,
    wait_for,
)
from accord.benchmark.performance.cells import Numbers, Tell, main_of
from accord.benchmark.performance.quality import TargetReached
from accord.benchmark.performance.sharded_cell import execute_in_shards
from accord.benchmark.performance.stages import (
    FEWEST,
    MOST_STEPS,
    STAGES,
    Stopwatch,
    acting,
    by_stage,
    timed_by_stage,
)
from accord.benchmark.seeding import seeded
from accord.envs.catalogue import resolve_district
from accord.envs.demand_response import DemandResponse
from accord.envs.demand_response.scenario import DistrictScenario
from accord.envs.errors import UsageError
from accord.envs.network import Network

MOST_ITERATIONS = 56  # eight episodes of a week in rollouts of a day: what happens once in each counts its share
ENDLESS = 10**12
PARTS = ("collect_seconds", "update_seconds")
PRODUCTS = 2**20  # agents of which the bare products are timed, where a chunk has enough of them
BARE_CHUNK = 4096  # agents whose activations stay in a core's cache


class Cell(BaseModel):
    """What is measured."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    method: str = Field(description="Its name.")
    scenario: str = Field(description="Address.")
    settings: dict[str, Any] = Field({}, description="Of the method, by dotted name.")
    copies: int = Field(ge=1, description="Of the task in an iteration of a method that trains on the whole of it.")
    at_least: float = Field(gt=0, description="Seconds of training and of execution, where that is enough for some.")
    chunked: bool = Field(False, description="Execution in chunks, see `baselines.consensus.chunked_rollout`.")
    shards: int = Field(0, ge=0, description="Processes that the agents are spread over, where there are some.")
    partition: Literal["order", "graph"] = Field("order", description="How, see `envs.network.shards`.")
    device: str = Field("cpu", description="Where every tensor lives, cpu or cuda.")


def measure(cell: Cell, tell: Tell) -> None:
    """Measure a cell on one thread; `tell` hears what comes next, and the numbers of what is over.

    Memory counts from before the task is made, so that it holds the task's tables; what was needed to find the
    level of a budget is forgotten.

    Raises:
        UsageError: the scenario cannot be made, or the method does not run on it.
    """
    device = torch.device(cell.device)
    with threads(1):
        reset_memory_peak(device)
        before, began = memory_peak(), time.perf_counter()
        scenario = resolve_district(cell.scenario)
        if cell.shards:
            found = _measure_shards(cell, scenario, began, tell)
            tell("", found | {"caller_memory": _memory(before, device)["peak_memory"]})
            return
        task, network = scenario.task(cell.device), scenario.network().to(device)
        method = _method(cell, task.spec.n_agents)
        ready = {"setup_seconds": time.perf_counter() - began}
        reset_memory_peak(device)
        tell("training" if method.learns else "execution", ready)
        if method.learns:
            tell("execution", _train(method, task, network, cell.at_least) | _memory(before, device))
        controller = method.build(task, seeded(0, "train", cell.device))
        first = scenario.district.measured[0]
        execute = _execute_in_chunks if cell.chunked else _execute
        found = execute(task, network, controller, first, cell.at_least)
        tell("", found | {"parameters": controller.parameters} | _memory(before, device))


def _measure_shards(cell: Cell, scenario: DistrictScenario, began: float, tell: Tell) -> Numbers:
    """Execution alone: training does not depend on how a district is spread."""
    few = DemandResponse(scenario.district.take(torch.arange(1)), scenario.budgets())
    controller = _gossip("shards", make_method(cell.method, nest(cell.settings)).build(few, seeded(0, "train")))
    found = execute_in_shards(scenario, controller, cell.shards, cell.partition, cell.at_least, began, tell)
    return found | {"parameters": controller.parameters}


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
            raise TargetReached


def _train(method: Method, task: DemandResponse, network: Network, seconds: float) -> Numbers:
    """Means over iterations; the first one also pays for what is set up once, so it is left out."""
    laps = _Laps(seconds)
    with contextlib.suppress(TargetReached), Busy() as busy:
        generator = seeded(0, "train", task.device.type)
        method.train(task, network, Training(Effort(ENDLESS, float("inf")), generator, laps))
    if len(laps.rows) < FEWEST:
        raise UsageError(f"training logged {len(laps.rows)} rows; two are needed to tell how long an iteration takes")
    (began, first), (ended, last), count = laps.rows[0], laps.rows[-1], len(laps.rows) - 1
    # An accelerator is waited for once an iteration: how long which part takes is not known there.
    known = [name for name in PARTS if name in last and task.device.type == "cpu"]
    parts = {name: (last[name] - first[name]) / count for name in known}
    samples = (last["steps"] - first["steps"]) / count
    return {
        "iteration_seconds": (ended - began) / count,
        "iteration_samples": samples,
        "sample_microseconds": 1e6 * (ended - began) / count / samples,
        "trained_parameters": last["parameters"],
        "iterations": count,
        "training_busy": busy.share,
        **parts,
    }


@torch.inference_mode()
def _execute(task: DemandResponse, network: Network, controller: Controller, first: int, seconds: float) -> Numbers:
    device, act = task.device, acting(controller)
    generator = seeded(0, "evaluate", device.type)
    begin(task, controller, network, 1, generator)

    def run(watch: Stopwatch) -> tuple[float, int]:
        """Seconds and steps after the first one, which warms up."""
        step = task.reset(1, generator, start=first, horizon=ENDLESS)
        steps, began = 0, 0.0
        while steps <= FEWEST or (steps <= MOST_STEPS and time.perf_counter() - began < seconds):
            with watch(act):
                actions = controller.act(step)
            with watch("dynamics"):
                step = task.step(actions)
            with watch("dual"):
                controller.feedback(step)
            steps += 1
            if steps == 1:
                wait_for(device)
                network.reset_counters()
                began, watch.seconds = time.perf_counter(), dict.fromkeys(STAGES, 0.0)
        wait_for(device)
        return time.perf_counter() - began, steps - 1

    with timed_by_stage(controller) as watch, Busy() as busy:
        spent, steps = run(watch)
    agent_steps = steps * task.spec.n_agents
    found = {
        "step_microseconds": 1e6 * spent / agent_steps,
        "execution_busy": busy.share,
        "messages": network.messages / agent_steps,
        "bytes": network.bytes / agent_steps,
    }
    if device.type != "cpu":  # stages are told apart in a run of their own, which waits for each
        with timed_by_stage(controller, partial(wait_for, device)) as watch:
            agent_steps = run(watch)[1] * task.spec.n_agents
    return found | by_stage(watch.seconds, agent_steps)


@torch.inference_mode()
def _execute_in_chunks(
    task: DemandResponse, network: Network, controller: Controller, first: int, seconds: float
) -> Numbers:
    gossip = _gossip("chunked", controller)
    agents, cores, device = task.spec.n_agents, cores_allowed(), task.device
    rollout = FusedConsensus(task, network, gossip.actors[0], gossip.config.dual)

    def run(clock: Callable[[], float] = time.perf_counter) -> tuple[float, int]:
        """Seconds and steps after the first one, which warms up."""
        rollout.reset(first)
        rollout.step()
        rollout.clock, rollout.seconds = clock, dict.fromkeys(STAGES, 0.0)
        network.reset_counters()
        wait_for(device)
        steps, began = 0, time.perf_counter()
        while steps < FEWEST or (steps < MOST_STEPS and time.perf_counter() - began < seconds):
            rollout.step()
            steps += 1
        wait_for(device)
        return time.perf_counter() - began, steps

    def waiting() -> float:
        wait_for(device)
        return time.perf_counter()

    with Busy() as busy:
        spent, steps = run()
    found = {
        "step_microseconds": 1e6 * spent / (steps * agents),
        "messages": network.messages / steps / agents,
        "bytes": network.bytes / steps / agents,
        "execution_busy": busy.share,
        "state_bytes": rollout.state.bytes_per_agent,
        "products_microseconds": 1e6 * min(_products(rollout, size, device) for size in (BARE_CHUNK, rollout.chunk)),
    }
    if device.type != "cpu":  # stages are told apart in a run of their own, which waits for each
        _, steps = run(waiting)
    found |= by_stage(rollout.seconds, steps * agents)
    if device.type == "cpu" and cores > 1:
        with threads(cores):
            spent, steps = run()
        found |= {"all_cores": cores, "all_cores_microseconds": 1e6 * spent / (steps * agents)}
    return found


def _gossip(key: str, controller: Controller) -> ConsensusController:
    if (
        not isinstance(controller, ConsensusController)
        or controller.config.rule != "gossip"
        or controller.actions != "mean"
    ):
        raise UsageError(f"key '{key}': only consensus-gossip with its mean actions is rolled out in chunks")
    return controller


def _products(rollout: FusedConsensus, chunk: int, device: torch.device) -> float:
    """Seconds of the policy's matrix products alone, per agent, for as many agents at a time; the fastest of three."""
    weights = rollout.look_up().weights
    inputs = [torch.rand(weight.shape[1], chunk, device=device) for weight, _ in weights]
    outputs = [torch.empty(weight.shape[0], chunk, device=device) for weight, _ in weights]
    rounds, best = max(1, PRODUCTS // max(chunk, BARE_CHUNK)), float("inf")
    for _ in range(3):
        wait_for(device)
        began = time.perf_counter()
        for _ in range(rounds):
            for (weight, bias), x, y in zip(weights, inputs, outputs, strict=True):
                torch.addmm(bias, weight, x, out=y)
        wait_for(device)
        best = min(best, time.perf_counter() - began)
    return best / (rounds * chunk)


def _memory(before: float | None, device: torch.device) -> Numbers:
    """Most memory since the setup, MiB: resident beyond what there was before it, and of an accelerator's tensors."""
    peak, held = memory_peak(), device_memory_peak(device)
    resident = None if peak is None or before is None else peak - before  # where the system does not say
    return {"peak_memory": resident} | ({} if held is None else {"device_memory": held})


if __name__ == "__main__":
    main_of(Cell, measure)
