"""IPPO and MAPPO: PPO on the whole task, with a critic of one's own or a central one (Yu et al., 2022).

The trunk is `baselines.training.ppo`, the handling of constraints `baselines.multipliers.held`. With decomposed
rewards a central critic reads the state beside an agent's own observation; with the team's reward, the state alone.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from accord.baselines.base import Training
from accord.baselines.training.actors import best, drawn
from accord.baselines.training.environment import to_box
from accord.baselines.training.joint import JointConfig, JointEnvironment, has_budgets, joint_shapes
from accord.baselines.training.joint_method import JointMethod, Parts, register_joint
from accord.baselines.training.lagrangian import LagrangianCallback
from accord.baselines.training.policy import PolicyController, make_controller
from accord.baselines.training.ppo import ActorCritic, PPOConfig, train_ppo
from accord.envs.task import Box, Task, TaskSpec

IPPO: dict[str, Any] = {"critic": "own", "multipliers": "own"}
MAPPO: dict[str, Any] = {"critic": "central", "multipliers": "global"}


class PolicyGradientConfig(JointConfig):
    """Settings of IPPO and MAPPO. `actions` concerns execution alone."""

    critic: Literal["own", "central"] = Field("central", description="What the critic reads.")
    ppo: PPOConfig = PPOConfig()
    actions: Literal["mean", "sampled"] = Field("mean", description="Actions in execution.")

    def training_key(self) -> dict[str, Any]:
        """Without what concerns execution alone."""
        return {key: value for key, value in super().training_key().items() if key != "actions"}


class PolicyGradient(JointMethod[ActorCritic]):
    """PPO on the whole task: every agent learns from its own critic, or all from one that reads the state."""

    config_type = PolicyGradientConfig
    identity = "baselines.mappo.PolicyGradient"
    config: PolicyGradientConfig

    def __init__(self, config: PolicyGradientConfig) -> None:
        """See `JointMethod`."""
        super().__init__(config)
        self.centralised_training = config.critic == "central" or config.reward == "team" or config.guidance > 0

    @property
    def _gamma(self) -> float:
        return self.config.ppo.gamma

    def _parts(self, task: Task, generator: torch.Generator, objectives: int = 1) -> Parts[ActorCritic]:
        config, spec = self.config, task.spec
        name = f"{'mappo' if config.critic == 'central' else 'ippo'}-{config.handling}"
        sees_multipliers = has_budgets(spec, config, name)
        critic: Any = "team" if config.critic == "central" and config.reward == "team" else config.critic
        shapes = joint_shapes(task, config, sees_multipliers, objectives)
        model = ActorCritic(shapes, config.ppo, generator, critic, config.networks(spec)).to(spec.device)
        return Parts(task, model, self._controller(model, spec, sees_multipliers))

    def _controller(self, model: ActorCritic, spec: TaskSpec, sees_multipliers: bool) -> PolicyController:
        choice = drawn if self.config.actions == "sampled" else best
        return make_controller(model.actor, spec, self.config, sees_multipliers, partial(decode, spec=spec), choice)

    def _learn(
        self,
        env: JointEnvironment,
        model: ActorCritic,
        training: Training,
        controller: PolicyController,
        callback: LagrangianCallback,
    ) -> None:
        train_ppo(env, model, self.config.ppo, training, learned=controller.state_dict, callback=callback)


def decode(action: Tensor, spec: TaskSpec) -> Tensor:
    """From what an actor draws to the task's actions."""
    return to_box(action, spec.action) if isinstance(spec.action, Box) else action


register_joint(PolicyGradient, {"ippo": IPPO, "mappo": MAPPO})
