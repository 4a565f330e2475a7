"""One agent of a third-party environment: its spaces, what is read of it and what it is given.

Whatever the environment hands out is held against its own spaces, since it was written elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.spaces.utils import flatdim, flatten

from accord.envs.errors import UsageError

MASK = "action_mask"
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Seat:
    """One agent and its spaces.

    Attributes:
        where: The environment, to name in an error.
        agent: As the environment calls it.
        observed: The space of its observation, without the mask of its actions.
        acted: The space of its actions.
        masked: Its observation is a Dict that holds an `action_mask`.
        key: Where the observation stands in that Dict; None where it has several entries.
    """

    where: str
    agent: Any
    observed: Any
    acted: Any
    masked: bool
    key: str | None

    @classmethod
    def of(cls, where: str, env: Any, agent: Any) -> Seat:
        """The seat of an agent."""
        space, acted = env.observation_space(agent), env.action_space(agent)
        if not (isinstance(space, gymnasium.spaces.Dict) and MASK in space.spaces):
            return cls(where, agent, space, acted, masked=False, key=None)
        rest = {name: part for name, part in space.spaces.items() if name != MASK}
        if len(rest) == 1:
            key, inner = next(iter(rest.items()))
            return cls(where, agent, inner, acted, masked=True, key=key)
        return cls(where, agent, gymnasium.spaces.Dict(rest), acted, masked=True, key=None)

    @property
    def kind(self) -> tuple[Any, Any]:
        """Agents with the same spaces are of one kind."""
        return self.observed, self.acted

    def width(self) -> int:
        """Entries of its flat observation.

        Raises:
            UsageError: their number is not fixed.
        """
        try:
            return int(flatdim(self.observed))
        except (NotImplementedError, ValueError):
            raise UsageError(
                f"{self.where}: observation space of '{self.agent}' is {self.observed}; "
                "allowed: spaces with a fixed number of entries"
            ) from None

    def observation(self, given: Any, info: Any, step: int) -> tuple[FloatArray, BoolArray | None]:
        """Its flat observation, and which of its n actions are allowed where it is told.

        Args:
            given: What the environment shows it.
            info: What it tells it beside; None for nothing.
            step: Steps taken, to name in an error.

        Raises:
            UsageError: they do not fit its spaces.
        """
        if info is not None and not isinstance(info, Mapping):
            raise self._misfit("info", step, f"is {_kind_of(info)}", "a dict")
        mask = (info or {}).get(MASK)
        if isinstance(given, Mapping) and (self.masked or MASK in given):
            mask = given.get(MASK, mask)
            given = self._without_mask(given)
        problem = _problem(self.observed, given)
        try:
            flat = np.asarray(flatten(self.observed, given), dtype=np.float32) if problem is None else None
        except (TypeError, ValueError):
            flat, problem = None, "has entries that are no numbers"
        if flat is None:
            raise self._misfit("observation", step, problem, f"what its space says, {self.observed}")
        return flat, None if mask is None else self._mask(mask, step)

    def reward(self, given: Any, step: int) -> float:
        """A reward as a number.

        Raises:
            UsageError: it is none, or several.
        """
        if isinstance(given, float):  # the usual ones, here and below, in a tenth of the time
            return given
        value = np.asarray(given)
        if value.size != 1 or value.dtype.kind not in "biuf":
            raise self._misfit("reward", step, f"is {_kind_of(given)}", "one finite number")
        return float(value.item())

    def flag(self, given: Any, name: str, step: int) -> bool:
        """Whether it is terminated or truncated; None for no.

        Raises:
            UsageError: that is not told by one truth value.
        """
        if isinstance(given, bool):
            return given
        value = np.asarray(False if given is None else given)
        if value.size != 1 or value.dtype.kind not in "biu":
            raise self._misfit(name, step, f"is {_kind_of(given)}", "True or False")
        return bool(value.item())

    def action(self, row: npt.NDArray[Any], *, unit: bool) -> Any:
        """The action of a task as the environment takes it.

        Args:
            row: [A], the task's; what is beyond its own width is passed over.
            unit: Numbers in [0, 1] stand for its own bounds.

        Raises:
            UsageError: it is not one of its actions.
        """
        space = self.acted
        if isinstance(space, gymnasium.spaces.Discrete):
            if not 0 <= row[0] < space.n:
                raise UsageError(f"{self.where}: action of '{self.agent}' is {row[0]}; allowed: 0 to {space.n - 1}")
            return int(row[0]) + int(space.start)
        row = row[: space.low.size].reshape(space.shape)
        if not np.isfinite(row).all():
            raise UsageError(
                f"{self.where}: action of '{self.agent}' has numbers that are not finite; allowed: finite ones"
            )
        if unit:
            row = space.low + row.astype(np.float64) * (space.high.astype(np.float64) - space.low)
        return row.clip(space.low, space.high).astype(space.dtype)

    def _without_mask(self, given: Mapping[Any, Any]) -> Any:
        rest = {name: value for name, value in given.items() if name != MASK}
        if self.masked:
            return rest if self.key is None else rest.get(self.key)
        if isinstance(self.observed, gymnasium.spaces.Dict) or len(rest) != 1:
            return rest
        return next(iter(rest.values()))

    def _mask(self, given: Any, step: int) -> BoolArray | None:
        if not isinstance(self.acted, gymnasium.spaces.Discrete):
            return None
        mask, n = np.asarray(given), int(self.acted.n)
        if mask.shape != (n,) or mask.dtype.kind not in "biuf" or not np.isin(mask, (0, 1)).all():
            raise self._misfit(MASK, step, f"is {_kind_of(given)}", f"{n} numbers, each 0 or 1")
        return mask.astype(bool)

    def _misfit(self, what: str, step: int, found: str | None, allowed: str) -> UsageError:
        return UsageError(f"{self.where}: {what} of '{self.agent}' at step {step} {found}; allowed: {allowed}")


def _problem(space: Any, given: Any) -> str | None:
    """In what a value is not of a space; None where its shape fits."""
    if isinstance(space, gymnasium.spaces.Box):
        return None if _shape(given) == space.shape else f"is {_kind_of(given)}"
    if isinstance(space, gymnasium.spaces.Dict):
        if not isinstance(given, Mapping):
            return f"is {_kind_of(given)}"
        missing = [name for name in space.spaces if name not in given]
        if missing:
            return f"has no '{missing[0]}'"
        return next(filter(None, (_problem(part, given[name]) for name, part in space.spaces.items())), None)
    if isinstance(space, gymnasium.spaces.Tuple):
        if not isinstance(given, (tuple, list)) or len(given) != len(space.spaces):
            return f"is {_kind_of(given)}"
        return next(filter(None, map(_problem, space.spaces, given)), None)
    fits = space.contains(given if isinstance(given, str) else np.asarray(given))
    return None if fits else f"is {_kind_of(given)}"


def _shape(given: Any) -> tuple[int, ...] | None:
    """None where rows have different lengths."""
    try:
        return np.shape(given)
    except ValueError:
        return None


def _kind_of(given: Any) -> str:
    """A value in a few words: itself where it is short, else its shape or its type."""
    shape = _shape(given)
    if given is None or isinstance(given, (int, float, np.generic)):
        return str(given)
    if isinstance(given, Mapping):
        return f"a {type(given).__name__} of {', '.join(repr(name) for name in given) or 'nothing'}"
    if shape == ():
        return f"a {type(given).__name__}"
    return "rows of different lengths" if shape is None else f"of shape {shape}"


def bounds_of(spaces: Sequence[Any]) -> tuple[float, float]:
    """What no number of these spaces lies below and above, nor the zeros that stand for what is not there."""
    if not all(isinstance(space, gymnasium.spaces.Box) for space in spaces):
        return -math.inf, math.inf
    return min(0.0, *(float(space.low.min()) for space in spaces)), max(0.0, *(float(s.high.max()) for s in spaces))
