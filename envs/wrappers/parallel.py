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
from accord.envs.task import Box, Discrete, Step, Task
from accord.envs.wrappers.from_parallel import TaskFromParallel

__all__ = ["ParallelTask", "TaskFromParallel"]

FloatArray = npt.NDArray[np.float32]
OPTIONS = ("start", "initial")


class ParallelTask(ParallelEnv):
    """One copy of a Task as a PettingZoo environment with agents named `agent_0`, `agent_1` and so on.

    Rewards are the task's local objective r0. `infos[agent]` holds python floats: `usage` by resource,
    `shortfall` where the task has one, `measures` by name; and `action_mask` where actions are masked.
    Nothing is drawn, so there are no render modes. The task belongs to this environment: stepping it
    elsewhere as well would mix two episodes.

    Attributes:
        task: The task that is stepped.
        max_cycles: Steps until truncation, from the next reset on.
    """

    def __init__(self, task: Task, *, start: int | None = None, horizon: int | None = None) -> None:
        """Wrap a task.

        Args:
            task: Any task.
            start: First step of the data; None draws one at every reset.
            horizon: Steps until truncation; None takes the task's own.
        """
        spec = task.spec
        self.task = task
        self.max_cycles = spec.horizon if horizon is None else horizon
        self.metadata = {"name": spec.name, "render_modes": [], "is_parallelizable": True}
        self.render_mode: str | None = None
        self.possible_agents = [f"agent_{i}" for i in range(spec.n_agents)]
        self.agents: list[str] = []
        self.state_space = _unbounded(spec.state_dim)
        self.observation_spaces = {agent: _unbounded(spec.obs_dim) for agent in self.possible_agents}
        self.action_spaces = {agent: _gym_space(spec.action) for agent in self.possible_agents}
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
            seed: Seeds the generator; without one the generator goes on, from a random seed at first.
            options: `start` and `initial` as in `Task.reset`, the arrays in `initial` of shape [N].
                Other keys are for other wrappers and are passed over, as PettingZoo asks.
        """
        if seed is not None:
            self._generator.manual_seed(int(seed))  # torch takes no integer of numpy's
        chosen = {key: value for key, value in (options or {}).items() if key in OPTIONS}
        start, initial = chosen.get("start", self._start), chosen.get("initial", "zero")
        if isinstance(initial, Mapping):
            initial = {name: torch.as_tensor(value) for name, value in initial.items()}
        step = self.task.reset(1, self._generator, start=start, horizon=self.max_cycles, initial=initial)
        self._last = step
        self.agents = [a for a, alive in zip(self.possible_agents, step.alive[0].tolist(), strict=True) if alive]
        return self._observations(step, self.agents), self._infos(step, self.agents)

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[dict[str, FloatArray], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Take one action per live agent; agents whose episode ends are then dropped from `agents`.

        Raises:
            UsageError: an agent is missing or not in the episode, or an action is not in its space.
        """
        before = self._current()
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
            if agent not in known:
                allowed = ", ".join(self.agents) or "none: the episode is over"
                raise UsageError(f"action of '{agent}': not an agent of this step; allowed: {allowed}")
            index = self._index[agent]
            if isinstance(spec.action, Box):
                joint[0, index] = _box_action(agent, action, spec.action)
            else:
                open_ = torch.ones(spec.action.n, dtype=torch.bool) if mask is None else mask[0, index]
                joint[0, index] = _discrete_action(agent, action, open_)
        return torch.from_numpy(joint).to(self.task.device)

    def _observations(self, step: Step, agents: list[str]) -> dict[str, FloatArray]:
        rows = _numpy(step.obs[0])
        return {agent: rows[self._index[agent]] for agent in agents}

    def _infos(self, step: Step, agents: list[str]) -> dict[str, dict[str, Any]]:
        n_agents = self.task.spec.n_agents
        usage = step.usage[0].tolist()
        shortfall = None if step.shortfall is None else step.shortfall[0].tolist()
        measures = {name: value[0].expand(n_agents).tolist() for name, value in step.measures.items()}
        masks = None if step.action_mask is None else _numpy(step.action_mask[0]).astype(np.int8)
        infos: dict[str, dict[str, Any]] = {}
        for agent in agents:
            i = self._index[agent]
            info: dict[str, Any] = {
                "usage": dict(zip(self.task.spec.resources, usage[i], strict=True)),
                "measures": {name: values[i] for name, values in measures.items()},
            }
            if shortfall is not None:
                info["shortfall"] = shortfall[i]
            if masks is not None:
                info["action_mask"] = masks[i]
            infos[agent] = info
        return infos


def _numpy(values: Tensor) -> npt.NDArray[Any]:
    return values.detach().cpu().numpy().copy()


def _unbounded(size: int) -> gymnasium.spaces.Box:
    return gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32)


def _gym_space(action: Box | Discrete) -> gymnasium.spaces.Space:
    if isinstance(action, Discrete):
        return gymnasium.spaces.Discrete(action.n)
    return gymnasium.spaces.Box(action.low, action.high, (action.size,), np.float32)


def _array(action: Any) -> npt.NDArray[Any]:
    try:
        return np.asarray(action)
    except ValueError:  # rows of different lengths
        return np.asarray(None)


def _box_action(agent: str, action: Any, space: Box) -> FloatArray:
    given = _array(action)
    fits = given.shape == (space.size,) and given.dtype.kind in "iuf" and bool(np.isfinite(given).all())
    if fits:
        with np.errstate(over="ignore"):
            values = given.astype(np.float32)
        if ((values >= np.float32(space.low)) & (values <= np.float32(space.high))).all():
            return values
    allowed = f"{space.size} numbers in [{space.low}, {space.high}]"
    raise UsageError(f"action of '{agent}': {action}; allowed: {allowed}")


def _discrete_action(agent: str, action: Any, allowed: Tensor) -> int:
    given = _array(action)
    choices: list[int] = allowed.nonzero().flatten().tolist()
    if given.shape == () and given.dtype.kind in "iu" and int(given) in choices:
        return int(given)
    raise UsageError(f"action of '{agent}': {action}; allowed: one of {choices}")
