"""A rule without learning: battery always, grid in the cheap hours, tuned on the training hours.

Where only the average of the import is bounded this rule is hard to beat: every table carries it.
"""

from __future__ import annotations

import itertools
from typing import Annotated, cast

import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor

from accord.baselines.base import Controller, Method, MethodConfig, Training
from accord.baselines.registry import register
from accord.baselines.rollout import begin, roll_out
from accord.envs.demand_response import DemandResponse
from accord.envs.errors import UsageError
from accord.envs.network import Network
from accord.envs.task import Step, Task

MANY = 256  # buildings; of more than that so many are drawn to tune on
PRICES = 20  # that may count as cheap, of a tariff with more


class RuleConfig(MethodConfig):
    """The grid that tuning searches; its points are tried side by side."""

    shares: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0),
        min_length=1,
        description="Share of the rest bought in a cheap hour.",
    )
    patience: tuple[NonNegativeFloat, ...] = Field(
        (0.0, 0.5, 1.0, 2.0, 4.0, 8.0),
        min_length=1,
        description="Load that may wait for a cheap hour, in own peaks (log1p'd at most).",
    )
    """Unit: own peaks."""
    hours: int = Field(2160, ge=24, description="Training hours to tune on, at most.")
    """Unit: h."""


@register("rule_based", "own observation")
class RuleBased(Method):
    """Tunes what counts as cheap, how fast to buy then, and how much may wait, for the scenario's budgets."""

    config_type = RuleConfig
    config: RuleConfig

    def build(self, task: Task, generator: torch.Generator) -> Controller:
        """An untuned rule: everything at once."""
        return _Rule(torch.tensor([torch.inf, 1.0, 0.0], device=task.device))

    def train(self, task: Task, network: Network, training: Training) -> Controller:
        """The point of the grid with the lowest objective among those that meet the budgets, or the least violation."""
        if not isinstance(task, DemandResponse):
            raise UsageError(f"method rule_based: task '{task.spec.name}' is not demand response")
        if task.spec.n_agents > MANY:
            task = cast(DemandResponse, task.sample_agents(MANY, training.generator))
        prices = _levels(task.district.price / task.district.mean_price)
        points = list(itertools.product(prices.tolist(), self.config.shares, self.config.patience))
        grid = torch.tensor(points, device=task.device)
        first, last = task.district.training
        hours = min(self.config.hours, last - first)
        with torch.inference_mode():
            objective, violation = _try(task, network, _Rule(grid), len(grid), first, hours, training.generator)
        score = torch.where(violation <= 0, objective, 1e12 * (1 + violation))
        return _Rule(grid[score.argmin()])


class _Rule(Controller):
    """Buys `share` of the rest where the price is at most `limit`, and all that waits beyond `patience`."""

    def __init__(self, rule: Tensor) -> None:
        """Set up.

        Args:
            rule: Price limit in mean prices, share, patience in own peaks: [3], or one row per copy [B, 3].
        """
        self._limit, self._share, self._patience = rule.float().view(-1, 3, 1).unbind(1)

    def act(self, step: Step) -> Tensor:
        fields = self.spec.obs_fields
        price = step.obs[..., fields["price"].where.start]
        load = step.obs[..., fields["waiting_load"].where.start].expm1() + step.obs[..., fields["demand"].where.start]
        cheap = torch.where(price <= self._limit + 1e-4, self._share, 0.0)
        beyond = (1 - self._patience / load.clamp_min(1e-6)).clamp_min(0.0)
        grid = torch.maximum(cheap, beyond)
        return torch.stack([torch.ones_like(grid), grid], -1)


def _levels(price: Tensor) -> Tensor:
    """The prices of a tariff [H], each once; of more than `PRICES` so many quantiles."""
    levels = price.unique()
    if len(levels) <= PRICES:
        return levels
    return levels.quantile(torch.linspace(0, 1, PRICES, device=price.device), interpolation="nearest")


def _try(
    task: DemandResponse,
    network: Network,
    rule: _Rule,
    copies: int,
    start: int,
    hours: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Objective in $ and largest relative excess of each copy, load still owed included, [copies]."""
    spec = task.spec
    begin(task, rule, network, copies, generator)
    first = task.reset(copies, generator, start=start, horizon=hours)
    objective = torch.zeros(copies, device=task.device)
    used, counted = torch.zeros(2, copies, len(spec.budgets), device=task.device)
    for step in roll_out(task, rule, network, first, hours):
        objective -= step.reward.sum(-1)
        used += step.counted * (spec.members * step.usage).sum(1)
        counted += step.counted
    owed = step.measures["waiting_load"]
    objective += float(task.district.price.max()) * owed.sum(-1)
    debt = (spec.members * owed[..., None]).sum(1) / hours
    excess = (used / counted.clamp_min(1) + debt - spec.limits) / spec.limits
    return objective, excess.amax(-1)
