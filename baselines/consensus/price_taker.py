"""The price-taker: no learning, but the consensus method's prices. What a learner is worth is seen beside it.

An agent serves from its battery first, and buys when the price now is the least of the coming day's. The price is the
tariff and its own multipliers; multipliers move and are agreed on as in `baselines.multipliers.moving`.
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from accord.baselines.base import Method
from accord.baselines.consensus.controller import RULES, ExecutionConfig, MultiplierController
from accord.baselines.multipliers.augmentation import effective_prices
from accord.baselines.multipliers.moving import Rule
from accord.baselines.registry import register
from accord.envs.demand_response import DemandResponse
from accord.envs.errors import UsageError
from accord.envs.task import Step, Task

NAMES: dict[Rule, str] = {rule: "price_taker" if rule == "gossip" else f"price_taker-{rule}" for rule in RULES}


class PriceTakerConfig(ExecutionConfig):
    """Settings of the price-taker: all of them concern execution."""

    temperature: float = Field(0.05, gt=0, description="How soft the choice between now and later is, τ.")
    """Unit: mean prices."""

    def training_key(self) -> dict[str, Any]:
        """Nothing is trained."""
        return {}


class PriceTaker(Method):
    """Buys the share σ((min over h ≥ 1 of (p_h + w·h) - p_0)/τ) of what the battery leaves; p is tariff and own λ."""

    config_type = PriceTakerConfig
    config: PriceTakerConfig

    def build(self, task: Task, generator: torch.Generator) -> PriceTakerController:
        """A controller with its first multipliers; see `Method.build`."""
        if not isinstance(task, DemandResponse):
            raise UsageError(f"method price_taker: task '{task.spec.name}' is not demand response")
        return PriceTakerController(self.config)


class PriceTakerController(MultiplierController):
    """Exchanges multipliers as the consensus method does, and acts on prices alone."""

    def __init__(self, config: PriceTakerConfig) -> None:
        """Set up.

        Args:
            config: Settings.
        """
        super().__init__(config)
        self._temperature = config.temperature

    def act(self, step: Step) -> Tensor:
        """Actions [B, N, 2]: all that the battery can give, and a share of the rest."""
        prices = effective_prices(self.spec, step, self.multipliers.lam)  # [B, N, ahead]
        waited = self.spec.delay_price * torch.arange(1, self.spec.ahead, device=prices.device)
        later = (prices[..., 1:] + waited).amin(-1)
        grid = torch.sigmoid((later - prices[..., 0]) / self._temperature)
        return torch.stack([torch.ones_like(grid), grid], -1)


for rule, sees in RULES.items():
    register(NAMES[rule], sees, rule=rule)(PriceTaker)
