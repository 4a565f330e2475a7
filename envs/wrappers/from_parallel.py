"""The way back from PettingZoo: a third-party `ParallelEnv` as a Task."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import torch
from gymnasium.spaces.utils import flatdim, flatten, flatten_space
from torch import Tensor

from accord.envs.errors import UsageError
from accord.envs.task import Box, Discrete, Field, Initial, Step, Task, TaskSpec

MAX_SEED = 2**31 - 1


class TaskFromParallel(Task):
    """A third-party `ParallelEnv` as a Task without budgets: B environments, stepped one after the other.

    Agents keep the order of `possible_agents`. Observations are flattened and padded with zeros to the
    widest. Box actions are padded likewise; where their bounds differ, all of them are given in [0, 1] and
    scaled to the agent's own bounds; numbers outside are clamped. Where agents have different numbers of
    discrete actions, or the environment hands out an `action_mask` (in `infos` or in a Dict observation),
    steps carry masks. A copy ends when its agents are gone: terminated if none of the last ones was
    truncated. After its last step it shows zeros. Infos are not read otherwise.
    """

    def __init__(self, env_fn: Callable[[], Any], *, horizon: int | None = None) -> None:
        """Wrap an environment.

        Args:
            env_fn: Makes a new environment at every call.
            horizon: Steps until truncation; None reads the environment's `max_cycles`.

        Raises:
            UsageError: the environment's agents or spaces have no place in a Task.
        """
        env = env_fn()
        self._env_fn, self._envs = env_fn, [env]
        name = str(getattr(env, "metadata", {}).get("name", type(env).__name__))
        self._where = f"environment '{name}'"
        agents = list(getattr(env, "possible_agents", ()))
        if not agents:
            raise UsageError(f"{self._where}: has no possible_agents; a Task needs a fixed list of agents")
        if horizon is None:
            horizon = getattr(getattr(env, "unwrapped", env), "max_cycles", None)
        if not isinstance(horizon, int | np.integer) or horizon < 1:
            raise UsageError(f"{self._where}: max_cycles is {horizon}; give `horizon`, at least 1 step")
        self._index = {agent: i for i, agent in enumerate(agents)}
        self._seats = [_Seat(a, _inner(env.observation_space(a)), env.action_space(a)) for a in agents]
        action = self._common_action()
        obs_dim = max(self._width(seat) for seat in self._seats)
        env.reset(seed=0)  # some environments have no state before
        state = _state_of(env)
        self._has_state = state is not None
        low, high = _bounds([flatten_space(seat.observed) for seat in self._seats])
        kinds = [(seat.observed, seat.acted) for seat in self._seats]
        self.spec = TaskSpec(
            name=name,
            n_agents=len(agents),
            obs_fields={"observation": Field(slice(0, obs_dim), "-", "1", low=low, high=high)},
            action=action,
            state_dim=len(agents) * obs_dim if state is None else state.size,
            horizon=int(horizon),
            agent_scale=torch.ones(len(agents)),
            agent_types=torch.tensor([kinds.index(kind) for kind in kinds]),
        )

    def reset(
        self,
        batch: int,
        generator: torch.Generator,
        *,
        start: int | None = None,
        horizon: int | None = None,
        initial: Initial = "zero",
    ) -> Step:
        """Start `batch` copies, each with its own seed; `start` and `initial`, where given, become options."""
        while len(self._envs) < batch:
            self._envs.append(self._env_fn())
        if len({id(env) for env in self._envs}) < len(self._envs):
            raise UsageError(f"{self._where}: env_fn returned one environment twice; it must make a new one")
        self._elapsed, self._horizon = 0, self.spec.horizon if horizon is None else horizon
        self._terminated, self._truncated = np.zeros((2, batch), dtype=bool)
        self._clear(np.zeros(batch, dtype=bool))
        seed = int(torch.randint(MAX_SEED - batch, (1,), generator=generator))
        for b in range(batch):
            options: dict[str, Any] = {} if start is None else {"start": start}
            if isinstance(initial, Mapping):
                options["initial"] = {key: value.expand(batch, -1)[b] for key, value in initial.items()}
            elif initial != "zero":
                options["initial"] = initial
            observations, infos = self._envs[b].reset(seed=seed + b, options=options or None)
            self._read(b, observations, infos)
        return self._show()

    def step(self, actions: Tensor) -> Step:
        """Step every copy that has not ended; see the class.

        Raises:
            UsageError: a live agent's discrete action is not one of its own.
        """
        self._elapsed += 1
        self._clear(self._terminated | self._truncated)
        given = actions.detach().cpu().numpy()
        for b in np.flatnonzero(~self._over).tolist():
            env = self._envs[b]
            joint = {agent: self._action(self._index[agent], given[b]) for agent in env.agents}
            observations, rewards, terminations, truncations, infos = env.step(joint)
            self._read(b, observations, infos)
            for agent in joint:
                self._reward[b, self._index[agent]] = rewards.get(agent, 0.0)
            if not env.agents:
                cut = [agent for agent in joint if truncations.get(agent) and not terminations.get(agent)]
                self._alive[b, [self._index[agent] for agent in cut]] = True
                self._truncated[b], self._terminated[b] = bool(cut), not cut
        if self._elapsed >= self._horizon:
            self._truncated |= ~self._terminated
        return self._show()

    def state(self) -> Tensor:
        """The environments' own states where they have one, else all observations; flat, [B, S]."""
        if not self._has_state:
            return torch.from_numpy(self._obs).flatten(1)
        rows = np.zeros((len(self._over), self.spec.state_dim), dtype=np.float32)
        for b in np.flatnonzero(~self._over).tolist():
            rows[b] = _state_of(self._envs[b])
        return torch.from_numpy(rows)

    def state_bounds(self) -> tuple[Tensor, Tensor]:
        """Those of the environment's `state_space` where it has a state, else those of observations, two of [S]."""
        low, high = self.spec.obs_fields["observation"].low, self.spec.obs_fields["observation"].high
        if self._has_state:
            low, high = _bounds([getattr(self._envs[0], "state_space", None)])
        return torch.full((self.spec.state_dim,), low), torch.full((self.spec.state_dim,), high)

    def active(self, ahead: int) -> Tensor:
        """There are no budgets, [B, ahead, 0]."""
        return torch.zeros(len(self._over), ahead, 0)

    def _common_action(self) -> Box | Discrete:
        spaces = [seat.acted for seat in self._seats]
        if all(isinstance(space, gymnasium.spaces.Discrete) for space in spaces):
            return Discrete(max(int(space.n) for space in spaces))
        for space, seat in zip(spaces, self._seats, strict=True):
            if not (isinstance(space, gymnasium.spaces.Box) and _is_bounded(space)):
                raise UsageError(
                    f"{self._where}: action space of '{seat.agent}' is {space}; "
                    "allowed: all agents Discrete, or all of them a Box of floats with finite bounds"
                )
        size = max(space.low.size for space in spaces)
        lows, highs = ({float(v) for s in spaces for v in getattr(s, end).flat} for end in ("low", "high"))
        self._unit = len(lows) > 1 or len(highs) > 1
        return Box(size) if self._unit else Box(size, lows.pop(), highs.pop())

    def _width(self, seat: _Seat) -> int:
        try:
            return int(flatdim(seat.observed))
        except (NotImplementedError, ValueError):
            raise UsageError(
                f"{self._where}: observation space of '{seat.agent}' is {seat.observed}; "
                "allowed: spaces with a fixed number of entries"
            ) from None

    def _action(self, i: int, rows: npt.NDArray[Any]) -> Any:
        agent, space, row = self._seats[i].agent, self._seats[i].acted, rows[i]
        if isinstance(space, gymnasium.spaces.Discrete):
            if not 0 <= row[0] < space.n:
                raise UsageError(f"{self._where}: action of '{agent}' is {row[0]}; allowed: 0 to {space.n - 1}")
            return int(row[0]) + int(space.start)
        row = row[: space.low.size].reshape(space.shape)
        if self._unit:
            row = space.low + row.astype(np.float64) * (space.high.astype(np.float64) - space.low)
        return row.clip(space.low, space.high).astype(space.dtype)

    def _clear(self, over: npt.NDArray[np.bool_]) -> None:
        """Zeros for every copy, and which copies had ended before."""
        spec, shape = self.spec, (len(over), self.spec.n_agents)
        self._over = over
        self._obs = np.zeros((*shape, spec.obs_dim), dtype=np.float32)
        self._reward = np.zeros(shape, dtype=np.float32)
        self._alive = np.zeros(shape, dtype=bool)
        self._mask: npt.NDArray[np.bool_] | None = None
        if isinstance(spec.action, Discrete):
            own = np.array([seat.acted.n for seat in self._seats])
            if (own < spec.action.n).any():
                self._mask = np.tile(np.arange(spec.action.n) < own[:, None], (len(over), 1, 1))

    def _read(self, b: int, observations: Mapping[Any, Any], infos: Mapping[Any, Any]) -> None:
        for agent in self._envs[b].agents:
            if agent not in self._index:
                raise UsageError(f"{self._where}: agent '{agent}' is not among its possible_agents")
            self._alive[b, self._index[agent]] = True
        for agent, observation in observations.items():
            if agent not in self._index:
                continue
            i = self._index[agent]
            mask = infos.get(agent, {}).get("action_mask")
            if isinstance(observation, Mapping) and "action_mask" in observation:
                observation, mask = observation["observation"], observation["action_mask"]
            flat = np.asarray(flatten(self._seats[i].observed, observation), dtype=np.float32)
            self._obs[b, i, : flat.size] = flat
            if mask is not None and isinstance(self.spec.action, Discrete):
                if self._mask is None:
                    self._mask = np.ones((*self._alive.shape, self.spec.action.n), dtype=bool)
                self._mask[b, i, : len(mask)] &= np.asarray(mask, dtype=bool)

    def _show(self) -> Step:
        batch, n_agents = self._alive.shape
        return Step(
            obs=torch.from_numpy(self._obs),
            reward=torch.from_numpy(self._reward),
            usage=torch.zeros(batch, n_agents, 0),
            shortfall=None,
            active=self.active(self.spec.ahead),
            counted=torch.zeros(batch, 0),
            measures={},
            terminated=torch.from_numpy(self._terminated.copy()),
            truncated=torch.from_numpy(self._truncated.copy()),
            alive=torch.from_numpy(self._alive),
            action_mask=None if self._mask is None else torch.from_numpy(self._mask),
        )


@dataclass(frozen=True)
class _Seat:
    """One agent of a third-party environment and its spaces."""

    agent: Any
    observed: Any
    acted: Any


def _inner(space: Any) -> Any:
    """The space of the observation itself where it comes in a Dict with its mask."""
    masked = isinstance(space, gymnasium.spaces.Dict) and {"observation", "action_mask"} == set(space.spaces)
    return space["observation"] if masked else space


def _bounds(spaces: list[Any]) -> tuple[float, float]:
    """What no number of these spaces lies below and above, nor the zeros that stand for what is not there."""
    if not all(isinstance(space, gymnasium.spaces.Box) for space in spaces):
        return -math.inf, math.inf
    return min(0.0, *(float(space.low.min()) for space in spaces)), max(0.0, *(float(s.high.max()) for s in spaces))


def _is_bounded(space: gymnasium.spaces.Box) -> bool:
    return space.is_bounded() and bool(np.issubdtype(space.dtype, np.floating))


def _state_of(env: Any) -> npt.NDArray[np.float32] | None:
    try:
        return np.asarray(env.state(), dtype=np.float32).ravel()
    except (AttributeError, NotImplementedError):
        return None
