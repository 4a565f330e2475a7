"""How multipliers are learned in training: projected ascent on the relative violation."""

from __future__ import annotations

import copy
from itertools import islice

import torch
from torch import Tensor

from accord.baselines.base import Controller
from accord.baselines.multipliers.held import ConstraintConfig, HeldMultipliers
from accord.baselines.multipliers.moving import shares
from accord.baselines.rollout import begin, roll_out
from accord.envs.districts.district import HOURS
from accord.envs.network import Network
from accord.envs.task import Initial, Step, Task, TaskSpec, budget_usage

FEWEST = 4  # copies: an hour of the day is met once in each


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
        network: Network,
        generator: torch.Generator,
    ) -> None:
        """Set up.

        Args:
            task: What is learned.
            controller: A controller with the policy that is being trained.
            held: The multipliers to move.
            config: Settings.
            network: Who talks to whom in training, and so while it is measured.
            generator: Source of every draw.
        """
        self._task, self._controller, self._held, self._config = copy.copy(task), controller, held, config
        self._network, self._generator = network, generator
        self._plant: dict[str, Tensor] = {}
        spec = task.spec
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
        begin(self._task, self._controller, self._network, self._copies, self._generator)
        initial: Initial = self._plant or "zero"
        first = self._task.reset(self._copies, self._generator, horizon=2 * HOURS, initial=initial)
        steps = roll_out(self._task, self._controller, self._network, first, 2 * HOURS)
        for _ in islice(steps, HOURS):  # settles the plant
            pass
        used = torch.zeros(spec.n_agents, len(spec.budgets), device=spec.device)
        counted, owed = torch.zeros(len(spec.budgets), device=spec.device), torch.zeros((), device=spec.device)
        for step in steps:
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
