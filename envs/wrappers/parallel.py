"""PettingZoo in both directions: any Task as a `ParallelEnv`, and `TaskFromParallel` for the way back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import torch
from pettingzoo import ParallelEnv
from torch import Tensor

from accord.envs.errors import UsageError
from accord.envs.task import Box, Step, Task
from accord.envs.wrappers.from_parallel import TaskFromParallel
from accord.envs.wrappers.infos import infos_of, stacked
from accord.envs.wrappers.spaces import (
    FloatArray,
    action_space,
    bounded_space,
    box_action,
    check_horizon,
    check_start,
    discrete_action,
    seed_of,
    start_and_initial,
)

__all__ = ["ParallelTask", "TaskFromParallel"]


class ParallelTask(ParallelEnv):
    """One copy of a Task as a PettingZoo environment with agents named `agent_0`, `agent_1` and so on.

    Rewards are the task's: the local objective r0, unless its constraints are priced (`PricedTask`). `infos[agent]` is
    flat and holds python floats by the names of `infos_of`, and `action_mask` (int8 [n]) where actions are masked.
    Observations and states lie in boxes whose ends are infinite where a task says nothing of them. Nothing is drawn on
    a screen, so there are no render modes. The task belongs to this environment: stepping it elsewhere as well would
    mix two episodes.

    Attributes:
        task: The task that is stepped.
        max_cycles: Steps until truncation, from the next reset on.
    """

    def __init__(self, task: Task, *, start: int | None = None, horizon: int | None = None) -> None:
        """Wrap a task.

        Args:
            task: Any task.
            start: First step of the data; None draws one at every reset.
            horizon: Steps until truncation, at least 1; None takes the task's own.

        Raises:
            UsageError: the start or the horizon is no number of steps.
        """
        spec = task.spec
        check_start(start)
        check_horizon(horizon)
        self.task = task
        self.max_cycles = spec.horizon if horizon is None else int(horizon)
        self.metadata = {"name": spec.name, "render_modes": [], "is_parallelizable": True}
        self.render_mode: str | None = None
        self.possible_agents = [f"agent_{i}" for i in range(spec.n_agents)]
        self.agents: list[str] = []
        self.state_space = bounded_space(task.state_bounds())
        self.observation_spaces = {agent: bounded_space(spec.obs_bounds) for agent in self.possible_agents}
        self.action_spaces = {agent: action_space(spec.action) for agent in self.possible_agents}
        self._start = start
        self._index = {agent: i for i, agent in enumerate(self.possible_agents)}
        self._generator = torch.Generator()
        self._generator.seed()
        self._last: Step | None = None

    def observation_space(self, agent: str) -> gymnasium.spaces.Space:
        """The observation space of an agent, the same object at every call."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gymnasium.spaces.Space:
        """The action space of an agent, the same object at every call."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, FloatArray], dict[str, dict[str, Any]]]:
        """Begin an episode.

        Args:
            seed: Seeds the generator, a whole number from 0 (numpy's are taken too); without one the generator goes
                on, from a random seed at first.
            options: `start` and `initial` as in `Task.reset`, the arrays in `initial` of shape [N].
                Other keys are for other wrappers and are passed over, as PettingZoo asks.

        Raises:
            UsageError: the seed is no such number, or an option does not fit the task.
        """
        if seed is not None:
            self._generator.manual_seed(seed_of(seed))
        start, initial = start_and_initial(options, self._start, 1)
        step = self.task.reset(1, self._generator, start=start, horizon=self.max_cycles, initial=initial)
        self._last = step
        self.agents = [a for a, alive in zip(self.possible_agents, step.alive[0].tolist(), strict=True) if alive]
        return self._observations(step, self.agents), self._infos(step, self.agents)

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[dict[str, FloatArray], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Take one action per live agent; agents whose episode ends are then dropped from `agents`.

        Actions of agents that have left are passed over while others are there.

        Raises:
            UsageError: the actions are no mapping, an agent is missing or unknown, the episode is over, or an action is
                not in its space.
        """
        before = self._current()
        if not isinstance(actions, Mapping):
            raise UsageError(f"actions: {type(actions).__name__}; allowed: a mapping from agents to actions")
        acting = self.agents
        joint = self._joint_action(actions, before.action_mask)
        if not acting:
            return {}, {}, {}, {}, {}
        step = self._last = self.task.step(joint)
        terminated, truncated = bool(step.terminated[0]), bool(step.truncated[0])
        alive = step.alive[0].tolist()
        terminations = {a: terminated or not alive[self._index[a]] for a in acting}
        truncations = {a: truncated and alive[self._index[a]] for a in acting}
        reward = step.reward[0].tolist()
        rewards = {a: reward[self._index[a]] for a in acting}
        self.agents = [a for a in acting if not (terminations[a] or truncations[a])]
        return self._observations(step, acting), rewards, terminations, truncations, self._infos(step, acting)

    def state(self) -> npt.NDArray[Any]:
        """The whole state, [S]."""
        self._current()
        return _numpy(self.task.state()[0])

    def render(self) -> None:
        """Draw nothing: there are no render modes."""

    def close(self) -> None:
        """Release nothing: no resources are held."""

    def _current(self) -> Step:
        if self._last is None:
            raise UsageError(f"environment '{self.task.spec.name}': call reset before step or state")
        return self._last

    def _joint_action(self, actions: Mapping[str, Any], mask: Tensor | None) -> Tensor:
        """All agents' actions, [1, N, A]; agents that are gone get the lowest one."""
        for agent in self.agents:
            if agent not in actions:
                raise UsageError(f"action of '{agent}': missing; every agent in `agents` needs one")
        spec = self.task.spec
        lowest, kind = (spec.action.low, np.float32) if isinstance(spec.action, Box) else (0, np.int64)
        joint = np.full((1, spec.n_agents, spec.action.size), lowest, dtype=kind)
        known = set(self.agents)
        for agent, action in actions.items():
            if known and agent in self._index and agent not in known:
                continue  # TorchRL goes on naming agents that have left
            if agent not in known:
                allowed = ", ".join(self.agents) or "none: the episode is over"
                raise UsageError(f"action of '{agent}': not an agent of this step; allowed: {allowed}")
            index = self._index[agent]
            if isinstance(spec.action, Box):
                joint[0, index] = box_action(agent, action, spec.action)
            else:
                open_ = torch.ones(spec.action.n, dtype=torch.bool) if mask is None else mask[0, index]
                joint[0, index] = discrete_action(agent, action, open_)
        return torch.from_numpy(joint).to(self.task.device)

    def _observations(self, step: Step, agents: list[str]) -> dict[str, FloatArray]:
        rows = _numpy(step.obs[0])
        return {agent: rows[self._index[agent]] for agent in agents}

    def _infos(self, step: Step, agents: list[str]) -> dict[str, dict[str, Any]]:
        columns = infos_of(self.task.spec, step)
        rows = stacked(columns)[0].tolist() if columns else [[]] * self.task.spec.n_agents
        infos: dict[str, dict[str, Any]] = {a: dict(zip(columns, rows[self._index[a]], strict=True)) for a in agents}
        if step.action_mask is not None:
            masks = _numpy(step.action_mask[0]).astype(np.int8)
            for agent, info in infos.items():
                info["action_mask"] = masks[self._index[agent]]
        return infos


def _numpy(values: Tensor) -> npt.NDArray[Any]:
    return values.detach().cpu().numpy().copy()
