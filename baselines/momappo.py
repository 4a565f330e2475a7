"""MOMAPPO: MAPPO on a vector of rewards, scalarised by a set of weights (as in MOMAland, Felten et al., 2024).

The objectives are the local one, the use in each budget and the shortfall. For each price of use a policy of its own
is trained, with a critic of every objective and the weighted sum of their advantages. Together they are an
approximate front, from which the scenario's budgets pick one on training hours.
"""

from __future__ import annotations

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
from baselines.ppo import ActorCritic, train_ppo
from baselines.registry import register
from envs.errors import UsageError
from envs.network import Network
from envs.task import Step, Task


class MomappoConfig(PolicyGradientConfig):
    """Settings of MOMAPPO: those of MAPPO and the weights of its scalarisations."""

    prices: tuple[float, ...] = Field((0.0, 0.25, 0.5, 1.0, 2.0), min_length=1, description="Weights of use, each run.")
    try_copies: int = Field(8, ge=1, description="Copies on which the front is measured after training.")


@register("momappo", OWN_PRICES, critic="central", multipliers="global", handling="penalty")
class Momappo(PolicyGradient):
    """MAPPO with vector rewards, once per scalarisation; the budgets pick from the front."""

    config_type = MomappoConfig
    config: MomappoConfig

    def train(
        self,
        task: Task,
        network: Network,
        effort: Effort,
        generator: torch.Generator,
        log: Log,
        checkpoint: Checkpoint,
    ) -> PolicyController:
        """Train one policy per price within `effort` together; see `Method.train`."""
        config, chosen = self.config, self.build(task, generator)
        part = Effort(effort.steps // len(config.prices), effort.seconds / len(config.prices))
        done, spent, best = 0, 0.0, (torch.inf, torch.inf)
        for index, price in enumerate(config.prices):
            model, controller = self._at(task, price, generator)
            env = VectorEnvironment(task, config, controller.last.held, config.ppo.gamma, generator)
            own, log_part = PartOf(checkpoint, index, len(config.prices)), partial(log_after, log, done, spent)
            steps, seconds = train_ppo(env, model, config.ppo, part, generator, log_part, own)
            done, spent = done + min(steps, part.steps), spent + seconds
            violation, cost = measure(task, controller, network, config.try_copies)
            log({"steps": done, "seconds": spent, "price": price, "front_violation": violation, "front_cost": cost})
            score = (max(violation, 0.0), cost)
            if score < best:
                best = score
                chosen.last.load_state_dict(controller.last.state_dict())
        return chosen

    def _at(self, task: Task, price: float, generator: torch.Generator) -> tuple[ActorCritic, PolicyController]:
        """A model of vector values and its controller, at one price of use."""
        config = self.config
        if not task.spec.budgets or config.reward == "team":
            raise UsageError("method momappo: it needs a task with budgets, and rewards that are decomposed")
        at_price = config.model_copy(update={"constraints": config.constraints.model_copy(update={"price": price})})
        return Momappo(at_price)._parts(task, generator, objectives=len(task.spec.budgets) + 2)


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
        self.weights = torch.cat([torch.ones(1), held.lam[0], held.nu])
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
    """Largest relative excess of a budget, load still owed included, and cost per step, on training hours."""
    spec, generator = task.spec, torch.Generator().manual_seed(0)
    controller.reset(spec, network, copies, generator)
    step = task.reset(copies, generator)
    used, counted, cost = torch.zeros(len(spec.budgets)), torch.zeros(len(spec.budgets)), 0.0
    owed = torch.zeros(spec.n_agents)
    for _ in range(spec.horizon):
        step = task.step(controller.act(step))
        used += budget_usage(spec, step).sum((0, 1))
        counted += step.counted.sum(0)
        cost -= float(step.reward.sum()) / copies
        owed += torch.zeros(()) if step.shortfall is None else step.shortfall.mean(0)
    debt = (spec.members * owed.clamp_min(0.0)[:, None]).sum(0) / spec.horizon
    excess = (used / counted.clamp_min(1) + debt - spec.limits) / spec.limits
    return float(excess.max()), cost / spec.horizon
