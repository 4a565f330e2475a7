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

from accord.baselines.base import Checkpoint, Effort, Log, Method
from accord.baselines.multipliers.ascent import LagrangianKeeper
from accord.baselines.registry import register
from accord.baselines.training.environment import to_box
from accord.baselines.training.joint import JointConfig, JointEnvironment, is_priced, joint_widths
from accord.baselines.training.policy import (
    CENTRAL_PRICES,
    OWN,
    OWN_MULTIPLIERS,
    OWN_PRICES,
    PolicyController,
    make_controller,
)
from accord.baselines.training.ppo import ActorCritic, PPOConfig, train_ppo
from accord.envs.network.static import Network
from accord.envs.task import Box, Task, TaskSpec

# First λ and its step in the published MAPPO-Lagrangian (SafePO): it hardly moves, so this is an ablation.
PUBLISHED: dict[str, Any] = {"constraints": {"price": 0.78, "lr": 1e-5, "tighten": 0.0}, "iterate": "last"}
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


@register("ippo", OWN, **IPPO, handling="none")
@register("ippo-penalty", OWN_PRICES, **IPPO, handling="penalty")
@register("ippo-lagrangian", OWN_PRICES, **IPPO, handling="lagrangian")
@register("ippo-augmented", OWN_MULTIPLIERS, **IPPO, handling="augmented")
@register("mappo", OWN, **MAPPO, handling="none")
@register("mappo-penalty", OWN_PRICES, **MAPPO, handling="penalty")
@register("mappo-lagrangian", OWN_PRICES, **MAPPO, handling="lagrangian")
@register("mappo-augmented", CENTRAL_PRICES, **MAPPO, handling="augmented")
@register("mappo_lagrangian_as_published", OWN_PRICES, **MAPPO, handling="lagrangian", **PUBLISHED)
class PolicyGradient(Method):
    """PPO on the whole task: every agent learns from its own critic, or all from one that reads the state."""

    config_type = PolicyGradientConfig
    identity = "baselines.mappo.PolicyGradient"
    learns = True
    random = True
    config: PolicyGradientConfig

    def __init__(self, config: PolicyGradientConfig) -> None:
        """Drawn multipliers serve every level of a budget; held ones belong to one."""
        super().__init__(config)
        self.training_scope = "population" if config.handling == "augmented" else "scenario"
        self.centralised_training = config.critic == "central" or config.reward == "team" or config.guidance > 0

    def build(self, task: Task, generator: torch.Generator) -> PolicyController:
        """An untrained controller; see `Method.build`."""
        return self._parts(task, generator)[1]

    def train(
        self,
        task: Task,
        network: Network,
        effort: Effort,
        generator: torch.Generator,
        log: Log,
        checkpoint: Checkpoint,
    ) -> PolicyController:
        """Train on the task itself; see `Method.train`."""
        config = self.config
        model, controller = self._parts(task, generator)
        held = controller.last.held
        if "links" not in task.spec.obs_fields:  # of a graph that moves agents see who is near
            model.actor.listen(network)
        env = JointEnvironment(task, config, controller.priced, held, config.ppo.gamma, generator)
        keeper = LagrangianKeeper(task, controller, config, generator)
        train_ppo(
            env,
            model,
            config.ppo,
            effort,
            generator,
            log,
            checkpoint,
            companions=keeper.companions(),
            after_rollout=keeper.after_rollout,
            beside=keeper.steps_per_rollout(env.groups),
            learned=controller.state_dict,
        )
        return controller

    def _parts(
        self, task: Task, generator: torch.Generator, objectives: int = 1
    ) -> tuple[ActorCritic, PolicyController]:
        config, spec = self.config, task.spec
        priced = is_priced(spec, config, f"{'mappo' if config.critic == 'central' else 'ippo'}-{config.handling}")
        critic: Any = "team" if config.critic == "central" and config.reward == "team" else config.critic
        widths = joint_widths(task, config, priced, objectives)
        model = ActorCritic(widths, config.ppo, generator, critic, config.networks(spec)).to(spec.device)
        sampled = config.actions == "sampled"
        return model, make_controller(model.actor, spec, config, priced, partial(decode, spec=spec), sampled=sampled)


def decode(action: Tensor, spec: TaskSpec) -> Tensor:
    """From what an actor draws to the task's actions."""
    return to_box(action, spec.action) if isinstance(spec.action, Box) else action
