"""How learners that train on the whole task handle its constraints: one piece for all of them.

Every handling prices a use of the shared resources with multipliers λ ≥ 0 and the local equality with ν, and
shows both to the policy as effective prices (`baselines.multipliers.augmentation`). They differ in where multipliers
come from:

    none         λ = 0: the budgets are ignored
    penalty      λ held at one number
    lagrangian   λ learned in training by projected ascent (`baselines.multipliers.ascent`), held in execution
    augmented    λ and ν drawn in training, moved in execution by what was used (`baselines.multipliers.moving`)

With `lagrangian` ν is not learned by default (`nu_lr` 0): budgets get multipliers, the local equality a fixed penalty.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from accord.baselines.multipliers.moving import DualConfig
from accord.envs.errors import UsageError
from accord.envs.multipliers import MultiplierDraw
from accord.envs.task import TaskSpec

Handling = Literal["none", "penalty", "lagrangian", "augmented"]


class ConstraintConfig(BaseModel):
    """Multipliers, in mean prices. `draw` and `dual` belong to `augmented`, the others to what holds λ."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    draw: MultiplierDraw = MultiplierDraw()
    dual: DualConfig = DualConfig()
    price: float = Field(0.0, ge=0, description="λ of `penalty`; the first λ of `lagrangian`.")
    """Unit: mean prices."""
    lr: float = Field(0.05, ge=0, description="lagrangian: step of λ, mean prices per relative violation and rollout.")
    """Unit: mean prices."""
    clip: float = Field(1.0, gt=0, description="lagrangian: largest relative violation that a step believes.")
    tighten: float = Field(0.03, ge=0, lt=1, description="lagrangian: aim below the budget by this share.")
    lambda_max: float = Field(4.0, gt=0, description="lagrangian: λ is held at or below this.")
    """Unit: mean prices."""
    share: Literal["equal", "own_peak"] = Field("equal", description="Part of a budget of who has multipliers alone.")
    nu: float = Field(-3.0, description="penalty, lagrangian: ν, or its first value; -3 pays 3 prices per unit served.")
    """Unit: mean prices."""
    nu_lr: float = Field(0.0, ge=0, description="lagrangian: step of ν, mean prices per base load of mean shortfall.")
    """Unit: mean prices per base load."""
    probe_share: float = Field(
        0.125, gt=0, description="lagrangian: copies that measure what is used, of the training's."
    )
    nu_max: float = Field(4.0, gt=0, description="lagrangian: ν is held within ± this.")
    """Unit: mean prices."""


class HeldMultipliers(nn.Module):
    """λ [1 or N, m] and ν [1] that do not move in execution."""

    lam: Tensor
    nu: Tensor

    def __init__(self, spec: TaskSpec, handling: Handling, config: ConstraintConfig, own: bool) -> None:
        """Take the first values.

        Args:
            spec: The task's.
            handling: Where multipliers come from.
            config: First values.
            own: Each agent has multipliers of its own.
        """
        super().__init__()
        first = 0.0 if handling == "none" else config.price
        shape = (spec.n_agents if own else 1, len(spec.budgets))
        self.register_buffer("lam", torch.full(shape, first, device=spec.device))
        self.register_buffer("nu", torch.full((1,), config.nu, device=spec.device))

    def expand(self, batch: int, n_agents: int) -> tuple[Tensor, Tensor]:
        """λ [B, N, m] and ν [B, N].

        Raises:
            UsageError: every agent has its own, and there are now others.
        """
        if len(self.lam) not in (1, n_agents):
            raise UsageError(f"multipliers of {len(self.lam)} agents do not fit a task with {n_agents}")
        return self.lam.expand(batch, n_agents, -1), self.nu.expand(batch, n_agents)
