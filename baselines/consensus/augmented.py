"""State augmentation with consensus over Lagrange multipliers: the subject of this benchmark.

Training is of single agents (`baselines.multipliers.augmentation`), execution moves and exchanges multipliers
(`baselines.multipliers.moving`): Amaya-Corredor, Jonsson and Calvo-Fullana, Algorithm 1, eqs. 9-11 and 15.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field

from accord.baselines.base import Effort, Method, Training
from accord.baselines.consensus.controller import RULES, ConsensusController, PricedConfig, agents_of
from accord.baselines.multipliers.augmentation import augmented_dim
from accord.baselines.registry import register
from accord.baselines.training.environment import Shapes
from accord.baselines.training.ppo import ActorCritic, PPOConfig, train_ppo
from accord.baselines.training.progress import part_of
from accord.baselines.training.single_agents import AugmentedEnvironment, check_alone
from accord.envs.errors import UsageError
from accord.envs.network import Network
from accord.envs.task import Task


class ConsensusConfig(PricedConfig):
    """Settings of the consensus method. `rule`, `dual` and `actions` concern execution alone."""

    ppo: PPOConfig = PPOConfig()
    policies: Literal["shared", "per_type"] = Field("shared", description="One policy, or one per agent type.")
    shaping: bool = Field(True, description="Count rewards from the best that the grid alone could do.")
    by_size: bool = Field(False, description="Divide rewards by the size of the multipliers; for wide ranges.")
    copies: int = Field(64, ge=1, description="Copies of the task in training, each with a start of its own.")
    """Unit: copies."""
    agents: int = Field(16, ge=1, description="Agents drawn per copy and episode.")
    """Unit: agents."""
    actions: Literal["mean", "sampled"] = Field("mean", description="Actions in execution.")

    def training_key(self) -> dict[str, Any]:
        """Without what concerns execution alone."""
        return {key: value for key, value in super().training_key().items() if key != "actions"}


class Consensus(Method):
    """Single-agent PPO for every price at once; multipliers settle the price in execution."""

    config_type = ConsensusConfig
    identity = "baselines.consensus.Consensus"
    learns = True
    random = True
    config: ConsensusConfig

    def __init__(self, config: ConsensusConfig) -> None:
        """Drawn multipliers serve every level of a budget; found ones belong to one."""
        super().__init__(config)
        self.training_scope = "population" if config.prices == "drawn" else "scenario"

    def build(self, task: Task, generator: torch.Generator) -> ConsensusController:
        """An untrained controller; see `Method.build`."""
        return self._controller(self._models(task, generator), task)

    def train(self, task: Task, network: Network, training: Training) -> ConsensusController:
        """Train one policy per type, one after the other, within the effort together."""
        generator, effort = training.generator, training.effort
        models = self._models(task, generator)
        controller = self._controller(models, task)
        config, types = self.config, self._types(task)
        part = Effort(-(-effort.steps // len(types)), effort.seconds / len(types))
        done, spent = 0, 0.0
        for index, (kind, model) in enumerate(zip(types, models, strict=True)):
            population = task if kind is None else task.take(agents_of(task.spec, kind))
            gamma = config.ppo.gamma if config.shaping else None
            env = AugmentedEnvironment(
                population,
                controller.found or config.draw,
                config.copies,
                config.agents,
                generator,
                gamma,
                config.by_size,
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

    def _models(self, task: Task, generator: torch.Generator) -> list[ActorCritic]:
        """Untrained, one per type."""
        check_alone("consensus", task)
        if self.config.ppo.recurrent:
            raise UsageError("method consensus: key 'ppo.recurrent' must be false: its policies have no memory")
        shapes = Shapes(augmented_dim(task.spec), 0, task.spec.action)
        return [ActorCritic(shapes, self.config.ppo, generator).to(task.device) for _ in self._types(task)]

    def _controller(self, models: list[ActorCritic], task: Task) -> ConsensusController:
        config = self.config
        if config.prices == "found" and len(models) > 1:
            raise UsageError("method consensus: key 'policies' must be shared where 'prices' is found")
        return ConsensusController(
            config, [model.actor for model in models], config.actions, config.found_prices(task.spec)
        )


for rule, sees in RULES.items():
    register(f"consensus-{rule}", sees, rule=rule)(Consensus)
    register(f"consensus-moving-{rule}", sees, rule=rule, prices="found")(Consensus)
