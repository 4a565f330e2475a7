"""Lagrange multipliers of a task's constraints: how training draws them, and what a step is worth at them.

λ [.., m] belong to the shared budgets, ν [..] to the local equality; both are in mean prices (`TaskSpec.price_scale`).
"""

from __future__ import annotations

from typing import Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from accord.envs.task import Step, TaskSpec, budget_usage


class MultiplierDraw(BaseModel):
    """How training draws multipliers, in mean prices, once per agent and episode.

    With one budget λ is uniform, and so is each of several that count in the same hours (feeders). Over the
    hours of the day independent draws hardly ever give a smooth or an empty profile, so there λ is a level
    times a daily wave plus noise. It is zero in some episodes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    lambda_high: float = Field(2.0, gt=0, description="Largest λ (one budget) or level (several).")
    """Unit: mean prices."""
    nu_low: float = Field(-4.0, description="Lowest ν.")
    """Unit: mean prices."""
    nu_high: float = Field(0.0, description="Highest ν.")
    """Unit: mean prices."""
    zero_share: float = Field(0.1, ge=0, le=1, description="Share of episodes with λ = 0.")
    noise: float = Field(0.1, ge=0, description="Standard deviation of the noise around the wave.")
    """Unit: mean prices."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.nu_low > self.nu_high:
            raise ValueError(f"nu_low {self.nu_low:g} is above nu_high {self.nu_high:g}")
        return self

    def draw(self, spec: TaskSpec, shape: tuple[int, ...], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """λ [*shape, m] and ν [*shape]."""
        m = len(spec.budgets)

        def uniform(*size: int) -> Tensor:
            return torch.rand(*shape, *size, generator=generator, device=generator.device)

        level = self.lambda_high * uniform(1)
        if m > 1 and all(torch.equal(b.hours, spec.budgets[0].hours) for b in spec.budgets):
            level = self.lambda_high * uniform(m)  # budgets of the same hours have no wave between them
        elif m > 1:
            phase, depth = 2 * torch.pi * uniform(1), uniform(1)
            hours = torch.stack([_centre(b.hours) for b in spec.budgets]).to(phase) * (2 * torch.pi / 24)
            wave = 1 + depth * torch.cos(hours - phase)
            noise = self.noise * torch.randn(*shape, m, generator=generator, device=generator.device)
            level = (level * wave + noise).clamp_min(0.0)
        level = level * (uniform(1) >= self.zero_share)
        nu = self.nu_low + (self.nu_high - self.nu_low) * uniform()
        return level.expand(*shape, m), nu


def lagrangian(spec: TaskSpec, step: Step, multipliers: Tensor, nu: Tensor) -> Tensor:
    """Each agent's r0 − λ·u + ν·s in the task's own currency, [B, N]."""
    price = (multipliers * budget_usage(spec, step)).sum(-1)
    local = 0.0 if step.shortfall is None else nu * step.shortfall
    return step.reward + spec.price_scale * (local - price)


def equal_shares(spec: TaskSpec) -> Tensor:
    """Each agent's equal part of each budget in units of its resource, 0 for who is not in it, [1 or N, m]."""
    return spec.members * spec.limits / spec.member_counts.clamp_min(1)


def _centre(hours: Tensor) -> Tensor:
    """Middle hour of a set of hours of the day, on the circle."""
    angle = hours.nonzero().flatten() * (2 * torch.pi / 24)
    return torch.atan2(angle.sin().mean(), angle.cos().mean()) * (24 / (2 * torch.pi))
