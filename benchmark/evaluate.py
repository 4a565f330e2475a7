"""Rolling a controller out on a scenario's hours. The harness measures; methods never do."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from baselines.base import Controller, ModelView
from benchmark.metrics import Context, Value, compute, timing_metrics
from benchmark.trajectory import Timings, Trajectory
from envs.catalogue import Scenario
from envs.network import Network
from envs.task import Task


@dataclass(frozen=True)
class Evaluation:
    """One rollout: metrics by name and arrays for figures.

    Attributes:
        metrics: By name, see `benchmark.metrics`.
        traces: import_kwh and waiting_load [T, N] hourly, multipliers [days, N, m] at the end of each day,
            up to 1,000 agents; district_import [T] and price [T] always.
        trajectory: The sums that the metrics were computed from.
    """

    metrics: dict[str, Value]
    traces: dict[str, np.ndarray]
    trajectory: Trajectory


def evaluate(scenario: Scenario, controller: Controller, context: Context, generator: torch.Generator) -> Evaluation:
    """Warm the controller up, reset the plant, roll out the measured hours, compute every metric.

    Gradients are off; one copy of the task; float32 dynamics, float64 sums.

    Raises:
        ArithmeticError: the rollout left numbers that are not finite.
    """
    task, network = scenario.task(), scenario.network()
    district = scenario.district
    first, last = district.measured
    hours = last - first
    with torch.inference_mode():
        controller.reset(task.spec, network, 1, generator, ModelView(task) if controller.privileged else None)
        if district.warmup < first:
            roll(task, controller, district.warmup, first - district.warmup, generator, network)
        trajectory = Trajectory(task.spec, hours, controller.multiplier_limit())
        timings = roll(task, controller, first, hours, generator, network, trajectory)
    if not trajectory.finite:
        raise ArithmeticError("the rollout left numbers that are not finite: the controller's actions diverged")
    trajectory.bound = controller.disagreement_bound(trajectory.largest_excess)
    metrics = compute(trajectory, context) | timing_metrics(timings, hours * task.spec.n_agents, hours)
    traces = {name: np.stack(values) for name, values in trajectory.traces.items()}
    traces |= {f"district_{name}": np.array(values) for name, values in trajectory.series.items()}
    return Evaluation(metrics, traces, trajectory)


def roll(
    task: Task,
    controller: Controller,
    start: int,
    hours: int,
    generator: torch.Generator,
    network: Network,
    trajectory: Trajectory | None = None,
) -> Timings:
    """Run `hours` steps from a plant at rest; the controller keeps its multipliers and memory."""
    clock = time.perf_counter
    network.reset_counters()
    timings = Timings()
    step = task.reset(1, generator, start=start, horizon=hours)
    for _ in range(hours):
        began = clock()
        actions = controller.act(step)
        acted = clock()
        step = task.step(actions)
        stepped = clock()
        controller.feedback(step)
        timings.act += acted - began + clock() - stepped
        timings.dynamics += stepped - acted
        if trajectory is not None:
            trajectory.add(step, controller)
    timings.messages, timings.bytes = network.messages, network.bytes
    return timings
