"""MOMAPPO: MAPPO on a vector of rewards, scalarised by a set of weights (as in MOMAland, Felten et al., 2024).

For each vector of weights a policy of its own is trained, with a critic of every objective and the weighted sum of
their advantages. Together they are an approximate front, from which one is picked on training hours or episodes. The
weights are drawn beforehand, not found one after the other by optimistic linear support (Roijers et al., 2015).

Under budgets the objectives are the local one, the use in each budget and the shortfall, and the budgets pick. Where a
task's reward has parts, these are the objectives, and the reward that the task itself makes of them picks.
"""

from __future__ import annotations

import time

import torch
from pydantic import Field
from torch import Tensor

from accord.baselines.base import Effort, Training
from accord.baselines.learners.mappo import PolicyGradient, PolicyGradientConfig
from accord.baselines.multipliers.held import HeldMultipliers
from accord.baselines.registry import register
from accord.baselines.rollout import begin, roll_out
from accord.baselines.training.joint import JointEnvironment, joint_shapes
from accord.baselines.training.joint_method import Parts
from accord.baselines.training.policy import PolicyController
from accord.baselines.training.ppo import ActorCritic, train_ppo
from accord.baselines.training.progress import part_of
from accord.envs.errors import UsageError
from accord.envs.network import Network
from accord.envs.task import Step, Task, budget_usage

OWN_WEIGHTS = "own observation; weights of objectives fixed in training"


class MomappoConfig(PolicyGradientConfig):
    """Settings of MOMAPPO: those of MAPPO and of its scalarisations."""

    scalarisations: int = Field(
        5, ge=1, description="Weight vectors: no price of use, or the task's own weights, first; then drawn ones."
    )
    """Unit: policies."""
    try_copies: int = Field(4, ge=1, description="Copies on which each policy is measured after training.")
    """Unit: copies."""


@register("momappo", OWN_WEIGHTS, critic="central", multipliers="global", handling="penalty", reward="decomposed")
class Momappo(PolicyGradient):
    """MAPPO with vector rewards, once per scalarisation; the budgets pick from the front."""

    config_type = MomappoConfig
    identity = "baselines.momappo.Momappo"
    config: MomappoConfig

    def build(self, task: Task, generator: torch.Generator) -> PolicyController:
        """An untrained controller; see `Method.build`."""
        if not task.spec.budgets and not task.spec.reward_parts:
            raise UsageError(
                f"method momappo: task '{task.spec.name}' has neither budgets nor parts of a reward to weigh"
            )
        return super().build(task, generator)

    def train(self, task: Task, network: Network, training: Training) -> PolicyController:
        """Train one policy per weight vector within the effort together, what measures them included."""
        config, generator, effort = self.config, training.generator, training.effort
        chosen = self.build(task, generator)
        count, spec = config.scalarisations, task.spec
        front = (BudgetFront if spec.budgets else RewardFront)(task, config, generator)
        beside = config.try_copies * spec.n_agents * spec.horizon
        part = Effort(max(1, -(-effort.steps // count) - beside), effort.seconds / count)
        done, learned, spent, best = 0, 0, 0.0, (torch.inf, torch.inf)
        for index in range(count):
            parts = self._parts(task, generator, objectives=front.objectives)
            controller = parts.controller
            env = front.environment(index, controller, generator)
            own = part_of(training, index, count, part, done, spent, learned=learned)
            steps, seconds = train_ppo(env, parts.model, config.ppo, own, learned=controller.state_dict)
            began = time.perf_counter()
            # The best actions: how they are drawn in execution is not a matter of training.
            score, found = front.judge(controller.greedy(), network)
            learned += min(steps, part.steps)
            done, spent = learned + (index + 1) * beside, spent + seconds + time.perf_counter() - began
            training.log({"steps": done, "learned_steps": learned, "seconds": spent, **found})
            if score < best:
                best = score
                chosen.last.load_state_dict(controller.last.state_dict())
        return chosen

    def _parts(self, task: Task, generator: torch.Generator, objectives: int = 1) -> Parts[ActorCritic]:
        if task.spec.budgets:
            return super()._parts(task, generator, objectives)
        nothing_to_handle = PolicyGradient(self.config.model_copy(update={"handling": "none"}))
        return nothing_to_handle._parts(task, generator, objectives)


Score = tuple[float, float]  # the least is best


class BudgetFront:
    """Weights are prices of use; the best policy violates least and then costs least.

    Attributes:
        objectives: Width of a reward.
    """

    def __init__(self, task: Task, config: MomappoConfig, generator: torch.Generator) -> None:
        """Draw the weights."""
        self._task, self._config = task, config
        self.objectives = len(task.spec.budgets) + 2
        self._weights, _ = config.constraints.draw.draw(task.spec, (config.scalarisations,), generator)
        self._weights[0] = 0.0

    def environment(self, index: int, controller: PolicyController, generator: torch.Generator) -> JointEnvironment:
        """What a policy learns in; it keeps its weights."""
        held, config = controller.last.held, self._config
        assert held is not None
        held.lam.copy_(self._weights[index])
        return VectorEnvironment(self._task, config, held, config.ppo.gamma, generator)

    def judge(self, controller: PolicyController, network: Network) -> tuple[Score, dict[str, float]]:
        """How good a policy is, and for the log."""
        violation, cost = measure(self._task, controller, network, self._config.try_copies)
        return (max(violation, 0.0), cost), {"front_violation": violation, "front_cost": cost}


class RewardFront:
    """Weights of the parts of a reward, of mean 1; the best policy has the highest return.

    Attributes:
        objectives: Width of a reward.
    """

    def __init__(self, task: Task, config: MomappoConfig, generator: torch.Generator) -> None:
        """Draw the weights, evenly among all that are not negative."""
        self._task, self._config = task, config
        count = len(task.spec.reward_parts)
        self.objectives = count + 1
        uniform = torch.rand(config.scalarisations, count, generator=generator, device=generator.device)
        drawn = -uniform.clamp_min(1e-20).log()
        self._weights = (count * drawn / drawn.sum(-1, keepdim=True)).to(task.device)
        self._weights[0] = 1.0

    def environment(self, index: int, controller: PolicyController, generator: torch.Generator) -> JointEnvironment:
        """What a policy learns in."""
        return PartsEnvironment(self._task, self._config, self._weights[index], generator)

    def judge(self, controller: PolicyController, network: Network) -> tuple[Score, dict[str, float]]:
        """How good a policy is, and for the log."""
        found = measure_return(self._task, controller, network, self._config.try_copies)
        return (-found, 0.0), {"front_return": found}


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
        self.shapes = joint_shapes(task, config, True, objectives=len(self.weights))

    def _objectives(self, step: Step, reward: Tensor) -> Tensor:
        spec = self._task.spec
        scale = (spec.usage_scale * spec.agent_scale)[:, None]
        use = -budget_usage(spec, step) / scale
        local = torch.zeros_like(use[..., :1]) if step.shortfall is None else step.shortfall[..., None] / scale
        parts = torch.cat([use, local], -1)
        return torch.cat([reward[..., None] - (parts * self.weights[1:]).sum(-1, keepdim=True), parts], -1)


class PartsEnvironment(JointEnvironment):
    """Rewards [B, N, K + 1]: the parts, and what guides in training, which has the weight 1."""

    def __init__(self, task: Task, config: MomappoConfig, weights: Tensor, generator: torch.Generator) -> None:
        """See `JointEnvironment`; weights of the parts [K]."""
        super().__init__(task, config, False, None, config.ppo.gamma, generator)
        self.weights = torch.cat([weights, weights.new_ones(1)])
        self.shapes = joint_shapes(task, config, False, objectives=len(self.weights))

    def _objectives(self, step: Step, reward: Tensor) -> Tensor:
        assert step.reward_parts is not None
        guidance = reward - step.reward_parts.sum(-1)
        return torch.cat([step.reward_parts, guidance[..., None]], -1)


@torch.no_grad()
def measure_return(task: Task, controller: PolicyController, network: Network, copies: int) -> float:
    """Mean return of some episodes, summed over agents."""
    generator, total = torch.Generator().manual_seed(0), 0.0
    begin(task, controller, network, copies, generator)
    for step in roll_out(task, controller, network, task.reset(copies, generator), task.spec.horizon):
        total += float(step.reward.sum()) / copies
    return total


@torch.no_grad()
def measure(task: Task, controller: PolicyController, network: Network, copies: int) -> tuple[float, float]:
    """Largest relative excess of a budget and cost per step on training hours; load still owed counts in both."""
    spec, generator = task.spec, torch.Generator().manual_seed(0)
    begin(task, controller, network, copies, generator)
    first = task.reset(copies, generator)
    used, counted = torch.zeros(2, len(spec.budgets), device=spec.device)
    owed, cost, top_price = torch.zeros(spec.n_agents, device=spec.device), 0.0, 0.0
    for step in roll_out(task, controller, network, first, spec.horizon):
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
