"""How `lagrangian` learns its multipliers in training: projected ascent on the relative violation."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from accord.baselines.base import Controller
from accord.baselines.multipliers.augmentation import budget_usage
from accord.baselines.multipliers.held import ConstraintConfig, HeldMultipliers
from accord.baselines.multipliers.moving import shares
from accord.baselines.training.joint import JointConfig
from accord.baselines.training.policy import PolicyController
from accord.envs.districts.district import HOURS
from accord.envs.network.static import Network
from accord.envs.task import Initial, Step, Task, TaskSpec

FEWEST = 4  # copies: an hour of the day is met once in each


class LagrangianKeeper:
    """What happens beside the learning with `lagrangian`: the dual ascent, and late policies put by."""

    def __init__(
        self, task: Task, controller: PolicyController, config: JointConfig, generator: torch.Generator
    ) -> None:
        """Args: task, the controller of what is trained, settings, source of every draw."""
        self._controller, self._ascent = controller, None
        if config.handling == "lagrangian" and controller.last.held is not None:
            probe = controller.greedy()
            self._ascent = DualAscent(task, probe, controller.last.held, config.constraints, generator)

    def steps_per_rollout(self, groups: int) -> int:
        """Agent-steps of the dual ascent beside each rollout of `groups` copies: they count as training."""
        return 0 if self._ascent is None else self._ascent.size(groups)

    def after_rollout(self, fraction: float) -> dict[str, float]:
        """One dual step; the share of the effort that is spent decides what is kept."""
        if self._ascent is None:
            return {}
        numbers = self._ascent.update()
        self._controller.keep(fraction)
        return numbers

    def companions(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"controller": self._controller} | ({} if self._ascent is None else {"ascent": self._ascent})


class DualAscent:
    """Moves held multipliers by what the current policy uses, a day of some copies at a time.

    Rolled out apart from training, without exploration and from where the last day left the plant: what is
    priced is what will be deployed. Every copy starts at an hour of its own, to which that plant need not
    belong, so a first day settles it and the second one counts.
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
        self._network = Network.build("path", spec.n_agents)  # nobody talks: multipliers are held
        own = len(held.lam) > 1
        part = shares(spec, config.share) if own else spec.limits[None]
        self._aim = (1 - config.tighten) * part  # [1 or N, m]
        self._scale = torch.where(part > 0, part, torch.ones_like(part))
        self._own, self._copies = own, FEWEST

    def size(self, groups: int) -> int:
        """Decide how many copies go with `groups` copies in training; agent-steps of one update."""
        self._copies = max(FEWEST, round(groups * self._config.probe_share))
        return self._copies * self._task.spec.n_agents * 2 * HOURS

    @torch.no_grad()
    def update(self) -> dict[str, float]:
        """One step of λ and ν; returns the largest excess over the aim and the mean λ."""
        spec, config = self._task.spec, self._config
        self._controller.reset(spec, self._network, self._copies, self._generator)
        initial: Initial = self._plant or "zero"
        step = self._task.reset(self._copies, self._generator, horizon=2 * HOURS, initial=initial)
        for _ in range(HOURS):
            step = self._task.step(self._controller.act(step))
        used = torch.zeros(spec.n_agents, len(spec.budgets), device=spec.device)
        counted, owed = torch.zeros(len(spec.budgets), device=spec.device), torch.zeros((), device=spec.device)
        for _ in range(HOURS):
            step = self._task.step(self._controller.act(step))
            used += budget_usage(spec, step).sum(0)
            counted += step.counted.sum(0)
            owed += _mean_shortfall(step, spec)
        self._plant = {name: step.measures[name].clone() for name in spec.plant}
        mean = used / counted.clamp_min(1)
        violation = ((mean if self._own else mean.sum(0, keepdim=True)) - self._aim) / self._scale
        moved = self._held.lam + config.lr * violation.clamp(-config.clip, config.clip)
        self._held.lam.copy_(moved.clamp(0.0, config.lambda_max))
        self._held.nu.sub_(config.nu_lr * owed / HOURS).clamp_(-config.nu_max, config.nu_max)
        return {"largest_excess": float(violation.max()), "lambda_mean": float(self._held.lam.mean())}

    def state_dict(self) -> dict[str, Tensor]:
        """The plant as the last day left it."""
        return self._plant

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from there."""
        self._plant = state


def _mean_shortfall(step: Step, spec: TaskSpec) -> Tensor:
    return torch.zeros((), device=spec.device) if step.shortfall is None else step.shortfall.mean() / spec.usage_scale
