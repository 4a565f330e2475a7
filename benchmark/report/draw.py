"""Which published rows are rerun when time is short."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from accord.baselines.registry import REFERENCES
from accord.benchmark.boards.leaderboard import number
from accord.benchmark.launch.forecast import PROGRAMME, START
from accord.benchmark.records.record import Record
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError
from accord.envs.scenario import Hours

MANY = 5000  # agents
SHORT = 20.0  # seconds of a row that every change can afford


def drawn(records: Sequence[Record], seconds: float, draw: int) -> list[Record]:
    """Rows in a random order, as many as fit; a policy is trained once for all of its rows.

    Args:
        records: Published rows.
        seconds: On one core.
        draw: Another number draws other rows.

    Returns:
        In the order of `records`; the shortest row where none fits.
    """
    chosen: list[int] = []
    trained: set[str] = set()
    left = seconds
    for index in map(int, np.random.default_rng(draw).permutation(len(records))):
        record = records[index]
        shared = record.policy and record.policy in trained
        cost = rollout_seconds(record) + (0.0 if shared else training_seconds(record))
        if cost <= left:
            left -= cost
            chosen.append(index)
            trained.add(record.policy)
    return [records[index] for index in sorted(chosen)] or [min(records, key=_seconds)]


def shortest_of_each_method(records: Sequence[Record], most: float = SHORT) -> list[Record]:
    """Of every method of every suite the shortest row that takes at most `most` seconds, of every suite at least one.

    Bounds are left out: every other row holds the optimum that it is compared with.
    """
    found: dict[tuple[str, str], Record] = {}
    suites: set[str] = set()
    for record in sorted(records, key=_seconds):
        suite, method = record.spec.suite, record.spec.method
        if method not in REFERENCES and (_seconds(record) <= most or suite not in suites):
            found.setdefault((suite, method), record)
            suites.add(suite)
    return list(found.values())


def training_seconds(record: Record) -> float:
    """What the training of a row's policy took, or what a method without one took to tune itself."""
    return _number(record, "train_seconds") or 0.0


def rollout_seconds(record: Record) -> float:
    """About what a rerun takes beside its training; infinite for what is not drawn.

    That is what cannot be made here, what has so many agents that even its budgets take a minute, and what a clock
    decides: a solver that ran into its limit finds something else on a faster machine.
    """
    if (_number(record, "solver_timeouts") or 0) > 0 or (_number(record, "n_agents") or 0) > MANY:
        return math.inf
    try:
        scenario = resolve(record.spec.scenario)
        scenario.check()
    except UsageError:
        return math.inf
    step, protocol = 1e-6 * (_number(record, "step_microseconds") or 0.0), scenario.protocol
    if not isinstance(protocol, Hours):
        return START + step * scenario.n_agents * scenario.task().spec.horizon * protocol.count
    first, last = protocol.measured
    return START + scenario.n_agents * ((last - protocol.warmup) * step + (last - first) * PROGRAMME)


def _seconds(record: Record) -> float:
    return rollout_seconds(record) + training_seconds(record)


def _number(record: Record, metric: str) -> float | None:
    return number(record.metrics.get(metric))
