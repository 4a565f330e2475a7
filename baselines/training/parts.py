"""A training of several policies, one after the other, under one effort, one log and one checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from accord.baselines.base import Checkpoint, Log


class PartOf:
    """One part of a training's checkpoint: finished parts stay in it."""

    def __init__(self, checkpoint: Checkpoint, index: int, parts: int) -> None:
        """Args: the whole training's, which part this is, and of how many."""
        self._checkpoint, self._key = checkpoint, f"part_{index}"
        self._parts = parts

    def load(self) -> dict[str, Any] | None:
        """This part's last state."""
        return (self._checkpoint.load() or {}).get(self._key)

    def save(self, state: dict[str, Any]) -> None:
        """Keep this part's state beside the others'."""
        self._checkpoint.save((self._checkpoint.load() or {}) | {self._key: state})

    def snapshot(self, fraction: float, steps: int, seconds: float, state: Callable[[], dict[str, Any]]) -> None:
        """Before the last of several parts has ended there is no whole policy to look at."""
        if self._parts == 1:
            self._checkpoint.snapshot(fraction, steps, seconds, state)


def log_after(log: Log, steps: int, seconds: float, row: Mapping[str, float]) -> None:
    """Log a part that follows others: steps and seconds go on counting."""
    log({**row, "steps": steps + row["steps"], "seconds": seconds + row["seconds"]})
