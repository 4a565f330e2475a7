"""The training of a run's policy: kept as it goes, taken up where it stopped, done once for all runs that share it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from accord.baselines.base import Controller, Effort, Training
from accord.benchmark.machine import memory_peak, memory_since, one_thread, reset_memory_peak
from accord.benchmark.records.identity import identify, policy_here
from accord.benchmark.records.lease import Lease
from accord.benchmark.records.provenance import provenance_here
from accord.benchmark.records.store import PolicyFolder, Store
from accord.benchmark.seeding import seeded
from accord.benchmark.specs.resolved import ResolvedRun
from accord.envs.scenario import Scenario

ROUNDING = 1e-9
Progress = Callable[[Mapping[str, float]], None]


def policy_lease(run: ResolvedRun) -> str:
    """Names the work on a run's policy."""
    return f"policy-{policy_here(run)}"


def prepare_policy(
    run: ResolvedRun,
    store: Store,
    progress: Progress | None = None,
    *,
    unlimited: bool = False,
    wait: bool = True,
) -> dict[str, Any] | None:
    """The finished policy of a run, trained here unless the store has it; None where nothing is learned.

    An interrupted training goes on. One that runs into its time limit is kept with what it reached.

    Args:
        run: Whose policy.
        store: Where policies are kept.
        progress: Called with every row of the training's log.
        unlimited: The training has no wall-clock limit.
        wait: For another process that is at it.

    Returns:
        See `PolicyFolder.finished` for the keys.

    Raises:
        TakenError: another process is at it.
    """
    effort = run.spec.effort
    if effort is None:
        return None
    run = identify(run)
    folder = store.policy(policy_here(run))
    if (kept := folder.finished()) is not None:
        return kept
    with store.leases.hold(policy_lease(run), wait=wait) as lease:
        if (kept := folder.finished()) is None:
            _train(run, folder, lease, progress, math.inf if unlimited else effort.seconds)
            kept = folder.finished()
    return kept


def _train(run: ResolvedRun, folder: PolicyFolder, lease: Lease, progress: Progress | None, seconds: float) -> None:
    effort, method, scenario = run.spec.effort, run.method, run.trained_on
    assert effort is not None
    assert method is not None
    task = run.task(scenario)
    # Draws are the processor's wherever the run computes: a seed means the same, and a checkpoint goes on anywhere.
    generator = seeded(run.spec.seed, "train")
    curve: list[dict[str, float]] = []

    def log(row: Mapping[str, float]) -> None:
        curve.append(dict(row))
        if progress is not None:
            progress(row)

    reset_memory_peak(task.device)
    before = memory_peak()
    keeper = _CurveKeeper(folder, lease, curve, effort.snapshots)
    with one_thread():
        controller = method.train(
            task, scenario.network().to(task.device), Training(Effort(effort.steps, seconds), generator, log, keeper)
        )
    steps = curve[-1]["steps"] if curve else 0.0
    lease.check()
    folder.finish(
        {
            "state": controller.state_dict(),
            "curve": curve,
            "snapshots": keeper.snapshots,
            "finished": steps >= effort.steps,
            "seconds": curve[-1]["seconds"] if curve else 0.0,
            "steps": steps,
            "learned_steps": curve[-1].get("learned_steps") if curve else None,
            "peak_memory": memory_since(before, task.device),
            "revision": provenance_here().git_revision,
        }
    )


def controller_of(run: ResolvedRun, store: Store, scenario: Scenario) -> Controller:
    """What a run acts with, to act on a scenario; a policy that the store does not have is trained first."""
    policy = prepare_policy(run, store)
    if policy is None:
        return without_learning(run, seeded(run.spec.seed, "evaluate"))
    return learned(run, scenario, policy)


def without_learning(run: ResolvedRun, generator: torch.Generator) -> Controller:
    """The controller of a method that does not learn; it may tune itself on the training scenario."""
    assert run.method is not None
    task, network = run.task(run.trained_on), run.trained_on.network()
    return run.method.train(task, network.to(task.device), Training.without_effort(generator))


def learned(run: ResolvedRun, scenario: Scenario, policy: Mapping[str, Any]) -> Controller:
    """The controller of a finished policy."""
    assert run.method is not None
    controller = run.method.build(run.task(scenario), seeded(run.spec.seed, "train"))
    controller.load_state_dict(policy["state"])
    return controller


class _CurveKeeper:
    """A checkpoint that also keeps the training curve and snapshots, so that an interrupted one has no hole.

    Nothing is kept of a training that another process has taken over.
    """

    def __init__(self, folder: PolicyFolder, lease: Lease, curve: list[dict[str, float]], points: int) -> None:
        self._folder, self._lease, self._curve, self._points = folder, lease, curve, points
        self.snapshots = folder.load_snapshots()
        saved = folder.load()
        if saved is not None:
            curve.extend(saved["curve"])

    def load(self) -> dict[str, Any] | None:
        saved = self._folder.load()
        return None if saved is None else saved["training"]

    def save(self, state: dict[str, Any]) -> None:
        self._lease.check()
        self._folder.save({"training": state, "curve": self._curve})

    def snapshot(self, fraction: float, steps: int, seconds: float, state: Callable[[], dict[str, Any]]) -> None:
        """Keep the state at the first offer past each of the equally spaced points."""
        point = self._point_of(fraction)
        # What an interrupted training does again is here already.
        if point <= max((self._point_of(row["fraction"]) for row in self.snapshots), default=0):
            return
        row = {"fraction": fraction, "steps": steps, "seconds": seconds, "state": _detached(state())}
        self.snapshots.append(row)
        self._lease.check()
        self._folder.save_snapshots(self.snapshots)

    def _point_of(self, fraction: float) -> int:
        return math.floor(min(fraction, 1.0) * self._points + ROUNDING)


def _detached(state: Any) -> Any:
    """A copy of a state that later training does not change."""
    if isinstance(state, Tensor):
        return state.detach().cpu().clone()
    if isinstance(state, Mapping):
        return {key: _detached(value) for key, value in state.items()}
    return [_detached(value) for value in state] if isinstance(state, (list, tuple)) else state
