"""MOMAPPO: MAPPO on a vector of rewards, scalarised by a set of weights (as in MOMAland, Felten et al., 2024).

The objectives are the local one, the use in each budget and the shortfall. For each vector of weights a policy of its
own is trained, with a critic of every objective and the weighted sum of their advantages. Together they are an
approximate front, from which the scenario's budgets pick one on training hours.
"""

from __future__ import annotations

import time
from functools import partial

import torch
from pydantic import Field
from torch import Tensor

from baselines.augmentation import budget_usage
from baselines.base import Checkpoint, Effort, Log
from baselines.constraints import HeldMultipliers
from baselines.joint import JointEnvironment, joint_widths
from baselines.mappo import PolicyGradient, PolicyGradientConfig
from baselines.parts import PartOf, log_after
from baselines.policy import OWN_PRICES, PolicyController
from baselines.ppo import train_ppo
from baselines.registry import register
from envs.errors import UsageError
from envs.network import Network
from envs.task import Step, Task


class MomappoConfig(PolicyGradientConfig):
    """Settings of MOMAPPO: those of MAPPO and of its scalarisations."""

    scalarisations: int = Field(
        5, ge=1, description="Weight vectors: no price of use first, then drawn like multipliers."
    )
    try_copies: int = Field(4, ge=1, description="Copies on which each policy is measured after training.")


@register("momappo", OWN_PRICES, critic="central", multipliers="global", handling="penalty", reward="decomposed")
class Momappo(PolicyGradient):
    """MAPPO with vector rewards, once per scalarisation; the budgets pick from the front."""

    config_type = MomappoConfig
    config: MomappoConfig

    def build(self, task: Task, generator: torch.Generator) -> PolicyController:
        """An untrained controller; see `Method.build`."""
        if not task.spec.budgets:
            raise UsageError(f"method momappo: task '{task.spec.name}' has no budgets to weigh")
        return super().build(task, generator)

    def train(
        self,
        task: Task,
        network: Network,
        effort: Effort,
        generator: torch.Generator,
        log: Log,
        checkpoint: Checkpoint,
    ) -> PolicyController:
        """Train one policy per weight vector within `effort` together, what measures them included."""
        config, chosen = self.config, self.build(task, generator)
        parts, spec = config.scalarisations, task.spec
        weights, _ = config.constraints.draw.draw(spec, (parts,), generator)
        weights[0] = 0.0
        beside = config.try_copies * spec.n_agents * spec.horizon
        part = Effort(max(1, -(-effort.steps // parts) - beside), effort.seconds / parts)
        done, spent, best = 0, 0.0, (torch.inf, torch.inf)
        for index in range(parts):
            model, controller = self._parts(task, generator, objectives=len(spec.budgets) + 2)
            assert controller.last.held is not None
            controller.last.held.lam.copy_(weights[index])
            env = VectorEnvironment(task, config, controller.last.held, config.ppo.gamma, generator)
            own, log_part = PartOf(checkpoint, index, parts), partial(log_after, log, done, spent)
            learned = controller.state_dict
            steps, seconds = train_ppo(env, model, config.ppo, part, generator, log_part, own, learned=learned)
            began = time.perf_counter()
            # The best actions: how they are drawn in execution is not a matter of training.
            violation, cost = measure(task, controller.greedy(), network, config.try_copies)
            done, spent = done + min(steps, part.steps) + beside, spent + seconds + time.perf_counter() - began
            log({"steps": done, "seconds": spent, "front_violation": violation, "front_cost": cost})
            if (score := (max(violation, 0.0), cost)) < best:
                best = score
                chosen.last.load_state_dict(controller.last.state_dict())
        return chosen


class VectorEnvironment(JointEnvironment):
    """Rewards [B, N, m + 2]: the local objective (shaping included), less the use in each budget, and the shortfall."""

    def __init__(
        self,
        task: Task,
        config: MomappoConfig,
        held: HeldMultipliers | None,
        gamma: float,
        generator: torch.Generator,
    ) -> None:
        """See `JointEnvironment`; the weights are 1, the held λ and the held ν."""
        assert held is not None
        super().__init__(task, config, True, held, gamma, generator)
        self.weights = torch.cat([torch.ones_like(held.nu), held.lam[0], held.nu])
        self.widths = joint_widths(task, config, True, objectives=len(self.weights))

    def _objectives(self, step: Step, reward: Tensor) -> Tensor:
        spec = self._task.spec
        scale = (spec.usage_scale * spec.agent_scale)[:, None]
        use = -budget_usage(spec, step) / scale
        local = torch.zeros_like(use[..., :1]) if step.shortfall is None else step.shortfall[..., None] / scale
        parts = torch.cat([use, local], -1)
        return torch.cat([reward[..., None] - (parts * self.weights[1:]).sum(-1, keepdim=True), parts], -1)


@torch.no_grad()
def measure(task: Task, controller: PolicyController, network: Network, copies: int) -> tuple[float, float]:
    """Largest relative excess of a budget and cost per step on training hours; load still owed counts in both."""
    spec, generator = task.spec, torch.Generator().manual_seed(0)
    controller.reset(spec, network, copies, generator)
    step = task.reset(copies, generator)
    used, counted = torch.zeros(2, len(spec.budgets), device=spec.device)
    owed, cost, top_price = torch.zeros(spec.n_agents, device=spec.device), 0.0, 0.0
    for _ in range(spec.horizon):
        step = task.step(controller.act(step))
        used += budget_usage(spec, step).sum((0, 1))
        counted += step.counted.sum(0)
        cost -= float(step.reward.sum()) / copies
        if step.shortfall is not None:
            owed += step.shortfall.mean(0)
        top_price = max(top_price, float(step.measures["price"].max())) if "price" in step.measures else 0.0
    owed = owed.clamp_min(0.0)
    debt = (spec.members * owed[:, None]).sum(0) / spec.horizon
    excess = (used / counted.clamp_min(1) + debt - spec.limits) / spec.limits
    return float(excess.max()), (cost + top_price * float(owed.sum())) / spec.horizon
