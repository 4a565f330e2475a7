"""Single agents of a separable task as an environment: each learns alone, at multipliers of its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from accord.baselines.multipliers.augmentation import Priced, augmented_dim
from accord.baselines.multipliers.found import FoundPrices
from accord.baselines.training.environment import MeanReward, Observation, Shapes, to_box
from accord.envs.errors import UsageError
from accord.envs.multipliers import MultiplierDraw
from accord.envs.task import Box, Task


class AugmentedEnvironment:
    """Single agents drawn from a separable task's population, each with multipliers of its own.

    Its cost per sample does not depend on how many agents the task has.
    """

    def __init__(
        self,
        task: Task,
        prices: MultiplierDraw | FoundPrices,
        copies: int,
        agents: int,
        generator: torch.Generator,
        shaping_gamma: float | None = None,
        by_size: bool = False,
    ) -> None:
        """Set up.

        Args:
            task: The population.
            prices: How multipliers are drawn; those that are found move with the training's samples.
            copies: Copies of the task, each with a start of its own.
            agents: Agents drawn anew every episode, the same in every copy.
            generator: Source of every draw.
            shaping_gamma: See `Priced`.
            by_size: See `Priced`.
        """
        self._population, self._prices = task, prices
        self._found = prices if isinstance(prices, FoundPrices) else None
        self._gamma, self._by_size = shaping_gamma, by_size
        self._shape, self._generator = (copies, agents), generator
        self.spec, self.name = task.spec, task.spec.name
        self.shapes = Shapes(augmented_dim(task.spec), 0, task.spec.action)
        self.groups, self.agents = copies * agents, 1
        self.horizon = task.spec.horizon
        self.weights = torch.ones(1, device=task.device)
        self._reward = MeanReward()

    def reset(self) -> Observation:
        """Draw agents, starts, plant states and multipliers."""
        self._task = self._population.sample_agents(self._shape[1], self._generator)
        multipliers, nu = self._prices.draw(self.spec, self._shape, self._generator)
        device = self._task.device
        self._priced = Priced(self._task, multipliers.to(device), nu.to(device), self._gamma, self._by_size)
        return self._view(self._priced.see(self._task.reset(self._shape[0], self._generator, initial="random")))

    def step(self, actions: Tensor) -> tuple[Observation, Tensor, Tensor]:
        """Reward is the agent's own Lagrangian."""
        step = self._task.step(to_box(actions.unflatten(0, self._shape).squeeze(2)))
        if self._found is not None:
            self._found.add(self._task.spec, step)
        obs, reward = self._priced.advance(step)
        self._reward.add(reward.detach())
        ended = step.terminated[:, None].expand(reward.shape)
        return self._view(obs), reward.reshape(-1, 1, 1), ended.reshape(-1, 1)

    def refresh(self, view: Observation) -> Observation:
        """Multipliers are held for the whole episode."""
        return view

    def anneal(self, fraction: float) -> None:
        """Nothing helps in the beginning alone."""

    def measures(self) -> dict[str, float]:
        """Mean reward per agent-step since the last call, and the mean of λ where it is found."""
        found = {} if self._found is None else {"lambda_mean": float(self._found.lam.mean())}
        return {"reward": self._reward.read(), **found}

    def state_dict(self) -> dict[str, Any]:
        """Every episode starts anew, but from the prices that were found."""
        return {} if self._found is None else self._found.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        if self._found is not None:
            self._found.load_state_dict(state)

    def _view(self, obs: Tensor) -> Observation:
        return Observation(obs.reshape(self.groups, 1, -1), obs.new_zeros(self.groups, 0))


def check_alone(method: str, task: Task) -> None:
    """Refuse a task whose agents cannot be trained one by one by a policy over a box.

    Args:
        method: For messages.
        task: The population.

    Raises:
        UsageError: it is not separable, or its actions are discrete.
    """
    spec = task.spec
    if not spec.separable:
        raise UsageError(f"method {method}: task '{spec.name}' is not separable, so agents cannot train alone")
    if not isinstance(spec.action, Box):
        raise UsageError(f"method {method}: task '{spec.name}' has discrete actions; it needs a box")
