"""One run: train or reuse a policy, evaluate it on the scenario's hours, record what came out."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from accord.baselines.base import Controller, Effort, Method, NoCheckpoint
from accord.baselines.registry import METHODS, REFERENCES
from accord.benchmark.evaluation.evaluate import evaluate
from accord.benchmark.evaluation.metrics import Context, Value
from accord.benchmark.launch.contexts import compared_on, comparison, has_curve, prepare_context, reference_metrics
from accord.benchmark.machine import memory_peak, one_thread, reset_memory_peak
from accord.benchmark.records.record import Record, Status, provenance_here
from accord.benchmark.records.store import SCRATCH, PolicyFolder, Store, training_digest
from accord.benchmark.seeding import seeded
from accord.benchmark.specs.suite import EffortSpec, RunSpec, make_run
from accord.envs.catalogue import DistrictScenario, Scenario, resolve
from accord.envs.errors import UsageError

DEFAULT_EFFORT = EffortSpec(steps=4_000_000, seconds=180.0)
ROUNDING = 1e-9
CURVE_EPISODES = 32  # of an episodic scenario, for a point of the learning curve
Progress = Callable[[Mapping[str, float]], None]


def run(
    scenario: str,
    method: str,
    seed: int = 0,
    *,
    variant: str = "",
    settings: dict[str, object] | None = None,
    steps: int | None = None,
    trained_on: str = "",
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
        root: Where runs are kept.

    Raises:
        UsageError: an unknown scenario, method or setting.
    """
    effort = DEFAULT_EFFORT if steps is None else DEFAULT_EFFORT.model_copy(update={"steps": steps})
    spec = make_run(scenario, method, seed, variant=variant, settings=settings, effort=effort, trained_on=trained_on)
    store = Store(Path(root))
    kept = store.load(spec)
    return kept if kept is not None and kept.status != "failed" else execute(spec, store)


def execute(spec: RunSpec, store: Store, progress: Progress | None = None) -> Record:
    """Carry out one run and keep its record. Anything that goes wrong becomes a row, not an exception."""
    traces: dict[str, np.ndarray] = {}
    metrics: dict[str, Value] = {}
    status: Status = "done"
    error = ""
    try:
        measured = compared_on(spec).get("measured")
        context = Context() if measured is None else prepare_context(measured, store)
        if spec.method in REFERENCES:
            metrics = reference_metrics(spec, context)
        else:
            with one_thread():
                status, error, metrics, traces = _measure(spec, store, context, progress)
    except Exception as fault:
        status, error = how_it_ended(fault)
    policy = store.policy(training_digest(spec)).finished() if spec.effort is not None else None
    record = _record(spec, status, error, metrics)
    if policy is not None:
        record = record.model_copy(update={"policy_revision": policy["revision"]})
    store.save(record, traces)
    return record


def how_it_ended(fault: BaseException) -> tuple[Status, str]:
    """Status and one line for a run that an exception ended."""
    text = " ".join(str(fault).split()) or "no message"
    # On the CPU torch says with a plain RuntimeError that an allocation failed.
    if isinstance(fault, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in text:
        return "out of memory", text
    if isinstance(fault, UsageError):
        return "failed", text
    last = traceback.extract_tb(fault.__traceback__)[-1:]
    where = "".join(f" ({Path(frame.filename).name}:{frame.lineno})" for frame in last)
    return "failed", f"{type(fault).__name__}: {text}{where}"


def ended_badly(spec: RunSpec, status: Status, error: str) -> Record:
    """The record of a run that measured nothing."""
    return _record(spec, status, error, {})


def prepare_policy(spec: RunSpec, store: Store, progress: Progress | None = None) -> None:
    """Train the policy that a run needs, unless the store has it; an interrupted training goes on.

    A training that runs into its time limit is kept with what it reached.
    """
    folder = store.policy(training_digest(spec))
    if spec.effort is None or folder.finished() is not None:
        return
    scenario = spec.training_scenario
    method, task = _method(spec), scenario.task()
    generator = seeded(spec.seed, "train")
    curve: list[dict[str, float]] = []

    def log(row: Mapping[str, float]) -> None:
        curve.append(dict(row))
        if progress is not None:
            progress(row)

    reset_memory_peak()
    before = memory_peak()
    keeper = _CurveKeeper(folder, curve, spec.effort.snapshots)
    with one_thread():
        controller = method.train(task, scenario.network(), spec.effort.effort(), generator, log, keeper)
    peak = memory_peak()
    steps = curve[-1]["steps"] if curve else 0.0
    folder.finish(
        {
            "state": controller.state_dict(),
            "curve": curve,
            "snapshots": keeper.snapshots,
            "finished": steps >= spec.effort.steps,
            "seconds": curve[-1]["seconds"] if curve else 0.0,
            "steps": steps,
            "peak_memory": None if peak is None or before is None else peak - before,
            "revision": provenance_here().git_revision,
        }
    )


def controller_of(spec: RunSpec, store: Store, scenario: Scenario) -> Controller:
    """What a run acts with, to act on a scenario; a policy that the store does not have is trained first."""
    if spec.effort is None:
        return _without_learning(spec, seeded(spec.seed, "evaluate"))
    prepare_policy(spec, store)
    policy = store.policy(training_digest(spec)).finished()
    assert policy is not None
    return _learned(spec, scenario, policy)


class _CurveKeeper:
    """A checkpoint that also keeps the training curve and snapshots, so that an interrupted one has no hole."""

    def __init__(self, folder: PolicyFolder, curve: list[dict[str, float]], points: int) -> None:
        self._folder, self._curve, self._points = folder, curve, points
        self.snapshots = folder.load_snapshots()
        saved = folder.load()
        if saved is not None:
            curve.extend(saved["curve"])

    def load(self) -> dict[str, Any] | None:
        saved = self._folder.load()
        return None if saved is None else saved["training"]

    def save(self, state: dict[str, Any]) -> None:
        self._folder.save({"training": state, "curve": self._curve})

    def snapshot(self, fraction: float, steps: int, seconds: float, state: Callable[[], dict[str, Any]]) -> None:
        """Keep the state at the first offer past each of the equally spaced points."""
        point = self._point_of(fraction)
        # What an interrupted training does again is here already.
        if point <= max((self._point_of(row["fraction"]) for row in self.snapshots), default=0):
            return
        row = {"fraction": fraction, "steps": steps, "seconds": seconds, "state": _detached(state())}
        self.snapshots.append(row)
        self._folder.save_snapshots(self.snapshots)

    def _point_of(self, fraction: float) -> int:
        return math.floor(min(fraction, 1.0) * self._points + ROUNDING)


def _measure(
    spec: RunSpec, store: Store, context: Context, progress: Progress | None
) -> tuple[Status, str, dict[str, Value], dict[str, np.ndarray]]:
    scenario = resolve(spec.scenario)
    trained: dict[str, Any] | None = None
    training_peak: float | None = None
    if spec.effort is not None:
        prepare_policy(spec, store, progress)
        trained = store.policy(training_digest(spec)).finished()
    generator = seeded(spec.seed, "evaluate")
    began = time.perf_counter()
    if trained is None:
        # A method that does not learn may still tune itself; that is its training time.
        controller = _without_learning(spec, generator)
        training: dict[str, Value] = {"train_seconds": time.perf_counter() - began, "train_steps": 0.0}
    else:
        controller = _learned(spec, scenario, trained)
        training_peak = trained["peak_memory"]
        speed = trained["steps"] / trained["seconds"] if trained["seconds"] else None
        training = {
            "train_seconds": trained["seconds"],
            "train_steps": trained["steps"],
            "steps_per_second": speed,
        }
    reset_memory_peak()
    before = memory_peak()
    evaluation = evaluate(scenario, controller, context, generator)
    execution_peak = None if before is None else (memory_peak() or before) - before
    peaks = [peak for peak in (execution_peak, training_peak) if peak is not None]
    metrics: dict[str, Value] = {**evaluation.metrics, **training}
    metrics |= {"peak_memory": max(peaks, default=None), "parameters": float(controller.parameters)}
    metrics |= comparison(context)
    if metrics["feasible"] and context.proves_impossible:
        raise ArithmeticError("the run is feasible where the linear programme proves that nothing can be")
    traces = evaluation.traces
    if trained is not None and trained.get("snapshots") and has_curve(spec):
        traces = traces | _learning_curve(spec, store, trained["snapshots"])
    if trained is not None and spec.effort is not None and not trained["finished"]:
        limit = f"{trained['steps']:.0f} of {spec.effort.steps} agent-steps in {trained['seconds']:.0f} s"
        return "out of time", limit, metrics, traces
    return "done", "", metrics, traces


def _without_learning(spec: RunSpec, generator: torch.Generator) -> Controller:
    known, none = spec.training_scenario, Effort(0, 0.0)
    return _method(spec).train(known.task(), known.network(), none, generator, _ignore, NoCheckpoint())


def _learned(spec: RunSpec, scenario: Scenario, policy: Mapping[str, Any]) -> Controller:
    controller = _method(spec).build(scenario.task(), seeded(spec.seed, "train"))
    controller.load_state_dict(policy["state"])
    return controller


def _learning_curve(spec: RunSpec, store: Store, snapshots: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """What each snapshot of a training reaches on the validation hours, or in episodes: arrays `curve_*` [points]."""
    scenario, context = resolve(spec.scenario), Context()
    shown: tuple[tuple[str, str], ...] = (("return", "episode_return"),)
    if isinstance(scenario, DistrictScenario):
        scenario = scenario.validation
        context = prepare_context(scenario, store)
        shown = (("gap", "optimality_gap"), ("violation", "violation"))
    controller = _method(spec).build(scenario.task(), seeded(spec.seed, "train"))
    curve: dict[str, list[float]] = {name: [] for name in ("steps", "seconds", *dict(shown))}
    for row in snapshots:
        controller.load_state_dict(row["state"])
        metrics = _metrics_if_finite(scenario, controller, context, seeded(spec.seed, "validate"))
        for name in ("steps", "seconds"):
            curve[name].append(row[name])
        for name, metric in shown:
            value = metrics.get(metric)
            curve[name].append(float(value) if isinstance(value, (int, float)) else math.nan)
    return {f"curve_{name}": np.array(values, dtype=np.float64) for name, values in curve.items()}


def _metrics_if_finite(
    scenario: Scenario, controller: Controller, context: Context, generator: torch.Generator
) -> dict[str, Value]:
    """A point of a curve may be a controller that diverges: a hole, not the run's end."""
    try:
        return evaluate(scenario, controller, context, generator, episodes=CURVE_EPISODES).metrics
    except ArithmeticError:
        return {}


def _detached(state: Any) -> Any:
    """A copy of a state that later training does not change."""
    if isinstance(state, Tensor):
        return state.detach().cpu().clone()
    if isinstance(state, Mapping):
        return {key: _detached(value) for key, value in state.items()}
    return [_detached(value) for value in state] if isinstance(state, (list, tuple)) else state


def _record(spec: RunSpec, status: Status, error: str, metrics: dict[str, Value]) -> Record:
    scenario = resolve(spec.scenario)
    return Record(
        spec=spec,
        status=status,
        error=error,
        metrics=metrics | {"n_agents": scenario.n_agents},
        provenance=provenance_here().model_copy(update={"data_digest": scenario.digest}),
        policy=training_digest(spec),
    )


def _method(spec: RunSpec) -> Method:
    entry = METHODS[spec.method]
    return entry.method(entry.method.config_type(**spec.config))


def _ignore(row: Mapping[str, float]) -> None:
    """No curve is kept of a method that does not learn."""
