"""Controllers that neither learn nor look: what every table is read against."""

from __future__ import annotations

import torch
from torch import Tensor

from accord.baselines.base import Controller, Method
from accord.baselines.registry import register
from accord.envs.task import Box, Discrete, Step, Task


@register("serve_now", "nothing")
class ServeNow(Method):
    """No control: every load is served at once, battery first, then grid."""

    def build(self, task: Task, generator: torch.Generator) -> Controller:
        """A controller that asks for everything."""
        return _Everything()


@register("random", "nothing")
class Random(Method):
    """Uniform actions."""

    random = True

    def build(self, task: Task, generator: torch.Generator) -> Controller:
        """A controller that draws its actions."""
        return _Uniform()


class _Everything(Controller):
    def act(self, step: Step) -> Tensor:
        space = self.spec.action
        high = space.high if isinstance(space, Box) else space.n - 1
        return torch.full((*step.reward.shape, space.size), high, device=step.reward.device)


class _Uniform(Controller):
    def act(self, step: Step) -> Tensor:
        space, shape, source = self.spec.action, (*step.reward.shape, self.spec.action.size), self.generator
        if isinstance(space, Discrete):
            return torch.randint(space.n, shape, generator=source, device=source.device).to(step.reward.device)
        draw = torch.rand(shape, generator=source, device=source.device).to(step.reward.device)
        return space.low + (space.high - space.low) * draw
