"""Rolling a controller out on a scenario's hours. The harness measures; methods never do."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from accord.baselines.base import Controller, ModelView, Rollout
from accord.benchmark.evaluation.metrics import Context, Value, compute, timing_metrics
from accord.benchmark.evaluation.trajectory import EPISODE_SUMS, TRACED_AGENTS, Timings, Trajectory
from accord.envs.catalogue import DistrictScenario, EpisodicScenario, Scenario
from accord.envs.network.static import Network
from accord.envs.task import Task


@dataclass(frozen=True)
class Evaluation:
    """One rollout: metrics by name and arrays for figures.

    Attributes:
        metrics: By name, see `benchmark.evaluation.metrics`.
        traces: import_kwh and waiting_load [T, N] hourly, multipliers [days, N, m] at the end of each day,
            up to 1,000 agents; district_import [T] and price [T] always. Of an episodic scenario the
            episode_returns [E], summed over agents.
        trajectory: The sums that the metrics were computed from.
    """

    metrics: dict[str, Value]
    traces: dict[str, np.ndarray]
    trajectory: Trajectory


def evaluate(
    scenario: Scenario,
    controller: Controller,
    context: Context,
    generator: torch.Generator,
    *,
    episodes: int | None = None,
) -> Evaluation:
    """Roll a controller out and compute every metric; gradients are off.

    In a district: warm the controller up, on what held before where the address names a change, reset the plant,
    roll out the measured hours; one copy of the task, float32 dynamics, float64 sums. More than `TRACED_AGENTS`
    agents are rolled out in chunks where the controller can be. An episodic scenario: all
    episodes as one batch, each up to its own end.

    Args:
        scenario: What to roll out on.
        controller: What acts.
        context: What is compared with, on the same hours.
        generator: Source of every draw.
        episodes: At most so many of an episodic scenario.

    Raises:
        ArithmeticError: the rollout left numbers that are not finite.
    """
    if isinstance(scenario, DistrictScenario):
        return _evaluate_hours(scenario, controller, context, generator)
    if isinstance(scenario, EpisodicScenario):
        count = scenario.episodes if episodes is None else min(episodes, scenario.episodes)
        return _evaluate_episodes(scenario, controller, context, generator, count)
    raise TypeError(f"scenario '{scenario.address}': neither a district's nor episodic")


def _evaluate_hours(
    scenario: DistrictScenario, controller: Controller, context: Context, generator: torch.Generator
) -> Evaluation:
    before = scenario.trained_on
    task, network = before.task(), scenario.network()
    first, last = scenario.district.measured
    warmup, hours = before.district.warmup, last - first
    with torch.inference_mode():
        controller.reset(task.spec, network, 1, generator, ModelView(task) if controller.privileged else None)
        many = task.spec.n_agents > TRACED_AGENTS and before is scenario
        chunks = controller.in_chunks(task) if many else None
        if warmup < first and chunks is not None:
            roll_in_chunks(chunks, warmup, first - warmup, network)
        elif warmup < first:
            roll(task, controller, warmup, first - warmup, generator, network)
        if before is not scenario:
            task = scenario.task()
            controller.change(task.spec, ModelView(task) if controller.privileged else None)
        trajectory = Trajectory(task.spec, hours, controller.multiplier_limit())
        if chunks is not None:
            timings = roll_in_chunks(chunks, first, hours, network, trajectory)
        else:
            timings = roll(task, controller, first, hours, generator, network, trajectory)
    if not trajectory.finite:
        raise ArithmeticError("the rollout left numbers that are not finite: the controller's actions diverged")
    trajectory.bound = controller.disagreement_bound(trajectory.largest_excess)
    metrics = compute(trajectory, context) | timing_metrics(timings, hours * task.spec.n_agents, hours)
    metrics |= controller.figures()
    traces = {name: np.stack(values) for name, values in trajectory.traces.items()}
    traces |= {f"district_{name}": np.array(values) for name, values in trajectory.series.items()}
    return Evaluation(metrics, traces, trajectory)


def _evaluate_episodes(
    scenario: EpisodicScenario, controller: Controller, context: Context, generator: torch.Generator, episodes: int
) -> Evaluation:
    task, network, clock = scenario.task(), scenario.network(), time.perf_counter
    n_agents = task.spec.n_agents
    timings, steps = Timings(), 0
    returns, sums = torch.zeros(episodes, n_agents, dtype=torch.float64), dict[str, Tensor]()
    with torch.inference_mode():
        controller.reset(task.spec, network, episodes, generator, ModelView(task) if controller.privileged else None)
        network.reset_counters()
        step = task.reset(episodes, generator)
        running = step.alive
        while running.any():
            if step.links is not None:
                network.move(step.links)
            began = clock()
            actions = controller.act(step)
            acted = clock()
            step = task.step(actions)
            stepped = clock()
            controller.feedback(step)
            timings.act += acted - began + clock() - stepped
            timings.dynamics += stepped - acted
            steps += 1
            returns += torch.where(running, step.reward, 0.0).double().cpu()
            for name in EPISODE_SUMS & step.measures.keys():
                value = step.measures[name]
                during = running if value.ndim > 1 else running.any(1)
                sums[name] = sums.get(name, 0.0) + torch.where(during, value, 0.0).double().cpu()
            running = running & step.alive & ~(step.terminated | step.truncated)[:, None]
    # The network counts what one copy sends; time is spent on all of them.
    timings.messages, timings.bytes = episodes * network.messages, episodes * network.bytes
    trajectory = Trajectory(task.spec, steps)
    trajectory.sums |= {"reward": returns.mean(0)} | {name: total.mean(0) for name, total in sums.items()}
    if not trajectory.finite:
        raise ArithmeticError("the rollout left numbers that are not finite")
    metrics = compute(trajectory, context) | timing_metrics(timings, steps * n_agents * episodes, steps)
    metrics |= controller.figures()
    return Evaluation(metrics, {"episode_returns": returns.sum(1).numpy()}, trajectory)


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
            lam = controller.diagnostics().get("multipliers")
            trajectory.add(step, None if lam is None else lam[0])
    timings.messages, timings.bytes = network.messages, network.bytes
    return timings


def roll_in_chunks(
    rollout: Rollout, start: int, hours: int, network: Network, trajectory: Trajectory | None = None
) -> Timings:
    """The same for very many agents."""
    network.reset_counters()
    before = dict(rollout.seconds)
    rollout.reset(start)
    for _ in range(hours):
        rollout.step()
        if trajectory is not None:
            trajectory.add(rollout.outcome(), rollout.multipliers)
    spent = {stage: seconds - before[stage] for stage, seconds in rollout.seconds.items()}
    dynamics = spent.pop("dynamics")
    return Timings(sum(spent.values()), dynamics, network.messages, network.bytes)
