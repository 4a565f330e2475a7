"""What trainings share beside their networks: the clock and the step size."""

from __future__ import annotations

import time

import torch


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
