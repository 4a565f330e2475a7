"""Which published rows are rerun when time is short."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from accord.benchmark.records.record import Record
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError
from accord.envs.scenario import Hours

START = 3.0  # seconds of a process
SHORT = 20.0  # seconds of a row that every change can afford
PROGRAMME = 4e-4  # seconds of the linear programme per building and measured hour


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
        cost = rollout_seconds(record) + (0.0 if record.policy in trained else training_seconds(record))
        if cost <= left:
            left -= cost
            chosen.append(index)
            trained.add(record.policy)
    return [records[index] for index in sorted(chosen)] or [min(records, key=_seconds)]


def shortest_useful(records: Sequence[Record], most: float = SHORT) -> Record:
    """The row with the most work among those that take at most `most` seconds; the shortest where none does."""
    few = [record for record in records if _seconds(record) <= most]
    return max(few, key=_seconds) if few else min(records, key=_seconds)


def training_seconds(record: Record) -> float:
    """What the training of a row's policy took."""
    seconds = record.metrics.get("train_seconds")
    return seconds if record.policy and isinstance(seconds, float) else 0.0


def rollout_seconds(record: Record) -> float:
    """About what a rerun takes beside its training; infinite where it cannot be made here."""
    try:
        scenario = resolve(record.spec.scenario)
        scenario.check()
    except UsageError:
        return math.inf
    protocol, step = scenario.protocol, record.metrics.get("step_microseconds")
    if not isinstance(protocol, Hours):
        return START
    first, last = protocol.measured
    rollout = (last - protocol.warmup) * scenario.n_agents * 1e-6 * (step if isinstance(step, float) else 0.0)
    return START + rollout + PROGRAMME * (last - first) * scenario.n_agents


def _seconds(record: Record) -> float:
    return rollout_seconds(record) + training_seconds(record)
