"""A rule: everybody takes an equal share of the tightest budget."""

import torch
from torch import Tensor

from accord.baselines.base import Controller, Method
from accord.baselines.registry import register
from accord.envs.task import Step, Task


class EqualShareController(Controller):
    """Acts on what its spec says, and hears nobody."""

    def act(self, step: Step) -> Tensor:
        spec = self.spec
        share = float((spec.limits / spec.member_counts).min()) / spec.usage_scale if spec.budgets else 1.0
        return torch.full((*step.reward.shape, spec.action.size), min(1.0, share))


@register("equal-share", "nothing")
class EqualShare(Method):
    """Takes an equal share, whatever it is worth."""

    def build(self, task: Task, generator: torch.Generator) -> EqualShareController:
        return EqualShareController()
