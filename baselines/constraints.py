"""How learners that train on the whole task handle its constraints: one piece for all of them.

Every handling prices a use of the shared resources with multipliers λ ≥ 0 and the local equality with ν, and
shows both to the policy as effective prices (`baselines.augmentation`). They differ in where multipliers come from:

    none         λ = 0: the budgets are ignored
    penalty      λ held at one number
    lagrangian   λ learned in training by projected ascent on the relative violation, held in execution
    augmented    λ and ν drawn in training, moved in execution by what was used (`baselines.dual`)
"""

from __future__ import annotations

import copy
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from baselines.augmentation import MultiplierDraw
from baselines.base import Controller
from baselines.dual import DualConfig, shares
from envs.district import HOURS
from envs.errors import UsageError
from envs.network import Network
from envs.task import Initial, Step, Task, TaskSpec

Handling = Literal["none", "penalty", "lagrangian", "augmented"]


class ConstraintConfig(BaseModel):
    """Multipliers, in mean prices. `draw` and `dual` belong to `augmented`, the others to what holds λ."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    draw: MultiplierDraw = MultiplierDraw()
    dual: DualConfig = DualConfig()
    price: float = Field(0.0, ge=0, description="λ of `penalty`; the first λ of `lagrangian`.")
    lr: float = Field(0.05, ge=0, description="lagrangian: step of λ, mean prices per relative violation and rollout.")
    clip: float = Field(1.0, gt=0, description="lagrangian: largest relative violation that a step believes.")
    tighten: float = Field(0.03, ge=0, lt=1, description="lagrangian: aim below the budget by this share.")
    lambda_max: float = Field(4.0, gt=0, description="lagrangian: λ is held at or below this.")
    share: Literal["equal", "own_peak"] = Field("equal", description="Part of a budget of who has multipliers alone.")
    nu: float = Field(-3.0, description="penalty, lagrangian: ν, or its first value; -3 pays 3 prices per unit served.")
    nu_lr: float = Field(0.0, ge=0, description="lagrangian: step of ν, mean prices per base load of mean shortfall.")
    probes: int = Field(32, ge=1, description="lagrangian: copies that are rolled out to measure what is used.")


class HeldMultipliers(nn.Module):
    """λ [1 or N, m] and ν [1] that do not move in execution."""

    lam: Tensor
    nu: Tensor

    def __init__(self, spec: TaskSpec, handling: Handling, config: ConstraintConfig, own: bool) -> None:
        """Args: task, handling, first values, and whether each agent has multipliers of its own."""
        super().__init__()
        first = 0.0 if handling == "none" else config.price
        self.register_buffer("lam", torch.full((spec.n_agents if own else 1, len(spec.budgets)), first))
        self.register_buffer("nu", torch.full((1,), config.nu))

    def expand(self, batch: int, n_agents: int) -> tuple[Tensor, Tensor]:
        """λ [B, N, m] and ν [B, N].

        Raises:
            UsageError: every agent has its own, and there are now others.
        """
        if len(self.lam) not in (1, n_agents):
            raise UsageError(f"multipliers of {len(self.lam)} agents do not fit a task with {n_agents}")
        return self.lam.expand(batch, n_agents, -1), self.nu.expand(batch, n_agents)


class DualAscent:
    """Moves held multipliers by what the current policy uses, a day of some copies at a time.

    Rolled out apart from training, without exploration and from where the last day left the plant: what is
    priced is what will be deployed.
    """

    def __init__(
        self,
        task: Task,
        controller: Controller,
        held: HeldMultipliers,
        config: ConstraintConfig,
        generator: torch.Generator,
    ) -> None:
        """Args: task, a controller with the policy that is being trained, the multipliers to move, settings."""
        self._task, self._controller, self._held, self._config = copy.copy(task), controller, held, config
        self._generator = generator
        self._plant: dict[str, Tensor] = {}
        spec = task.spec
        own = len(held.lam) > 1
        part = shares(spec, config.share) if own else spec.limits[None]
        self._aim = (1 - config.tighten) * part  # [1 or N, m]
        self._scale = torch.where(part > 0, part, torch.ones_like(part))
        self._own = own

    @torch.no_grad()
    def update(self) -> dict[str, float]:
        """One step of λ and ν; returns the largest relative violation and the mean λ."""
        spec, config = self._task.spec, self._config
        network = Network.build("ring", spec.n_agents) if spec.n_agents > 2 else Network.build("path", spec.n_agents)
        self._controller.reset(spec, network, config.probes, self._generator)
        initial: Initial = self._plant or "zero"
        step = self._task.reset(config.probes, self._generator, initial=initial)
        used = torch.zeros(spec.n_agents, len(spec.budgets))
        counted, owed = torch.zeros(len(spec.budgets)), torch.zeros(())
        for _ in range(HOURS):
            step = self._task.step(self._controller.act(step))
            per_budget = step.usage[..., spec.resource_of] * spec.members  # [B, N, m]
            used += (step.counted[:, None] * per_budget).sum(0)
            counted += step.counted.sum(0)
            owed += _mean_shortfall(step, spec)
        self._plant = {name: step.measures[name].clone() for name in spec.plant}
        mean = used / counted.clamp_min(1)
        violation = ((mean if self._own else mean.sum(0, keepdim=True)) - self._aim) / self._scale
        moved = self._held.lam + config.lr * violation.clamp(-config.clip, config.clip)
        self._held.lam.copy_(moved.clamp(0.0, config.lambda_max))
        self._held.nu.sub_(config.nu_lr * owed / HOURS)
        return {"largest_excess": float(violation.max()), "lambda_mean": float(self._held.lam.mean())}

    def state_dict(self) -> dict[str, Tensor]:
        """The plant as the last day left it."""
        return self._plant

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from there."""
        self._plant = state


def _mean_shortfall(step: Step, spec: TaskSpec) -> Tensor:
    return torch.zeros(()) if step.shortfall is None else step.shortfall.mean() / spec.usage_scale
