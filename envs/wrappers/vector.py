"""A batch of a task as a Gymnasium `VectorEnv` for learners that share one policy between agents."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import torch
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from accord.envs.errors import UsageError
from accord.envs.task import Box, Step, Task
from accord.envs.wrappers.copies import Copies
from accord.envs.wrappers.infos import infos_of
from accord.envs.wrappers.spaces import FloatArray, action_space, array_of, bounded_space, in_box

Array = npt.NDArray[Any]
Outcome = tuple[FloatArray, FloatArray, Array, Array, dict[str, Any]]
# Until Gymnasium 1.0 an environment that ends is reset in the same step, from then on in the next one.
NEXT_STEP = int(gymnasium.__version__.split(".")[0]) >= 1


class VectorTask(VectorEnv):
    """Every agent of every copy as one environment: environment `copy · N + agent`, in one batch of tensors.

    It gives what SuperSuit's `pettingzoo_env_to_vec_env_v1` gives of `ParallelTask`, many copies at once. Infos are
    arrays [num_envs] by the names of `infos_of`, `alive`, and `action_mask` [num_envs, n] where actions are masked,
    each with Gymnasium's mask of the same name behind an underscore.

    All copies begin and end together, each agent with its copy. An agent that stops before has `alive` 0 from then on,
    earns nothing, and its actions do nothing. What follows an end is as the installed Gymnasium has it: from 1.0 on the
    next step resets, whatever its actions, with rewards 0 (`AutoresetMode.NEXT_STEP`); before, the same step does, and
    the last observations and infos are in `final_observation` and `final_info`.

    Attributes:
        task: The task that is stepped.
        num_envs: B · N.
    """

    def __init__(self, task: Task, copies: int, *, start: int | None = None, horizon: int | None = None) -> None:
        """Wrap a task.

        Args:
            task: Any task whose copies end together.
            copies: B, at least 1.
            start: First step of the data; None draws one for each copy at every reset.
            horizon: Steps until truncation, at least 1; None takes the task's own.

        Raises:
            UsageError: the copies, the start or the horizon are no such number.
        """
        spec = task.spec
        self._copies = Copies(task, copies, start, horizon)
        self.task, self.num_envs = task, self._copies.count * spec.n_agents
        self.metadata = {"name": spec.name, "render_modes": []}
        if hasattr(gymnasium.vector, "AutoresetMode"):
            self.metadata["autoreset_mode"] = gymnasium.vector.AutoresetMode.NEXT_STEP
        self.render_mode, self.closed, self.is_vector_env = None, False, True
        self.viewer = None  # before 1.0 Gymnasium closes it
        self.single_observation_space = bounded_space(spec.obs_bounds)
        self.single_action_space = action_space(spec.action)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Begin an episode of every copy.

        Args:
            seed: Seeds the generator, a whole number from 0; without one it goes on, from a random seed at first.
            options: `start` and `initial` as in `Task.reset`, the arrays in `initial` of shape [N] or [B, N].

        Returns:
            Observations [num_envs, O] and infos.

        Raises:
            UsageError: the seed is no such number, or an option does not fit the task.
        """
        if seed is not None:
            self._copies.seed(seed)
        step = self._copies.reset(options)
        return self._observations(step), self._infos(step)

    def step(self, actions: Any) -> Outcome:
        """Take actions [num_envs, A], or [num_envs] where they are discrete; see the class for what follows an end.

        Returns:
            Observations [num_envs, O], rewards, terminations and truncations [num_envs], infos.

        Raises:
            UsageError: the actions are not in the space, or only some copies have ended.
        """
        if NEXT_STEP and self._copies.over:
            seen, infos = self.reset()
            nothing = np.zeros(self.num_envs, dtype=bool)
            return seen, np.zeros(self.num_envs, dtype=np.float32), nothing, nothing.copy(), infos
        step = self._copies.step(self._joint_action(actions))
        seen, infos = self._observations(step), self._infos(step)
        ends = [self._per_agent(end[:, None].expand(step.reward.shape)) for end in (step.terminated, step.truncated)]
        if not NEXT_STEP and self._copies.over:
            seen, infos = self._restarted(seen, infos)
        return seen, self._per_agent(step.reward).astype(np.float32), ends[0], ends[1], infos

    def state(self) -> FloatArray:
        """The whole state of every copy, [B, S]."""
        return _numpy(self.task.state())

    def _joint_action(self, actions: Any) -> Tensor:
        spec = self.task.spec
        given, shape = array_of(actions), self.action_space.shape
        if isinstance(spec.action, Box):
            fits = given.shape == shape and given.dtype.kind in "iuf" and in_box(given, spec.action)
            allowed = f"an array {shape} of numbers in [{spec.action.low}, {spec.action.high}]"
            kind: Any = np.float32
        else:
            fits = (
                given.shape == shape
                and given.dtype.kind in "iu"
                and bool(((given >= 0) & (given < spec.action.n)).all())
            )
            allowed, kind = f"an array {shape} of whole numbers from 0 to {spec.action.n - 1}", np.int64
        if not fits:
            ends = f" from {given.min():g} to {given.max():g}" if given.size and given.dtype.kind in "iuf" else ""
            found = f"an array {given.shape} of {given.dtype}{ends}"
            raise UsageError(f"environment '{spec.name}': actions are {found}; allowed: {allowed}")
        joint = torch.from_numpy(given.astype(kind)).view(self._copies.count, spec.n_agents, spec.action.size)
        return joint.clamp(spec.action.low, spec.action.high) if isinstance(spec.action, Box) else joint

    def _restarted(self, last: FloatArray, last_infos: dict[str, Any]) -> tuple[FloatArray, dict[str, Any]]:
        """The first step of the next episode, and with it the last one's."""
        seen, infos = self.reset()
        finals = {"final_observation": list(last), "final_info": [_one_of(last_infos, i) for i in range(self.num_envs)]}
        for name, values in finals.items():
            column = np.empty(self.num_envs, dtype=object)
            column[:] = values
            infos |= {name: column, f"_{name}": np.ones(self.num_envs, dtype=bool)}
        return seen, infos

    def _observations(self, step: Step) -> FloatArray:
        return _numpy(step.obs.flatten(0, 1))

    def _infos(self, step: Step) -> dict[str, Any]:
        columns = infos_of(self.task.spec, step) | {"alive": step.alive.float()}
        infos: dict[str, Any] = {name: self._per_agent(column) for name, column in columns.items()}
        if step.action_mask is not None:
            infos["action_mask"] = _numpy(step.action_mask.flatten(0, 1)).astype(np.int8)
        return infos | {f"_{name}": np.ones(self.num_envs, dtype=bool) for name in infos}

    def _per_agent(self, column: Tensor) -> Array:
        return _numpy(column.reshape(self.num_envs))


def _numpy(values: Tensor) -> Array:
    return values.detach().cpu().numpy().copy()


def _one_of(infos: dict[str, Any], i: int) -> dict[str, Any]:
    return {name: values[i] for name, values in infos.items() if not name.startswith("_")}
