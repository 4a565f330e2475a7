"""One run: train or reuse a policy, evaluate it on the scenario's protocol, record what came out."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from accord.baselines.base import Controller
from accord.baselines.registry import REFERENCES
from accord.baselines.rollout import begin
from accord.benchmark.evaluation.context import Context, Value
from accord.benchmark.evaluation.evaluate import Evaluation, evaluate
from accord.benchmark.launch.contexts import comparison, prepare_context, reference_metrics
from accord.benchmark.launch.jobs import how_it_ended
from accord.benchmark.launch.training import learned, prepare_policy, without_learning
from accord.benchmark.machine import memory_peak, memory_since, one_thread, reset_memory_peak
from accord.benchmark.places import SCRATCH, checked_place
from accord.benchmark.records.identity import identify
from accord.benchmark.records.lease import TakenError
from accord.benchmark.records.provenance import provenance_of
from accord.benchmark.records.record import Record, Status
from accord.benchmark.records.store import Store
from accord.benchmark.seeding import seeded
from accord.benchmark.specs.resolved import ResolvedRun, resolve_run
from accord.benchmark.specs.run import CPU, EffortSpec, make_run
from accord.envs.catalogue import resolve
from accord.envs.checks import devices_here
from accord.envs.errors import UsageError, quoted
from accord.envs.network import FaultyNetwork
from accord.envs.scenario import Hours, Scenario

DEFAULT_EFFORT = EffortSpec(steps=4_000_000, seconds=180.0)
CURVE_EPISODES = 32  # for a point of the learning curve
# What a learning curve shows, by the metric that it is: over hours, and in episodes.
OVER_HOURS = {"gap": "optimality_gap", "violation": "violation"}
IN_EPISODES = {"return": "episode_return"}


def run(
    scenario: str,
    method: str,
    seed: int = 0,
    *,
    variant: str = "",
    settings: dict[str, object] | None = None,
    steps: int | None = None,
    trained_on: str = "",
    device: str = CPU,
    root: str | Path = SCRATCH,
) -> Record:
    """Run one method on one scenario here and now, reusing what `root` already holds.

    Args:
        scenario: Its address.
        method: Name of a method or reference.
        seed: Seed of training and evaluation.
        variant: A label for these settings.
        settings: Changes to the method's defaults.
        steps: Agent-steps of training.
        trained_on: Address of another scenario whose policy is used.
        device: Where it is trained and rolled out: cpu, or cuda, or one of several GPUs, like cuda:1.
        root: Where runs are kept: a folder, or a URL of fsspec.

    Raises:
        UsageError: an unknown scenario, method or setting, a device that is not here, or a URL that cannot be listed.
    """
    if device not in devices_here():
        raise UsageError(f"device {quoted(device)}: is not here; allowed on this machine: {', '.join(devices_here())}")
    effort = DEFAULT_EFFORT if steps is None else DEFAULT_EFFORT.model_copy(update={"steps": steps})
    found, store = resolve(scenario), Store(checked_place(root))
    spec = make_run(
        scenario,
        method,
        seed,
        variant=variant,
        settings=settings,
        effort=effort,
        trained_on=trained_on,
        device=CPU if device == CPU else "cuda",
        scenario=found,
    )
    wanted = identify(resolve_run(spec, found))
    with nullcontext() if device == CPU else torch.cuda.device(device):
        return held(wanted, store) or carry_out(wanted, store)[0]


def holds(kept: Record, run: ResolvedRun) -> bool:
    """A record still says what the run would give: it did not fail, and data, network and code are as they were."""
    return kept.status != "failed" and kept.identity == identify(run).identity


def held(run: ResolvedRun, store: Store) -> Record | None:
    """A run's record where the store has one that holds."""
    kept = store.load(run.spec)
    return kept if kept is not None and holds(kept, run) else None


def run_lease(run: ResolvedRun) -> str:
    """Names the work on a run."""
    return f"run-{run.spec.digest}"


def carry_out(run: ResolvedRun, store: Store, *, wait: bool = True) -> tuple[Record, bool]:
    """A run's record, carried out here unless another process has done so meanwhile, or does.

    Args:
        run: The run.
        store: Where it is kept.
        wait: For another process that is at it.

    Returns:
        The record, and whether the run was carried out here.

    Raises:
        TakenError: another process is at it.
    """
    with store.leases.hold(run_lease(run), wait=wait):
        kept = held(run, store)
        return (execute(run, store), True) if kept is None else (kept, False)


def execute(run: ResolvedRun, store: Store) -> Record:
    """Carry out one run and keep its record. Anything that goes wrong becomes a row, not an exception.

    Raises:
        TakenError: another process has taken over a training that this one had begun.
    """
    run = identify(run)
    traces: dict[str, np.ndarray] = {}
    metrics: dict[str, Value] = {}
    status: Status = "done"
    error, policy = "", None
    try:
        _check_talk(run)
        context = prepare_context(run.scenario, store)
        if run.spec.method in REFERENCES:
            metrics = reference_metrics(run, context)
        else:
            with one_thread():
                policy = prepare_policy(run, store)
                status, error, metrics, traces = _measure(run, store, context, policy)
    except TakenError:
        raise
    except Exception as fault:
        status, error = how_it_ended(fault)
    record = _record(run, status, error, metrics)
    if policy is not None:
        record = record.model_copy(update={"policy_revision": policy["revision"]})
    return store.save(record, traces)


def _check_talk(run: ResolvedRun) -> None:
    """Refuse a method that cannot talk over the scenario's network, before anything is trained.

    Raises:
        UsageError: the network has faults that it has no form for.
    """
    network = run.scenario.network()
    if run.method is not None and isinstance(network, FaultyNetwork):
        task, generator = run.task(run.scenario), seeded(run.spec.seed, "evaluate")
        begin(task, run.method.build(task, generator), network.to(task.device), 1, generator)


def ended_badly(run: ResolvedRun, status: Status, error: str) -> Record:
    """The record of a run that measured nothing."""
    return _record(run, status, error, {})


def _measure(
    run: ResolvedRun, store: Store, context: Context, policy: Mapping[str, Any] | None
) -> tuple[Status, str, dict[str, Value], dict[str, np.ndarray]]:
    generator, began = seeded(run.spec.seed, "evaluate"), time.perf_counter()
    if policy is None:
        controller = without_learning(run, generator)
        # A method that does not learn may still tune itself; that is its training time.
        training: dict[str, Value] = {"train_seconds": time.perf_counter() - began, "train_steps": 0.0}
    else:
        controller = learned(run, run.scenario, policy)
        speed = policy["steps"] / policy["seconds"] if policy["seconds"] else None
        training = {
            "train_seconds": policy["seconds"],
            "train_steps": policy["steps"],
            "learned_steps": policy.get("learned_steps"),  # policies of before it was counted lack it
            "steps_per_second": speed,
        }
    evaluation, execution_peak = _evaluated(run, controller, context, generator)
    peaks = [execution_peak, None if policy is None else policy["peak_memory"]]
    metrics: dict[str, Value] = {**evaluation.metrics, **training}
    metrics["peak_memory"] = max((peak for peak in peaks if peak is not None), default=None)
    metrics["parameters"] = float(controller.parameters)
    metrics |= comparison(context)
    if metrics["feasible"] and context.proves_impossible:
        raise ArithmeticError("the run is feasible where the linear programme proves that nothing can be")
    traces = evaluation.traces
    if policy is not None and policy.get("snapshots") and run.has_curve:  # policies of before there were curves
        traces = traces | _learning_curve(run, store, policy["snapshots"])
    if policy is not None and run.spec.effort is not None and not policy["finished"]:
        limit = f"{policy['steps']:.0f} of {run.spec.effort.steps} agent-steps in {policy['seconds']:.0f} s"
        return "out of time", limit, metrics, traces
    return "done", "", metrics, traces


def _evaluated(
    run: ResolvedRun, controller: Controller, context: Context, generator: torch.Generator
) -> tuple[Evaluation, float | None]:
    """The evaluation, and by how much memory rose in it."""
    reset_memory_peak(run.device)
    before = memory_peak()
    evaluation = evaluate(run.scenario, controller, context, generator, device=str(run.device))
    return evaluation, memory_since(before, run.device)


def _learning_curve(run: ResolvedRun, store: Store, snapshots: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """What each snapshot of a training reaches on the validation hours, or in episodes: arrays `curve_*` [points]."""
    assert run.method is not None
    scenario = run.scenario.validation or run.scenario
    context = prepare_context(scenario, store)
    shown = OVER_HOURS if isinstance(scenario.protocol, Hours) else IN_EPISODES
    controller = run.method.build(run.task(scenario), seeded(run.spec.seed, "train"))
    curve: dict[str, list[float]] = {name: [] for name in ("steps", "seconds", *shown)}
    for row in snapshots:
        controller.load_state_dict(row["state"])
        metrics = _metrics_if_finite(scenario, controller, context, seeded(run.spec.seed, "validate"), str(run.device))
        for name in ("steps", "seconds"):
            curve[name].append(row[name])
        for name, metric in shown.items():
            value = metrics.get(metric)
            curve[name].append(float(value) if isinstance(value, (int, float)) else math.nan)
    return {f"curve_{name}": np.array(values, dtype=np.float64) for name, values in curve.items()}


def _metrics_if_finite(
    scenario: Scenario, controller: Controller, context: Context, generator: torch.Generator, device: str
) -> dict[str, Value]:
    """A point of a curve may be a controller that diverges: a hole, not the run's end."""
    try:
        return evaluate(scenario, controller, context, generator, episodes=CURVE_EPISODES, device=device).metrics
    except ArithmeticError:
        return {}


def _record(run: ResolvedRun, status: Status, error: str, metrics: dict[str, Value]) -> Record:
    return Record(
        spec=run.spec,
        status=status,
        error=error,
        metrics=metrics | {"n_agents": run.scenario.n_agents},
        provenance=provenance_of(run.spec.device, run.scenario.digest),
        policy=run.policy,
        identity=identify(run).identity,
    )
