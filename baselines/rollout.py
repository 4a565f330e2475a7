"""Rolling a controller out: observe, talk, act, advance, learn what came of it. Everybody's rollouts are this one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat

import torch

from accord.baselines.base import Controller, ModelView, RolloutStart
from accord.envs.network import Network
from accord.envs.task import Step, Task


@dataclass
class Spent:
    """Seconds of a rollout.

    Attributes:
        act: In the controller: observe, policy, dual update, messages.
        dynamics: In the task.
    """

    act: float = 0.0
    dynamics: float = 0.0


def begin(task: Task, controller: Controller, network: Network, batch: int, generator: torch.Generator) -> None:
    """Reset a controller for a rollout of `batch` copies of a task; a privileged one is shown the task."""
    model = ModelView(task) if controller.privileged else None
    controller.reset(RolloutStart(task.spec, network, batch, generator, model))


def roll_out(
    task: Task,
    controller: Controller,
    network: Network,
    step: Step,
    steps: int | None = None,
    spent: Spent | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[Step]:
    """Take some steps, and give the outcome of each.

    Args:
        task: Reset already.
        controller: What acts; reset already.
        network: Where links change, they are those of the step that is acted on.
        step: What `task.reset` gave.
        steps: How many; None for as many as are asked for.
        spent: Where seconds are added up.
        clock: Of these seconds; on a GPU one that waits until it has done what it was given.
    """
    spent = spent or Spent()
    for _ in repeat(None) if steps is None else repeat(None, steps):
        if step.links is not None:
            network.move(step.links)
        began = clock()
        actions = controller.act(step)
        acted = clock()
        step = task.step(network.overrule(actions))
        stepped = clock()
        controller.feedback(step)
        spent.act += acted - began + clock() - stepped
        spent.dynamics += stepped - acted
        controller.settle()
        yield step
