"""Networked primal-dual actor-critic: agents train for themselves and agree with their neighbours on what they learn.

After Zhang, Yang, Liu, Zhang and Başar, "Fully decentralized multi-agent reinforcement learning with networked agents"
(2018), with a multiplier of each agent's own as in Lu et al. (2021) and Ying et al. (2023). With W the Metropolis
weights of the scenario's network, after every rollout

    ω_i ← Σ_j (W^K)_ij ω_j            its critic, and the units of its values, after an update on its own rewards
    θ_i ← θ_i + A_i·∇log π_i          its actor: nobody hears of it
    λ_i ← Σ_j (W^K)_ij [λ_j + η·(u_j − c/N)·N/c]₊

The update is PPO's (`baselines.training.ppo`). In the papers a critic reads the state and the actions of all; here it
reads an agent's own observation, so what is agreed on is a function and not the value of the team. An agent's part of
a budget is c/N for all agents alike: the mean of their steps is then the step of one multiplier on the use of
all, and agreed multipliers enforce the budget as a whole. In execution nobody talks.

Without rounds (K = 0) this is `ippo-lagrangian` with `policies: per_agent`, whose critics share the units of their
values. What the trunk scales by, the spread of advantages and the norm of gradients, is taken over all agents in both.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from accord.baselines.learners.mappo import IPPO, PolicyGradient, PolicyGradientConfig
from accord.baselines.multipliers.held import ConstraintConfig
from accord.baselines.registry import register
from accord.baselines.training.joint_method import Parts
from accord.baselines.training.lagrangian import LagrangianCallback
from accord.baselines.training.models import PerType, ValueNormaliser
from accord.baselines.training.ppo import ActorCritic
from accord.envs.errors import UsageError
from accord.envs.network import Network
from accord.envs.task import Task, TaskSpec

NAME = "networked-primal_dual"
AGREED_PRICES = "own observation; multipliers agreed with neighbours in training"
NETWORKED: dict[str, Any] = IPPO | {
    **{"policies": "per_agent", "reward": "decomposed"},
    **{"handling": "lagrangian", "moving": None},
}


class AgreedConstraints(ConstraintConfig):
    """Settings of multipliers that are averaged: only equal shares and steps in full keep the mean the district's."""

    share: Literal["equal"] = Field("equal", description="Part of a budget of who has multipliers alone.")
    clip: float = Field(10.0, gt=0, description="Largest relative violation that a step believes, of its own share.")


class NetworkedConfig(PolicyGradientConfig):
    """Settings of the networked primal-dual actor-critic: those of IPPO, and how often neighbours average."""

    constraints: AgreedConstraints = AgreedConstraints()
    rounds: int = Field(1, ge=0, description="Averages with the neighbours after each rollout, K; 0: nobody talks.")
    """Unit: rounds of gossip."""


@register(NAME, AGREED_PRICES, **NETWORKED)
class NetworkedPrimalDual(PolicyGradient):
    """PPO with an actor, a critic and multipliers for each agent; a network averages critics and multipliers."""

    config_type = NetworkedConfig
    identity = "baselines.networked.NetworkedPrimalDual"
    talks_in_training = True
    config: NetworkedConfig

    def __init__(self, config: NetworkedConfig) -> None:
        """See `PolicyGradient`; agents learn from each other unless they never talk."""
        super().__init__(config)
        self.centralised_training = self.centralised_training or config.rounds > 0

    def _parts(self, task: Task, generator: torch.Generator, objectives: int = 1) -> Parts[ActorCritic]:
        _check(task.spec)
        parts = super()._parts(task, generator, objectives)
        if self.config.rounds:
            parts.model.values = OwnUnits(task.spec.n_agents, objectives).to(task.device)
        return parts

    def _callback(
        self, task: Task, network: Network, parts: Parts[ActorCritic], generator: torch.Generator
    ) -> LagrangianCallback:
        if not self.config.rounds:
            return super()._callback(task, network, parts, generator)
        return Agreement(task, network, parts, self.config, generator)


class OwnUnits(ValueNormaliser):
    """Each agent's own mean and scale of its returns, [A, R]."""

    def __init__(self, agents: int, objectives: int = 1) -> None:
        """Set up.

        Args:
            agents: A.
            objectives: R.
        """
        super().__init__(objectives)
        self.mean, self.square = torch.zeros(agents, objectives), torch.zeros(agents, objectives)

    def update(self, returns: Tensor) -> None:
        """Take in returns [n·A, R], the agents of a step in a row."""
        super().update(returns.unflatten(0, (-1, len(self.mean))))


class Agreement(LagrangianCallback):
    """After each rollout: a dual step of every agent, then K averages with the neighbours."""

    def __init__(
        self,
        task: Task,
        network: Network,
        parts: Parts[ActorCritic],
        config: NetworkedConfig,
        generator: torch.Generator,
    ) -> None:
        """Set up.

        Args:
            task: What is learned.
            network: Who averages with whom.
            parts: What learns, with critics of each agent's own.
            config: Settings.
            generator: Source of every draw.
        """
        super().__init__(task, parts.controller, config, network, generator)
        held, critic, units = parts.controller.last.held, parts.model.critic, parts.model.values
        assert held is not None
        assert isinstance(critic, PerType)
        self._lam, self._counted = held.lam, task.spec.members > 0
        self._network, self._rounds = network, config.rounds
        # What each agent tells its neighbours, as views of the tensors that hold it.
        self._told = [
            [*(values.detach() for values in body.parameters()), units.mean[i], units.square[i], held.lam[i]]
            for i, body in enumerate(critic.bodies)
        ]

    @torch.no_grad()
    def after_rollout(self, fraction: float) -> dict[str, float]:
        """Move, agree, and late in training put the policy by."""
        assert self._ascent is not None
        before = self._lam.clone()
        numbers = self._ascent.update()
        # Whom a budget does not count uses nothing of it: its step would pull the others' price down.
        self._lam.copy_(torch.where(self._counted, self._lam, before))
        numbers |= self._agree()
        self._controller.keep(fraction)
        return numbers

    def _agree(self) -> dict[str, float]:
        """One message holds all that an agent tells; how far from their mean multipliers still are, and bytes sent."""
        rows = torch.stack([torch.cat([values.flatten() for values in own]) for own in self._told])
        sent = self._network.bytes
        mixed = self._network.mix(rows[None], self._rounds)[0]
        for row, own in zip(mixed, self._told, strict=True):
            for values, told in zip(own, row.split([values.numel() for values in own]), strict=True):
                values.copy_(told.view_as(values))
        apart = (self._lam - self._lam.mean(0)).abs().max()
        return {"disagreement": float(apart), "bytes": float(self._network.bytes - sent)}


def _check(spec: TaskSpec) -> None:
    """Refuse what this method has no meaning for.

    Raises:
        UsageError: links that change, or no budgets.
    """
    if "links" in spec.obs_fields:
        raise UsageError(f"method {NAME}: the links of task '{spec.name}' move; allowed: a network that stays")
    if not spec.budgets:
        raise UsageError(f"method {NAME}: task '{spec.name}' has no budgets to price; allowed: tasks with budgets")
