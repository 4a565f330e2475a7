"""A finished run rolled out once more, for what its record does not keep; its numbers must be those of the record."""

from __future__ import annotations

import math
import shlex
from typing import Any

from accord.baselines.registry import REFERENCES
from accord.benchmark.evaluation.buildings import Buildings, beside_today, names_of
from accord.benchmark.evaluation.evaluate import Evaluation, evaluate
from accord.benchmark.evaluation.metrics import METRICS
from accord.benchmark.launch.contexts import scales_of, without_control
from accord.benchmark.launch.training import learned, without_learning
from accord.benchmark.machine import one_thread
from accord.benchmark.records.record import Record
from accord.benchmark.records.store import Store
from accord.benchmark.seeding import seeded
from accord.benchmark.specs.resolved import resolve_run
from accord.benchmark.specs.run import CPU
from accord.envs.errors import UsageError

CHECKED = ("cost", "delay", "import_peak")  # metrics that need no optimum
# What no seed moves may still differ between machines by this share: a rule's decisions amplify rounding.
HARDWARE = 1e-3


def buildings_of(record: Record, store: Store) -> Buildings:
    """What a run in a district means for each building, against today's rule on the same hours.

    Args:
        record: Of the run.
        store: Holds the policy, where one was trained.

    Raises:
        UsageError: not a run in a district, or one that cannot be rolled out again, see `replay`.
    """
    scenario = resolve_run(record.spec).scenario
    names = names_of(scenario)
    if names is None:
        raise UsageError(f"run {record.spec.label}: has no buildings; allowed: runs in districts, see accord districts")
    found = replay(record, store)
    with one_thread():
        today = without_control(scenario, scales_of(scenario))
    return beside_today(record.spec.label, scenario.uncontrolled, names, found, today)


def replay(record: Record, store: Store) -> Evaluation:
    """Roll a run out again, with the policy that it was made with.

    Args:
        record: Of the run.
        store: Holds the policy, where one was trained.

    Raises:
        UsageError: a bound, which does not act; a run that measured nothing; a policy that the store does not hold; or
            the numbers are no longer those of the record.
    """
    if record.spec.method in REFERENCES:
        raise UsageError(f"run {record.spec.label}: '{record.spec.method}' is a bound and does not act")
    if all(record.metrics.get(name) is None for name in CHECKED):
        raise UsageError(f"run {record.spec.label}: {record.status}, and it measured no hours: {record.error}")
    run, generator = resolve_run(record.spec), seeded(record.spec.seed, "evaluate")
    with one_thread():
        policy = _policy(record, store)
        controller = without_learning(run, generator) if policy is None else learned(run, run.scenario, policy)
        found = evaluate(run.scenario, controller, scales_of(run.scenario), generator, device=str(run.device))
    _check(record, found)
    return found


def _policy(record: Record, store: Store) -> dict[str, Any] | None:
    if not record.policy:
        return None
    policy = store.policy(record.policy_name).finished() if record.policy_name else None
    if policy is None:
        raise UsageError(f"run {record.spec.label}: its policy is not under {store.root}/; first: {_command(record)}")
    return policy


def _command(record: Record) -> str:
    """What carries a run of a suite out."""
    spec = record.spec
    words = ["--methods", spec.method, "--scenarios", spec.scenario, "--seed-list", str(spec.seed)]
    words += ["--variants", spec.variant] if spec.variant else []
    words += ["--device", spec.device] if spec.device != CPU else []
    return shlex.join(["accord", "run", spec.suite, *words])


def _check(record: Record, found: Evaluation) -> None:
    """See that the rollout is the one that was recorded."""
    for name in CHECKED:
        then, now = record.metrics.get(name), found.metrics[name]
        if not isinstance(then, float) or not isinstance(now, float):
            continue
        if not math.isclose(then, now, rel_tol=HARDWARE, abs_tol=HARDWARE):
            changed = f"{name} was {then:.6g} {METRICS[name].unit} and is {now:.6g} now"
            raise UsageError(f"run {record.spec.label}: code or data have changed since: {changed}; run it again")
