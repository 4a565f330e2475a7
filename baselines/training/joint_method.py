"""What all methods share that learn on the whole task, and the names that they go by: algorithm × handling."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from accord.baselines.base import Method, Training
from accord.baselines.multipliers.held import Handling
from accord.baselines.multipliers.moving import SEES
from accord.baselines.registry import register
from accord.baselines.training.joint import JointConfig, JointEnvironment
from accord.baselines.training.lagrangian import LagrangianCallback
from accord.baselines.training.policy import PolicyController
from accord.envs.network import Network
from accord.envs.task import Task

# What a name says after the algorithm's of how constraints are handled.
SUFFIXES: dict[Handling, str] = {
    "none": "",
    "penalty": "-penalty",
    "lagrangian": "-lagrangian",
    "augmented": "-augmented",
}
OWN = "own observation"
# What these policies see in execution, in the words of the tables; see `register`.
OWN_PRICES = "own observation; multipliers fixed in training"

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class Parts(Generic[M]):
    """What a training consists of.

    Attributes:
        task: As it is learned on: with discrete actions, where a method needs them.
        model: What learns.
        controller: What acts with it.
    """

    task: Task
    model: M
    controller: PolicyController


class JointMethod(Method, Generic[M]):
    """A method that learns on the whole task."""

    learns = True
    random = True
    config: JointConfig

    def __init__(self, config: JointConfig) -> None:
        """Drawn multipliers serve every level of a budget; held ones belong to one."""
        super().__init__(config)
        self.training_scope = "population" if config.handling == "augmented" else "scenario"

    def build(self, task: Task, generator: torch.Generator) -> PolicyController:
        """An untrained controller; see `Method.build`."""
        return self._parts(task, generator).controller

    def train(self, task: Task, network: Network, training: Training) -> PolicyController:
        """Train on the task itself; see `Method.train`."""
        parts = self._parts(task, training.generator)
        controller = parts.controller
        held = controller.last.held
        if "links" not in task.spec.obs_fields:  # of a graph that moves agents see who is near
            controller.last.actor.listen(network)
        env = JointEnvironment(
            parts.task, self.config, controller.sees_multipliers, held, self._gamma, training.generator
        )
        callback = self._callback(task, network, parts, training.generator)
        self._learn(env, parts.model, training, controller, callback)
        return controller

    def _callback(
        self, task: Task, network: Network, parts: Parts[M], generator: torch.Generator
    ) -> LagrangianCallback:
        """What happens beside the learning; it may talk over the network."""
        return LagrangianCallback(task, parts.controller, self.config, network, generator)

    @property
    @abstractmethod
    def _gamma(self) -> float:
        """Discount per step."""

    @abstractmethod
    def _parts(self, task: Task, generator: torch.Generator) -> Parts[M]:
        """What a training on a task consists of, untrained."""

    @abstractmethod
    def _learn(
        self,
        env: JointEnvironment,
        model: M,
        training: Training,
        controller: PolicyController,
        callback: LagrangianCallback,
    ) -> None:
        """Train the model with the method's trunk."""


def register_joint(
    method: type[Method],
    algorithms: Mapping[str, Mapping[str, Any]],
    handlings: Sequence[Handling] = tuple(SUFFIXES),
    *,
    sees: Mapping[Handling, str] | None = None,
) -> None:
    """Make a class known by one name for each algorithm and handling of constraints, and rule of multipliers that move.

    What moves in execution was learned in training: `X-moving-RULE` is a training of `X-lagrangian`.

    Args:
        method: The class.
        algorithms: The settings that the name of each fixes, `multipliers` among them.
        handlings: Those that it has.
        sees: What its policies see in execution, where that is not what their multipliers say.
    """
    for algorithm, settings in algorithms.items():
        own = settings["multipliers"] == "own"
        usual = {"none": OWN, "penalty": OWN_PRICES, "lagrangian": OWN_PRICES}
        usual["augmented"] = SEES["independent" if own else "central"]
        for handling in handlings:
            name = f"{algorithm}{SUFFIXES[handling]}"
            register(name, (sees or {}).get(handling, usual[handling]), **{**settings, "handling": handling})(method)
        if "lagrangian" in handlings:
            moving = {**settings, "handling": "lagrangian", "iterate": "last"}
            for rule, seen in SEES.items():
                register(f"{algorithm}-moving-{rule}", seen, **moving, moving=rule)(method)
