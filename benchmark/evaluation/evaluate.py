"""Rolling a controller out on a scenario's hours. The harness measures; methods never do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from accord.baselines.base import Controller, ModelView, Rollout
from accord.baselines.rollout import begin, roll_out
from accord.benchmark.evaluation.context import Context, Value
from accord.benchmark.evaluation.metrics import METRICS, compute, timing_metrics
from accord.benchmark.evaluation.trajectory import TRACED_AGENTS, Timings, Trajectory
from accord.benchmark.machine import clock_of
from accord.envs.network import Network
from accord.envs.scenario import Hours, Scenario
from accord.envs.task import Task


@dataclass(frozen=True)
class Evaluation:
    """One rollout: metrics by name and arrays for figures.

    Attributes:
        metrics: By name, see `benchmark.evaluation.metrics`.
        traces: import_kwh and waiting_load [T, N] hourly, multipliers [days, N, m] at the end of each day,
            up to 1,000 agents; district_import_kwh [T] kWh, district_price [T] $/kWh, district_demand [T] kWh and
            district_waiting_load [T] kWh where the task measures them. Of an episodic scenario the episode_returns
            [E], summed over agents.
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
    device: str = "cpu",
) -> Evaluation:
    """Roll a controller out and compute every metric; gradients are off.

    Over hours: warm the controller up, on what held before where the address names a change, reset the plant, roll out
    the measured hours; one copy of the task, float32 dynamics, float64 sums. More than `TRACED_AGENTS` agents are
    rolled out in chunks where the controller can be. In episodes: all of them as one batch, each up to its own end.

    Args:
        scenario: What to roll out on.
        controller: What acts.
        context: What is compared with, on the same hours.
        generator: Source of every draw; on the processor, so that a seed draws the same wherever it is rolled out.
        episodes: At most so many of an episodic scenario.
        device: Where the task and the network live, and what the controller was built for.

    Raises:
        ArithmeticError: the rollout left numbers that are not finite.
    """
    protocol = scenario.protocol
    if isinstance(protocol, Hours):
        return _evaluate_hours(scenario, protocol, controller, context, generator, device)
    count = protocol.count if episodes is None else min(episodes, protocol.count)
    return _evaluate_episodes(scenario, controller, context, generator, count, device)


def _evaluate_hours(
    scenario: Scenario,
    protocol: Hours,
    controller: Controller,
    context: Context,
    generator: torch.Generator,
    device: str,
) -> Evaluation:
    before = scenario.trained_on
    task = before.task(device)
    network = scenario.network().to(task.device)
    first, last = protocol.measured
    earlier = before.protocol
    assert isinstance(earlier, Hours)
    warmup, hours = earlier.warmup, last - first
    with torch.inference_mode():
        begin(task, controller, network, 1, generator)
        many = task.spec.n_agents > TRACED_AGENTS and before is scenario
        chunks = controller.in_chunks(task) if many else None
        if chunks is not None:
            chunks.clock = clock_of(task.device)
        if warmup < first and chunks is not None:
            roll_in_chunks(chunks, warmup, first - warmup, network)
        elif warmup < first:
            roll(task, controller, warmup, first - warmup, generator, network)
        network.start()
        if before is not scenario:
            task = scenario.task(device)
            controller.change(task.spec, ModelView(task) if controller.privileged else None)
        trajectory = Trajectory(task.spec, hours, controller.multiplier_limit())
        what = controller if chunks is None else chunks
        before_hours = what.ledger()
        if chunks is not None:
            timings = roll_in_chunks(chunks, first, hours, network, trajectory)
        else:
            timings = roll(task, controller, first, hours, generator, network, trajectory)
        after = what.ledger()
        trajectory.ledger = None if before_hours is None or after is None else after.since(before_hours)
    if not trajectory.finite:
        raise ArithmeticError("the rollout left numbers that are not finite: the controller's actions diverged")
    metrics = compute(trajectory, context) | timing_metrics(timings, hours * task.spec.n_agents)
    metrics |= controller.solver_statistics()
    traces = {name: np.stack(values) for name, values in trajectory.traces.items()}
    traces |= {f"district_{name}": np.array(values) for name, values in trajectory.series.items()}
    return Evaluation(metrics, traces, trajectory)


def _evaluate_episodes(
    scenario: Scenario,
    controller: Controller,
    context: Context,
    generator: torch.Generator,
    episodes: int,
    device: str,
) -> Evaluation:
    task = scenario.task(device)
    network = scenario.network().to(task.device)
    n_agents = task.spec.n_agents
    timings, steps = Timings(), 0
    added_up = {entry.adds_up for entry in METRICS.values()}
    returns, sums = torch.zeros(episodes, n_agents, dtype=torch.float64), dict[str, Tensor]()
    with torch.inference_mode():
        begin(task, controller, network, episodes, generator)
        network.reset_counters()
        first = task.reset(episodes, generator)
        running = first.alive
        for step in roll_out(task, controller, network, first, spent=timings, clock=clock_of(task.device)):
            steps += 1
            returns += torch.where(running, step.reward, 0.0).double().cpu()
            for name in added_up & step.measures.keys():
                value = step.measures[name]
                during = running if value.ndim > 1 else running.any(1)
                sums[name] = sums.get(name, 0.0) + torch.where(during, value, 0.0).double().cpu()
            running = running & step.alive & ~(step.terminated | step.truncated)[:, None]
            if not running.any():
                break
    # The network counts what one copy sends; time is spent on all of them.
    timings.messages, timings.bytes = episodes * network.messages, episodes * network.bytes
    trajectory = Trajectory(task.spec, steps)
    trajectory.sums |= {"reward": returns.mean(0)} | {name: total.mean(0) for name, total in sums.items()}
    if not trajectory.finite:
        raise ArithmeticError("the rollout left numbers that are not finite")
    metrics = compute(trajectory, context) | timing_metrics(timings, steps * n_agents * episodes)
    metrics |= controller.solver_statistics()
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
    network.reset_counters()
    timings = Timings()
    first = task.reset(1, generator, start=start, horizon=hours)
    for step in roll_out(task, controller, network, first, hours, timings, clock_of(task.device)):
        if trajectory is not None:
            lam = controller.diagnostics().get("multipliers")
            trajectory.add(step, None if lam is None else lam[0], controller.disagreement_bound())
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
            trajectory.add(rollout.outcome(), rollout.multipliers, rollout.disagreement_bound())
    spent = {stage: seconds - before[stage] for stage, seconds in rollout.seconds.items()}
    dynamics = spent.pop("dynamics")
    return Timings(sum(spent.values()), dynamics, network.messages, network.bytes)
