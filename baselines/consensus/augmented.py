"""State augmentation with consensus over Lagrange multipliers: the subject of this benchmark.

Training is of single agents (`baselines.multipliers.augmentation`), execution moves and exchanges multipliers
(`baselines.multipliers.moving`): Amaya-Corredor, Jonsson and Calvo-Fullana, Algorithm 1, eqs. 9-11 and 15.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from accord.baselines.base import Controller, Effort, Method, MethodConfig, ModelView, Rollout, RolloutStart, Training
from accord.baselines.consensus.chunked_rollout import FusedConsensus, NotFusedError
from accord.baselines.multipliers.augmentation import augment, augmented_dim, effective_prices
from accord.baselines.multipliers.moving import DualConfig, Multipliers, Rule
from accord.baselines.registry import register
from accord.baselines.training.actors import StochasticActor
from accord.baselines.training.environment import Shapes, to_box
from accord.baselines.training.ppo import ActorCritic, PPOConfig, train_ppo
from accord.baselines.training.progress import part_of
from accord.baselines.training.single_agents import AugmentedEnvironment
from accord.envs.demand_response import DemandResponse
from accord.envs.errors import UsageError
from accord.envs.multipliers import MultiplierDraw
from accord.envs.network import Network
from accord.envs.task import Box, Step, Task, TaskSpec

LOCAL_AND_NEIGHBOURS = "own observation, multipliers from neighbours"


class ConsensusConfig(MethodConfig):
    """Settings of the consensus method. `rule`, `dual` and `actions` concern execution alone."""

    ppo: PPOConfig = PPOConfig()
    draw: MultiplierDraw = MultiplierDraw()
    policies: Literal["shared", "per_type"] = Field("shared", description="One policy, or one per agent type.")
    shaping: bool = Field(True, description="Count rewards from the best that the grid alone could do.")
    by_size: bool = Field(False, description="Divide rewards by the size of the multipliers; for wide ranges.")
    copies: int = Field(64, ge=1, description="Copies of the task in training, each with a start of its own.")
    """Unit: copies."""
    agents: int = Field(16, ge=1, description="Agents drawn per copy and episode.")
    """Unit: agents."""
    rule: Rule = Field("gossip", description="How multipliers are agreed on.")
    dual: DualConfig = DualConfig()
    actions: Literal["mean", "sampled"] = Field("mean", description="Actions in execution.")

    def training_key(self) -> dict[str, Any]:
        """Without what concerns execution alone."""
        return self.model_dump(mode="json", exclude={"rule", "dual", "actions"})


class Consensus(Method):
    """Single-agent PPO for every price at once; multipliers settle the price in execution."""

    config_type = ConsensusConfig
    identity = "baselines.consensus.Consensus"
    learns = True
    random = True
    training_scope = "population"
    config: ConsensusConfig

    def build(self, task: Task, generator: torch.Generator) -> ConsensusController:
        """An untrained controller; see `Method.build`."""
        if not task.spec.separable:
            raise UsageError(
                f"method consensus: task '{task.spec.name}' is not separable, so agents cannot train alone"
            )
        if not isinstance(task.spec.action, Box):
            raise UsageError(f"method consensus: task '{task.spec.name}' has discrete actions; it needs a box")
        if self.config.ppo.recurrent:
            raise UsageError("method consensus: key 'ppo.recurrent' must be false: its policies have no memory")
        return ConsensusController(self.config, [self._model(task, generator) for _ in self._types(task)])

    def train(self, task: Task, network: Network, training: Training) -> ConsensusController:
        """Train one policy per type, one after the other, within the effort together."""
        generator, effort = training.generator, training.effort
        controller = self.build(task, generator)
        config, types = self.config, self._types(task)
        part = Effort(-(-effort.steps // len(types)), effort.seconds / len(types))
        done, spent = 0, 0.0
        for index, (kind, model) in enumerate(zip(types, controller.models, strict=True)):
            population = task if kind is None else task.take(_agents_of(task.spec, kind))
            gamma = config.ppo.gamma if config.shaping else None
            env = AugmentedEnvironment(
                population, config.draw, config.copies, config.agents, generator, gamma, config.by_size
            )
            own = part_of(training, index, len(types), part, done, spent)
            steps, seconds = train_ppo(env, model, config.ppo, own, learned=controller.state_dict)
            # Whole rollouts overshoot; a finished part counts as its share.
            done, spent = done + min(steps, part.steps), spent + seconds
        return controller

    def _types(self, task: Task) -> list[int | None]:
        if self.config.policies == "shared":
            return [None]
        return task.spec.agent_types.unique().tolist()

    def _model(self, task: Task, generator: torch.Generator) -> ActorCritic:
        shapes = Shapes(augmented_dim(task.spec), 0, task.spec.action)
        return ActorCritic(shapes, self.config.ppo, generator).to(task.device)


class ConsensusController(Controller):
    """Acts on its own observation and multipliers; exchanges multipliers after every step."""

    def __init__(self, config: ConsensusConfig, models: list[ActorCritic]) -> None:
        """Set up.

        Args:
            config: Settings.
            models: One model, or one per agent type.
        """
        self.config, self.models = config, models
        self.decentralised = config.rule != "broadcast"
        self.rounds = {"gossip": config.dual.rounds, "independent": 0}.get(config.rule, 1)

    def reset(self, start: RolloutStart) -> None:
        """Start every multiplier where the settings say."""
        super().reset(start)
        self.multipliers = Multipliers(self.config.rule, self.config.dual, start)
        spec = start.spec
        kinds = spec.agent_types.unique().tolist() if len(self.models) > 1 else []
        self._rows = [_agents_of(spec, kind).to(spec.device) for kind in kinds]

    def change(self, spec: TaskSpec, model: ModelView | None = None) -> None:
        """Aim at the new budgets."""
        super().change(spec, model)
        self.multipliers.aim(spec)

    def act(self, step: Step) -> Tensor:
        """Actions [B, N, A]."""
        prices = effective_prices(self.spec, step, self.multipliers.lam)
        seen = augment(self.spec, step, prices, self.multipliers.nu)
        if len(self.models) == 1:
            return to_box(self._draw(self.models[0].actor, seen))
        actions = seen.new_empty(*seen.shape[:2], self.spec.action.size)
        for model, rows in zip(self.models, self._rows, strict=True):
            actions[:, rows] = to_box(self._draw(model.actor, seen[:, rows]))
        return actions

    def feedback(self, step: Step) -> None:
        """One dual step."""
        self.multipliers.update(step)

    def in_chunks(self, task: Task) -> Rollout | None:
        """One shared policy's mean actions, with multipliers where they stand now; see `chunked_rollout`."""
        if len(self.models) > 1 or self.config.actions != "mean" or not isinstance(task, DemandResponse):
            return None
        try:
            rollout = FusedConsensus(task, self.network, self.models[0].actor, self.config.dual, self.config.rule)
        except NotFusedError:
            return None
        rollout.state.lam.copy_(self.multipliers.lam[0])
        rollout.state.nu.copy_(self.multipliers.nu[0])
        return rollout

    def diagnostics(self) -> dict[str, Tensor]:
        """λ [B, N, m] and ν [B, N]."""
        return {"multipliers": self.multipliers.lam, "local_multipliers": self.multipliers.nu}

    def multiplier_limit(self) -> float:
        """λ_max."""
        return self.config.dual.lambda_max

    def disagreement_bound(self, largest_excess: float) -> float | None:
        """Limsup ‖λ − λ̄‖₂/√N ≤ α·G·σ^K/(1 − σ^K) for plain gossip with a constant step (triangle inequality)."""
        dual = self.config.dual
        if (
            self.config.rule != "gossip"
            or dual.mixing != "plain"
            or dual.step_rule != "constant"
            or dual.share != "equal"
        ):
            return None
        # Agents that aim below the budget see a larger excess, by as much as they aim below.
        limits = self.spec.limits / self.spec.member_counts / self.spec.usage_scale
        largest = largest_excess + dual.tighten * float(limits.max())
        unit = float(limits.min()) if dual.unit == "share" else 1.0
        bound = self.network.consensus_bound(dual.alpha, largest / unit, dual.rounds)
        return bound / self.spec.n_agents**0.5

    def modules(self) -> dict[str, nn.Module]:
        """The actors: critics are not needed to act."""
        return {f"actor_{i}": model.actor for i, model in enumerate(self.models)}

    def _draw(self, actor: StochasticActor, seen: Tensor) -> Tensor:
        if self.config.actions == "mean":
            return actor.mode(seen, None)[0]
        return actor.sample(seen, None, self.generator)[0]


def _agents_of(spec: TaskSpec, kind: int) -> Tensor:
    return (spec.agent_types == kind).nonzero().flatten()


# What tells each name's agents apart from the others': how they agree on multipliers, and what that lets them see.
RULES: dict[Rule, str] = {
    "gossip": LOCAL_AND_NEIGHBOURS,
    "primal_dual": LOCAL_AND_NEIGHBOURS,
    "primal_dual_symmetric": LOCAL_AND_NEIGHBOURS,
    "independent": "own observation, own multipliers",
    "broadcast": "own observation, multipliers averaged centrally",
}
for rule, sees in RULES.items():
    register(f"consensus-{rule}", sees, rule=rule)(Consensus)
