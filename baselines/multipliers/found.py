"""Prices that single agents find while they train: λ is drawn around what meets the budgets, and not anywhere.

Where agents train alone, what they use tells how much a district of them would use. So λ climbs by projected ascent on
the relative violation of the training's own samples, one step per day, and nothing is rolled out beside it. A policy
then learns about the prices that it will meet, at the cost of serving these budgets alone.
"""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from accord.envs.districts.district import HOURS
from accord.envs.multipliers import MultiplierDraw
from accord.envs.task import Step, TaskSpec, budget_usage


class AscentConfig(BaseModel):
    """How λ is found, and how far around it training draws."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    lr: float = Field(0.02, ge=0, description="Step of λ, mean prices per relative violation and day.")
    """Unit: mean prices."""
    clip: float = Field(1.0, gt=0, description="Largest relative violation that a step believes.")
    tighten: float = Field(0.03, ge=0, lt=1, description="Aim below the budget by this share.")
    lambda_max: float = Field(4.0, gt=0, description="λ is held at or below this.")
    """Unit: mean prices."""
    spread: float = Field(1.0, ge=0, le=1, description="λ is drawn as 1 ± this times what was found, and noise.")


class FoundPrices(nn.Module):
    """λ [m] in mean prices as training finds it; what an episode draws lies around it."""

    lam: Tensor

    def __init__(self, spec: TaskSpec, config: AscentConfig, draw: MultiplierDraw) -> None:
        """Begin at 0.

        Args:
            spec: The task's.
            config: Steps, and how wide to draw.
            draw: How ν is drawn, and the noise of λ.
        """
        super().__init__()
        self._config, self._draw = config, draw
        self.register_buffer("lam", torch.zeros(len(spec.budgets), device=spec.device))
        self._begin()

    def draw(self, spec: TaskSpec, shape: tuple[int, ...], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """λ [*shape, m] and ν [*shape] of an episode that begins; see `MultiplierDraw.draw`."""
        self._begin()
        _, nu = self._draw.draw(spec, shape, generator)
        level = 1 + self._config.spread * (2 * torch.rand(*shape, 1, generator=generator, device=generator.device) - 1)
        noise = torch.randn(*shape, len(self.lam), generator=generator, device=generator.device)
        return (self.lam.to(level) * level + self._draw.noise * noise).clamp_min(0.0), nu

    def add(self, spec: TaskSpec, step: Step) -> None:
        """Take in what some of the agents used in a step; the first day of an episode settles its plant."""
        self._steps += 1
        if self._steps > HOURS:
            self._used += budget_usage(spec, step).detach().sum((0, 1))
            self._allowed += step.counted.sum(0) * spec.limits
            if self._steps % HOURS == 0:
                self._climb()

    def _begin(self) -> None:
        self._steps = 0
        self._used, self._allowed = torch.zeros_like(self.lam), torch.zeros_like(self.lam)

    def _climb(self) -> None:
        """One dual step, by what a day used; agents that are next drawn see it."""
        config, known = self._config, self._allowed > 0
        violation = self._used / self._allowed.clamp_min(1e-9) - (1 - config.tighten)
        moved = self.lam + config.lr * torch.where(known, violation, 0.0).clamp(-config.clip, config.clip)
        self.lam.copy_(moved.clamp(0.0, config.lambda_max))
        self._used.zero_()
        self._allowed.zero_()
