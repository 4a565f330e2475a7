"""Copies of a task that begin and end together: what the batched faces have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from accord.envs.errors import UsageError, quoted
from accord.envs.task import Step, Task
from accord.envs.wrappers.spaces import check_horizon, check_start, seed_of, start_and_initial

MOST_COPIES = 1_000_000  # some gigabytes of a small task


class Copies:
    """`copies` of one task and their source of randomness.

    Attributes:
        task: The task that is stepped.
        count: B.
        over: The episode has ended: the next thing to do is a reset.
    """

    def __init__(self, task: Task, copies: int, start: int | None, horizon: int | None) -> None:
        """Set up.

        Args:
            task: Any task.
            copies: B, at least 1.
            start: First step of the data; None draws one for each copy at every reset.
            horizon: Steps until truncation, at least 1; None takes the task's own.

        Raises:
            UsageError: the copies, the start or the horizon are no such number.
        """
        whole = isinstance(copies, int | np.integer) and not isinstance(copies, bool)
        if not (whole and 1 <= copies <= MOST_COPIES):
            raise UsageError(f"copies {quoted(copies)}: allowed are whole numbers from 1 to {MOST_COPIES}")
        check_start(start)
        check_horizon(horizon)
        self.task, self.count, self.over = task, int(copies), True
        self._start, self._horizon = start, None if horizon is None else int(horizon)
        self._generator = torch.Generator()
        self._generator.seed()

    def seed(self, seed: Any) -> None:
        """Seed the generator that all resets draw from.

        Raises:
            UsageError: the seed is no whole number from 0.
        """
        self._generator.manual_seed(seed_of(seed))

    def reset(self, options: Mapping[str, Any] | None = None) -> Step:
        """Begin an episode of every copy; `options` are `start` and `initial` of `Task.reset`, arrays [N] or [B, N]."""
        start, initial = start_and_initial(options, self._start, self.count)
        self.over = False
        return self.task.reset(self.count, self._generator, start=start, horizon=self._horizon, initial=initial)

    def step(self, actions: Tensor) -> Step:
        """Take actions [B, N, A].

        Raises:
            UsageError: there is no episode, an action is not finite, or only some copies have ended.
        """
        name = self.task.spec.name
        if self.over:
            raise UsageError(f"environment '{name}': call reset before step")
        if not bool(torch.isfinite(actions).all()):
            raise UsageError(f"environment '{name}': an action is not finite; allowed are finite numbers")
        step = self.task.step(actions.to(self.task.device))
        ended = step.terminated | step.truncated
        self.over = bool(ended.all())
        if not self.over and bool(ended.any()):
            raise UsageError(f"environment '{name}': its copies end at different steps; allowed is copies=1")
        return step
