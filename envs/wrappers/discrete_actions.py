"""A task whose box of actions is turned into a grid, for methods that need discrete ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from accord.envs.errors import UsageError, quoted
from accord.envs.task import Box, Discrete, Initial, Step, Task

MOST_POINTS = 1_000_000  # of a grid


def grid_points(box: Box, levels: int) -> Tensor:
    """Every combination of `levels` evenly spaced numbers per dimension, ends included, [levels ** size, size]."""
    line = torch.linspace(box.low, box.high, levels)
    return torch.cartesian_prod(*[line] * box.size).view(-1, box.size)


class GridTask(Task):
    """The same task with one discrete action per agent: the index of a grid point [B, N, 1]."""

    def __init__(self, task: Task, levels: int) -> None:
        """Wrap a task.

        Args:
            task: With a box of actions.
            levels: Numbers per dimension, at least 2.

        Raises:
            UsageError: the task's actions are discrete already, or there are fewer levels.
        """
        whole = isinstance(levels, int | np.integer) and not isinstance(levels, bool)
        if not isinstance(task.spec.action, Box):
            raise UsageError(f"task '{task.spec.name}': its actions are discrete; a grid needs a box")
        most = int(MOST_POINTS ** (1 / task.spec.action.size))
        if not (whole and 2 <= levels <= most):
            raise UsageError(
                f"discrete {quoted(levels)}: allowed are whole numbers from 2 to {most}, of levels per dimension"
            )
        self._task, self._levels = task, int(levels)
        self._points = grid_points(task.spec.action, self._levels).to(task.device)
        self.device = task.device
        self.spec = replace(task.spec, action=Discrete(len(self._points)))

    def reset(
        self,
        batch: int,
        generator: torch.Generator,
        *,
        start: int | None = None,
        horizon: int | None = None,
        initial: Initial = "zero",
    ) -> Step:
        """See `Task.reset`."""
        return self._task.reset(batch, generator, start=start, horizon=horizon, initial=initial)

    def step(self, actions: Tensor) -> Step:
        """Take grid indices [B, N, 1]."""
        return self._task.step(self._points[actions.squeeze(-1)])

    def guide(self, on: bool) -> None:
        """See `Task.guide`."""
        self._task.guide(on)

    def state(self) -> Tensor:
        """See `Task.state`."""
        return self._task.state()

    def state_bounds(self) -> tuple[Tensor, Tensor]:
        """See `Task.state_bounds`."""
        return self._task.state_bounds()

    def active(self, ahead: int) -> Tensor:
        """See `Task.active`."""
        return self._task.active(ahead)

    def coming_prices(self, ahead: int) -> Tensor | None:
        """See `Task.coming_prices`."""
        return self._task.coming_prices(ahead)

    def take(self, agents: Tensor) -> GridTask:
        """See `Task.take`."""
        return GridTask(self._task.take(agents), self._levels)
