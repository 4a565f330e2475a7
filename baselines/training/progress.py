"""How far a training is and how long it took, kept in its checkpoint; and trainings of several parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, Protocol

import torch

from accord.baselines.base import Checkpoint, Effort, Training


class Stateful(Protocol):
    """What a training must keep."""

    def state_dict(self) -> dict[str, Any]:
        """Its state."""

    def load_state_dict(self, state: dict[str, Any]) -> Any:
        """Go on from a state."""


class Progress:
    """How far a training is, and all that the next stage depends on: an interrupted training goes on bit for bit.

    Attributes:
        done: Rollouts, or whatever a training counts.
        clock: Its seconds, those before an interruption included.
    """

    def __init__(self, checkpoint: Checkpoint, generator: torch.Generator, kept: Mapping[str, Stateful]) -> None:
        """Go on from the checkpoint, if it holds anything.

        Args:
            checkpoint: Where the training is kept.
            generator: Source of every draw.
            kept: All else that the next stage depends on, by name.
        """
        self._checkpoint, self._generator, self._kept = checkpoint, generator, kept
        self.done, self.clock = 0, Clock()
        self._saved = 0
        if saved := checkpoint.load():
            self.done, self.clock = saved["done"], Clock(*saved["clock"])
            self._saved = self.done
            generator.set_state(saved["generator"])
            for name, part in kept.items():
                part.load_state_dict(saved["kept"][name])

    def save(self, of: int, saves: int | None = None) -> None:
        """Leave a checkpoint, where one is due.

        Args:
            of: What `done` counts to.
            saves: Checkpoints on the way there; None for one at each call.
        """
        if saves is not None and self.done * saves // of <= self._saved * saves // of:
            return
        self._saved = self.done
        self._checkpoint.save(
            {
                "done": self.done,
                "clock": list(self.clock.read().values()),
                "generator": self._generator.get_state(),
                "kept": {name: part.state_dict() for name, part in self._kept.items()},
            }
        )


class Clock:
    """Seconds of a training, and how much of them went into collecting and into updating."""

    def __init__(self, seconds: float = 0.0, collect: float = 0.0, update: float = 0.0) -> None:
        """Begin.

        Args:
            seconds: Spent before an interruption.
            collect: Of these on collecting.
            update: Of these on updating.
        """
        self._collect, self._update = collect, update
        self._began = perf_counter() - seconds
        self.start()

    @property
    def spent(self) -> float:
        """Seconds of the whole training."""
        return perf_counter() - self._began

    def start(self) -> None:
        """What follows counts for the next stage that ends."""
        self._mark = perf_counter()

    def collected(self) -> None:
        """The time since the last mark was spent on collecting."""
        self._collect += self._lap()

    def updated(self) -> None:
        """The time since the last mark was spent on updating."""
        self._update += self._lap()

    def read(self) -> dict[str, float]:
        """For a log row, in the order in which `__init__` takes them."""
        return {"seconds": self.spent, "collect_seconds": self._collect, "update_seconds": self._update}

    def _lap(self) -> float:
        before = self._mark
        self.start()
        return self._mark - before


class PartOf:
    """One part of a training's checkpoint: finished parts stay in it."""

    def __init__(self, checkpoint: Checkpoint, index: int, parts: int) -> None:
        """Set up.

        Args:
            checkpoint: The whole training's.
            index: Which part this is.
            parts: Of how many.
        """
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


def part_of(
    training: Training, index: int, parts: int, effort: Effort, done: int, spent: float, *, learned: int | None = None
) -> Training:
    """One of several trainings that follow each other under one log and one checkpoint.

    Args:
        training: The whole.
        index: Which part it is.
        parts: Of how many.
        effort: Of this part.
        done: Agent-steps before it.
        spent: Seconds before it.
        learned: Agent-steps before it that were learned from; None for all of them.
    """
    learned = done if learned is None else learned

    def log(row: Mapping[str, float]) -> None:
        from_here = row.get("learned_steps", row["steps"])
        counted = {"steps": done + row["steps"], "learned_steps": learned + from_here}
        training.log({**row, **counted, "seconds": spent + row["seconds"]})

    return Training(effort, training.generator, log, PartOf(training.checkpoint, index, parts))
