"""IQL, VDN and QMIX: Q-learning from replay, each agent for itself or mixed into one value of the team.

The trunk is `baselines.training.q_learning`, the handling of constraints `baselines.multipliers.held`. A box of
actions becomes a grid.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from accord.baselines.base import Training
from accord.baselines.training.actors import Actor, QNetwork, best
from accord.baselines.training.environment import Observation
from accord.baselines.training.joint import JointEnvironment, has_budgets, joint_shapes
from accord.baselines.training.joint_method import JointMethod, Parts, register_joint
from accord.baselines.training.lagrangian import LagrangianCallback
from accord.baselines.training.policy import PolicyController, make_controller
from accord.baselines.training.q_learning import TeamValue, ValueConfig, train_values
from accord.envs.task import Box, Task
from accord.envs.wrappers.discrete_actions import GridTask, grid_points

NAMES = {"none": "iql", "sum": "vdn", "monotonic": "qmix"}
IQL: dict[str, Any] = {"mixer": "none", "reward": "decomposed", "multipliers": "own"}
VDN: dict[str, Any] = {"mixer": "sum", "reward": "team", "multipliers": "global"}
QMIX: dict[str, Any] = {"mixer": "monotonic", "reward": "team", "multipliers": "global"}


class ValueDecomposition(JointMethod[TeamValue]):
    """Q-learning on the whole task: IQL, VDN and QMIX, by what mixes the agents' values.

    Attributes:
        names: What the algorithm is called, by its mixer.
    """

    config_type = ValueConfig
    identity = "baselines.value_decomposition.ValueDecomposition"
    names: ClassVar[dict[str, str]] = NAMES
    config: ValueConfig

    def __init__(self, config: ValueConfig) -> None:
        """See `JointMethod`."""
        super().__init__(config)
        self.centralised_training = config.mixer != "none" or config.guidance > 0

    @property
    def _gamma(self) -> float:
        return self.config.gamma

    def _parts(self, task: Task, generator: torch.Generator) -> Parts[TeamValue]:
        config = self.config
        sees_multipliers = has_budgets(task.spec, config, f"{self.names[config.mixer]}-{config.handling}")
        decode: Callable[[Tensor], Tensor] = _unchanged
        gridded = task
        if isinstance(task.spec.action, Box):
            gridded = GridTask(task, config.levels)
            decode = partial(_from_grid, points=grid_points(task.spec.action, config.levels).to(task.device))
        shapes, networks = joint_shapes(gridded, config, sees_multipliers), config.networks(task.spec)
        values = TeamValue(shapes, task.spec.n_agents, config, generator, networks).to(task.device)
        choice = partial(mostly_best, epsilon=config.evaluation_epsilon) if config.evaluation_epsilon else best
        controller = make_controller(values.agent, task.spec, config, sees_multipliers, decode, choice)
        return Parts(gridded, values, controller)

    def _learn(
        self,
        env: JointEnvironment,
        model: TeamValue,
        training: Training,
        controller: PolicyController,
        callback: LagrangianCallback,
    ) -> None:
        train_values(env, model, self.config, training, learned=controller.state_dict, callback=callback)


def mostly_best(
    actor: Actor,
    obs: Tensor,
    memory: Tensor | None,
    mask: Tensor | None,
    generator: torch.Generator,
    *,
    epsilon: float,
) -> tuple[Tensor, Tensor | None]:
    """The `Choice` of the best action, a share `epsilon` of which is random."""
    assert isinstance(actor, QNetwork)
    return actor.explore(Observation(obs, obs.new_zeros(len(obs), 0), mask=mask), memory, epsilon, generator)


def _unchanged(action: Tensor) -> Tensor:
    return action


def _from_grid(action: Tensor, points: Tensor) -> Tensor:
    return points[action.squeeze(-1)]


register_joint(ValueDecomposition, {"iql": IQL, "vdn": VDN, "qmix": QMIX})
