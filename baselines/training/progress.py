"""What trainings share beside their networks: how far they are, the clock and the step size."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol

import torch

from accord.baselines.base import Checkpoint


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
        """Go on from the checkpoint, if it holds anything. Args: where, source of every draw, all else."""
        self._checkpoint, self._generator, self._kept = checkpoint, generator, kept
        self.done, self.clock = 0, Clock()
        if saved := checkpoint.load():
            self.done, self.clock = saved["done"], Clock(*saved["clock"])
            generator.set_state(saved["generator"])
            for name, part in kept.items():
                part.load_state_dict(saved["kept"][name])

    def save(self) -> None:
        """Leave a checkpoint."""
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
        """Args: what was spent before an interruption."""
        self._collect, self._update = collect, update
        self._began = time.perf_counter() - seconds
        self.start()

    @property
    def spent(self) -> float:
        """Seconds of the whole training."""
        return time.perf_counter() - self._began

    def start(self) -> None:
        """What follows counts for the next stage that ends."""
        self._mark = time.perf_counter()

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


def decay_lr(optimiser: torch.optim.Optimizer, first: float, fraction: float) -> None:
    """Adam's step size falls linearly from `first` to a tenth of it, by the share of the effort that is spent."""
    for group in optimiser.param_groups:
        group["lr"] = first * (1 - 0.9 * fraction)
