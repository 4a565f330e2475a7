"""The way back from PettingZoo: a third-party `ParallelEnv` as a Task."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import torch
from gymnasium.spaces.utils import flatten_space
from torch import Tensor

from accord.envs.checks import check_reset
from accord.envs.errors import UsageError
from accord.envs.task import Box, Discrete, Field, Initial, Step, Task, TaskSpec
from accord.envs.wrappers.seat import Seat, bounds_of

MAX_SEED = 2**31 - 1
RESET = ("observations", "infos")
STEP = ("observations", "rewards", "terminations", "truncations", "infos")


class TaskFromParallel(Task):
    """A third-party `ParallelEnv` as a Task without budgets: B environments, stepped one after the other.

    Agents keep the order of `possible_agents`. Observations are flattened and padded with zeros to the
    widest. Box actions are padded likewise; where their bounds differ, all of them are given in [0, 1] and
    scaled to the agent's own bounds; numbers outside are clamped. Where agents have different numbers of
    discrete actions, or the environment hands out an `action_mask` (in `infos` or in a Dict observation),
    steps carry masks. An agent that ended stays so while it is listed in `agents`: it is asked for actions and
    earns nothing. A copy ends when its agents are gone: terminated if none of the last ones was truncated. After its
    last step it shows zeros. Infos are not read otherwise. A `state()` that gives no array of numbers counts as none.
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
        name = str((getattr(env, "metadata", None) or {}).get("name", type(env).__name__))
        self._where = f"environment '{name}'"
        possible = getattr(env, "possible_agents", None)
        agents = [] if possible is None else list(possible)
        if not agents:
            raise UsageError(f"{self._where}: has no possible_agents; a Task needs a fixed list of agents")
        for method in ("observation_space", "action_space", "reset", "step"):
            if not callable(getattr(env, method, None)):
                raise UsageError(f"{self._where}: has no method {method}; allowed: PettingZoo's parallel API")
        if horizon is None:
            horizon = getattr(getattr(env, "unwrapped", env), "max_cycles", None)
        if not isinstance(horizon, int | np.integer) or horizon < 1:
            raise UsageError(f"{self._where}: max_cycles is {horizon}; give `horizon`, at least 1 step")
        self._index = {agent: i for i, agent in enumerate(agents)}
        if len(self._index) < len(agents):
            raise UsageError(f"{self._where}: possible_agents are {agents}; allowed: each agent once")
        self._seats = [Seat.of(self._where, env, agent) for agent in agents]
        action = self._common_action()
        obs_dim = max(seat.width() for seat in self._seats)
        self._taken = _parameters(env.reset)
        self._elapsed = 0
        self._start_one(env, 0, {})  # some environments have no state before
        state = _state_of(env)
        self._has_state = state is not None
        low, high = bounds_of([flatten_space(seat.observed) for seat in self._seats])
        kinds = [seat.kind for seat in self._seats]
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
        """Start `batch` copies, each with its own seed; `start` and `initial`, where given, become options.

        Raises:
            UsageError: what the environment hands out has no place in a Step, or its `reset` takes no options.
        """
        check_reset(self.spec, batch, horizon)
        while len(self._envs) < batch:
            self._envs.append(self._env_fn())
        if len({id(env) for env in self._envs}) < len(self._envs):
            raise UsageError(f"{self._where}: env_fn returned one environment twice; it must make a new one")
        self._elapsed, self._horizon = 0, self.spec.horizon if horizon is None else int(horizon)
        self._terminated, self._truncated = np.zeros((2, batch), dtype=bool)
        self._ended = np.zeros((batch, self.spec.n_agents), dtype=bool)
        self._clear(np.zeros(batch, dtype=bool))
        seed = int(torch.randint(MAX_SEED - batch, (1,), generator=generator))
        for b in range(batch):
            options: dict[str, Any] = {} if start is None else {"start": start}
            if isinstance(initial, Mapping):
                options["initial"] = {key: value.expand(batch, -1)[b] for key, value in initial.items()}
            elif initial != "zero":
                options["initial"] = initial
            self._read(b, *self._start_one(self._envs[b], seed + b, options))
        return self._show()

    def step(self, actions: Tensor) -> Step:
        """Step every copy that has not ended; see the class.

        Raises:
            UsageError: a live agent's action is not one of its own, or what the environment hands out has no place
                in a Step.
        """
        self._elapsed += 1
        self._clear(self._terminated | self._truncated)
        given = actions.detach().cpu().numpy()
        for b in np.flatnonzero(~self._over).tolist():
            env = self._envs[b]
            asked = {agent: self._seat_of(agent) for agent in env.agents}
            joint = {agent: seat.action(given[b, self._index[agent]], unit=self._unit) for agent, seat in asked.items()}
            observations, rewards, terminations, truncations, infos = self._parts("step", STEP, env.step(joint))
            acting = [agent for agent in joint if not self._ended[b, self._index[agent]]]
            cut = []
            for agent in acting:
                seat, i = asked[agent], self._index[agent]
                self._reward[b, i] = seat.reward(rewards.get(agent, 0.0), self._elapsed)
                terminated = seat.flag(terminations.get(agent), "termination", self._elapsed)
                truncated = seat.flag(truncations.get(agent), "truncation", self._elapsed)
                self._ended[b, i] = terminated or truncated
                cut += [i] if truncated and not terminated else []
            self._read(b, observations, infos)
            if not self._alive[b].any():
                self._alive[b, cut] = True
                self._truncated[b], self._terminated[b] = bool(cut), not cut
        if self._elapsed >= self._horizon:
            self._truncated |= ~self._terminated
        return self._show()

    def state(self) -> Tensor:
        """The environments' own states where they have one, else all observations; flat, [B, S].

        Raises:
            UsageError: a state of another size than before, or with a number that is not finite.
        """
        if not self._has_state:
            return torch.from_numpy(self._obs).flatten(1)
        rows = np.zeros((len(self._over), self.spec.state_dim), dtype=np.float32)
        for b in np.flatnonzero(~self._over).tolist():
            row = _state_of(self._envs[b])
            if row is None or row.size != self.spec.state_dim or not np.isfinite(row).all():
                size = "no numbers" if row is None else f"{row.size} numbers"
                found = f"{size}, {0 if row is None else np.count_nonzero(~np.isfinite(row))} of them not finite"
                raise UsageError(
                    f"{self._where}: state() at step {self._elapsed} has {found}; "
                    f"allowed: {self.spec.state_dim} finite numbers, as many as after the first reset"
                )
            rows[b] = row
        return torch.from_numpy(rows)

    def state_bounds(self) -> tuple[Tensor, Tensor]:
        """Those of the environment's `state_space` where it has a state, else those of observations, two of [S]."""
        low, high = self.spec.obs_fields["observation"].low, self.spec.obs_fields["observation"].high
        if self._has_state:
            low, high = bounds_of([getattr(self._envs[0], "state_space", None)])
        return torch.full((self.spec.state_dim,), low), torch.full((self.spec.state_dim,), high)

    def active(self, ahead: int) -> Tensor:
        """There are no budgets, [B, ahead, 0]."""
        return torch.zeros(len(self._over), ahead, 0)

    def _common_action(self) -> Box | Discrete:
        spaces = [seat.acted for seat in self._seats]
        self._unit = False
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

    def _start_one(self, env: Any, seed: int, options: Mapping[str, Any]) -> tuple[Any, ...]:
        """Reset one environment: observations and infos. Options are given where there are some."""
        for name in ("seed", "options")[: 2 if options else 1]:
            if not self._taken & {name, "**"}:
                raise UsageError(f"{self._where}: its reset takes no {name}; allowed: reset(seed=None, options=None)")
        given = {"seed": seed} | ({"options": dict(options)} if options else {})
        parts = self._parts("reset", RESET, env.reset(**given))
        if getattr(env, "agents", None) is None:
            raise UsageError(f"{self._where}: has no agents after reset; allowed: PettingZoo's parallel API")
        return parts

    def _parts(self, method: str, names: tuple[str, ...], given: Any) -> tuple[Any, ...]:
        """What a method returned, one mapping by agent for each name; infos may be None."""
        allowed = f"allowed: {', '.join(names)}, as in PettingZoo's parallel API"
        if not isinstance(given, (tuple, list)) or len(given) != len(names):
            found = f"{len(given)} values" if isinstance(given, (tuple, list)) else f"a {type(given).__name__}"
            raise UsageError(f"{self._where}: {method} returned {found}; {allowed}")
        parts = [{} if name == "infos" and part is None else part for name, part in zip(names, given, strict=True)]
        for name, part in zip(names, parts, strict=True):
            if not isinstance(part, Mapping):
                raise UsageError(f"{self._where}: {method} returned a {type(part).__name__} as {name}; {allowed}")
        return tuple(parts)

    def _seat_of(self, agent: Any) -> Seat:
        if agent not in self._index:
            raise UsageError(f"{self._where}: agent '{agent}' is not among its possible_agents")
        return self._seats[self._index[agent]]

    def _read(self, b: int, observations: Mapping[Any, Any], infos: Mapping[Any, Any]) -> None:
        listed = np.zeros(self.spec.n_agents, dtype=bool)
        for agent in self._envs[b].agents:
            self._seat_of(agent)
            listed[self._index[agent]] = True
        self._ended[b] &= listed
        self._alive[b] = listed & ~self._ended[b]
        for agent, observation in observations.items():
            if agent in self._index:
                i = self._index[agent]
                flat, mask = self._seats[i].observation(observation, infos.get(agent), self._elapsed)
                self._obs[b, i, : flat.size] = flat
                if mask is not None:
                    self._restrict(b, i, mask)
        for i in np.flatnonzero(self._alive[b]).tolist():
            if self._seats[i].agent not in observations:
                raise UsageError(
                    f"{self._where}: no observation of '{self._seats[i].agent}' at step {self._elapsed}; "
                    "allowed: one for everybody in agents"
                )

    def _restrict(self, b: int, i: int, mask: npt.NDArray[np.bool_]) -> None:
        """Allow an agent what its mask does; one that has ended may do anything."""
        if not mask.any() and self._alive[b, i]:
            raise UsageError(
                f"{self._where}: action_mask of '{self._seats[i].agent}' at step {self._elapsed} allows nothing; "
                "allowed: at least one action"
            )
        if self._mask is None:
            assert isinstance(self.spec.action, Discrete)
            self._mask = np.ones((*self._alive.shape, self.spec.action.n), dtype=bool)
        self._mask[b, i, : len(mask)] &= mask

    def _check_finite(self) -> None:
        for what, values in (("observation", self._obs), ("reward", self._reward)):
            finite = np.isfinite(values)
            if not finite.all():
                first = tuple(np.argwhere(~finite)[0])
                raise UsageError(
                    f"{self._where}: {what} of '{self._seats[first[1]].agent}' at step {self._elapsed} has the value "
                    f"{values[first]}; allowed: finite numbers"
                )

    def _show(self) -> Step:
        self._check_finite()
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


def _is_bounded(space: gymnasium.spaces.Box) -> bool:
    return space.is_bounded() and bool(np.issubdtype(space.dtype, np.floating))


def _parameters(method: Callable[..., Any]) -> set[str]:
    """Names of what a method can be given by name; `**` for any name."""
    try:
        parameters = inspect.signature(method).parameters.values()
    except ValueError:  # of what is not written in Python there may be no signature
        return {"**"}
    return {"**" if p.kind is p.VAR_KEYWORD else p.name for p in parameters if p.kind is not p.VAR_POSITIONAL}


def _state_of(env: Any) -> npt.NDArray[np.float32] | None:
    """The flat state; None where there is none, or something else than an array of numbers."""
    state = getattr(env, "state", None)
    try:
        given = np.asarray(state() if callable(state) else None)
    except (AttributeError, NotImplementedError, ValueError):  # PettingZoo's stub, or rows of different lengths
        return None
    return given.astype(np.float32).ravel() if given.size and given.dtype.kind in "biuf" else None
