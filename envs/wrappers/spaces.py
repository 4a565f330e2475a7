"""A task's spaces as Gymnasium's, and whether what someone gives is in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from accord.envs.errors import UsageError
from accord.envs.task import Box, Discrete

FloatArray = npt.NDArray[np.float32]
ROUNDING = 1e-6  # of a box's width: squashed Gaussians pass an end by so much
LARGEST_SEED = 2**63 - 1


def seed_of(seed: Any) -> int:
    """A seed as a Python integer; numpy's are taken too.

    Raises:
        UsageError: it is none.
    """
    whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not (whole and 0 <= seed <= LARGEST_SEED):
        raise UsageError(f"seed {seed!r}: allowed are whole numbers from 0 to {LARGEST_SEED}")
    return int(seed)


def check_horizon(horizon: Any) -> None:
    """Raise a `UsageError` where steps of an episode are given that are no number of steps."""
    whole = isinstance(horizon, int | np.integer) and not isinstance(horizon, bool)
    if horizon is not None and not (whole and horizon > 0):
        raise UsageError(f"horizon {horizon!r}: allowed are whole numbers of steps from 1, or None for the task's own")


def check_start(start: Any) -> None:
    """Raise a `UsageError` where a first step of the data is given that is no number of a step."""
    whole = isinstance(start, int | np.integer) and not isinstance(start, bool)
    if start is not None and not whole:
        raise UsageError(f"start {start!r}: allowed are whole numbers of steps from 0, or None to draw one")


def start_and_initial(options: Any, start: int | None) -> tuple[int | None, Any]:
    """What `Task.reset` begins with, from the options of a reset; other keys are for other wrappers.

    Args:
        options: A mapping or None; arrays in `initial` of shape [N] or [B, N].
        start: First step of the data where the options name none.

    Raises:
        UsageError: the options are no mapping, or the start is no number of a step.
    """
    if options is not None and not isinstance(options, Mapping):
        raise UsageError(f"options {options!r}: allowed are a mapping with 'start' and 'initial', or None")
    named = options or {}
    first, initial = named.get("start", start), named.get("initial", "zero")
    check_start(first)
    if isinstance(initial, Mapping):
        initial = {name: torch.as_tensor(value) for name, value in initial.items()}
    return first, initial


def bounded_space(bounds: tuple[Tensor, Tensor]) -> gymnasium.spaces.Box:
    """A box of float32 numbers between two of [K]; infinite where a bound is not known."""
    low, high = (bound.cpu().numpy().astype(np.float32) for bound in bounds)
    return gymnasium.spaces.Box(low, high, dtype=np.float32)


def action_space(action: Box | Discrete) -> gymnasium.spaces.Space:
    """One agent's actions."""
    if isinstance(action, Discrete):
        return gymnasium.spaces.Discrete(action.n)
    return gymnasium.spaces.Box(action.low, action.high, (action.size,), np.float32)


def box_action(agent: str, action: Any, space: Box) -> FloatArray:
    """An agent's numbers, those beyond an end by a rounding brought back to it, [A].

    Raises:
        UsageError: they are not in the space.
    """
    given = _array(action)
    if given.shape == (space.size,) and given.dtype.kind in "iuf" and in_box(given, space):
        return given.astype(np.float32).clip(np.float32(space.low), np.float32(space.high))
    allowed = f"{space.size} numbers in [{space.low}, {space.high}]"
    raise UsageError(f"action of '{agent}': {action}; allowed: {allowed}")


def in_box(given: npt.NDArray[Any], space: Box) -> bool:
    """All numbers are finite and within the ends, or beyond one by a rounding."""
    margin = ROUNDING * (space.high - space.low)
    return bool(((given >= space.low - margin) & (given <= space.high + margin)).all())


def discrete_action(agent: str, action: Any, allowed: Tensor) -> int:
    """An agent's choice among those that are allowed, bool [n].

    Raises:
        UsageError: it is none of them.
    """
    given = _array(action)
    choices: list[int] = allowed.nonzero().flatten().tolist()
    if given.shape == () and given.dtype.kind in "iu" and int(given) in choices:
        return int(given)
    raise UsageError(f"action of '{agent}': {action}; allowed: one of {choices}")


def _array(action: Any) -> npt.NDArray[Any]:
    try:
        return np.asarray(action.detach().cpu() if isinstance(action, Tensor) else action)
    except ValueError:  # rows of different lengths
        return np.asarray(None)
