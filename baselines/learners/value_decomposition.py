"""IQL, VDN and QMIX: Q-learning from replay, each agent for itself or mixed into one value of the team.

The trunk is `baselines.training.q_learning`, the handling of constraints `baselines.multipliers.held`. A box of
actions becomes a grid.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from accord.baselines.base import Checkpoint, Effort, Log, Method
from accord.baselines.multipliers.ascent import LagrangianKeeper
from accord.baselines.registry import register
from accord.baselines.training.joint import JointEnvironment, is_priced, joint_widths
from accord.baselines.training.policy import (
    CENTRAL_PRICES,
    OWN,
    OWN_MULTIPLIERS,
    OWN_PRICES,
    PolicyController,
    make_controller,
)
from accord.baselines.training.q_learning import TeamValue, ValueConfig, train_values
from accord.envs.network.static import Network
from accord.envs.task import Box, Task
from accord.envs.wrappers.discrete_actions import GridTask, grid_points

NAMES = {"none": "iql", "sum": "vdn", "monotonic": "qmix"}
IQL: dict[str, Any] = {"mixer": "none", "reward": "decomposed", "multipliers": "own"}
VDN: dict[str, Any] = {"mixer": "sum", "reward": "team", "multipliers": "global"}
QMIX: dict[str, Any] = {"mixer": "monotonic", "reward": "team", "multipliers": "global"}


@register("iql", OWN, **IQL, handling="none")
@register("iql-penalty", OWN_PRICES, **IQL, handling="penalty")
@register("iql-lagrangian", OWN_PRICES, **IQL, handling="lagrangian")
@register("iql-augmented", OWN_MULTIPLIERS, **IQL, handling="augmented")
@register("vdn", OWN, **VDN, handling="none")
@register("vdn-penalty", OWN_PRICES, **VDN, handling="penalty")
@register("vdn-lagrangian", OWN_PRICES, **VDN, handling="lagrangian")
@register("vdn-augmented", CENTRAL_PRICES, **VDN, handling="augmented")
@register("qmix", OWN, **QMIX, handling="none")
@register("qmix-penalty", OWN_PRICES, **QMIX, handling="penalty")
@register("qmix-lagrangian", OWN_PRICES, **QMIX, handling="lagrangian")
@register("qmix-augmented", CENTRAL_PRICES, **QMIX, handling="augmented")
class ValueDecomposition(Method):
    """Q-learning on the whole task: IQL, VDN and QMIX, by what mixes the agents' values."""

    config_type = ValueConfig
    identity = "baselines.value_decomposition.ValueDecomposition"
    learns = True
    random = True
    config: ValueConfig

    def __init__(self, config: ValueConfig) -> None:
        """Drawn multipliers serve every level of a budget; held ones belong to one."""
        super().__init__(config)
        self.training_scope = "population" if config.handling == "augmented" else "scenario"
        self.centralised_training = config.mixer != "none" or config.guidance > 0

    def build(self, task: Task, generator: torch.Generator) -> PolicyController:
        """An untrained controller; see `Method.build`."""
        return self._parts(task, generator)[2]

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
        gridded, values, controller = self._parts(task, generator)
        env = JointEnvironment(gridded, config, controller.priced, controller.last.held, config.gamma, generator)
        keeper = LagrangianKeeper(task, controller, config, generator)
        train_values(env, values, config, effort, generator, log, checkpoint, keeper, controller.state_dict)
        return controller

    def _parts(self, task: Task, generator: torch.Generator) -> tuple[Task, TeamValue, PolicyController]:
        config = self.config
        priced = is_priced(task.spec, config, f"{NAMES[config.mixer]}-{config.handling}")
        decode: Callable[[Tensor], Tensor] = _unchanged
        gridded = task
        if isinstance(task.spec.action, Box):
            gridded = GridTask(task, config.levels)
            decode = partial(_from_grid, points=grid_points(task.spec.action, config.levels).to(task.device))
        widths, networks = joint_widths(gridded, config, priced), config.networks(task.spec)
        values = TeamValue(widths, task.spec.n_agents, config, generator, networks).to(task.device)
        return gridded, values, make_controller(values.agent, task.spec, config, priced, decode)


def _unchanged(action: Tensor) -> Tensor:
    return action


def _from_grid(action: Tensor, points: Tensor) -> Tensor:
    return points[action.squeeze(-1)]
