"""A task's spaces as Gymnasium's, and whether what someone gives is in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from accord.envs.errors import UsageError, quoted
from accord.envs.task import Box, Discrete

FloatArray = npt.NDArray[np.float32]
ROUNDING = 1e-6  # of a box's width: squashed Gaussians pass an end by so much
LARGEST = 2**63 - 1  # of seeds and steps: what fits a tensor


def seed_of(seed: Any) -> int:
    """A seed as a Python integer; numpy's are taken too.

    Raises:
        UsageError: it is none.
    """
    whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not (whole and 0 <= seed <= LARGEST):
        raise UsageError(f"seed {quoted(seed)}: allowed are whole numbers from 0 to {LARGEST}")
    return int(seed)


def check_horizon(horizon: Any) -> None:
    """Raise a `UsageError` where steps of an episode are given that are no number of steps."""
    whole = isinstance(horizon, int | np.integer) and not isinstance(horizon, bool)
    if horizon is not None and not (whole and 0 < horizon <= LARGEST):
        allowed = "allowed are whole numbers of steps from 1, or None for the task's own"
        raise UsageError(f"horizon {quoted(horizon)}: {allowed}")


def check_start(start: Any) -> None:
    """Raise a `UsageError` where a first step of the data is given that is no number of a step."""
    whole = isinstance(start, int | np.integer) and not isinstance(start, bool)
    if start is not None and not (whole and 0 <= start <= LARGEST):
        raise UsageError(f"start {quoted(start)}: allowed are whole numbers of steps from 0, or None to draw one")


def start_and_initial(options: Any, start: int | None, batch: int) -> tuple[int | None, Any]:
    """What `Task.reset` begins with, from the options of a reset; other keys are for other wrappers.

    Args:
        options: A mapping or None; arrays in `initial` of shape [N] or [B, N].
        start: First step of the data where the options name none.
        batch: B.

    Raises:
        UsageError: the options are no mapping, the start is no number of a step, or what is in `initial` no array.
    """
    if options is not None and not isinstance(options, Mapping):
        raise UsageError(f"options {quoted(options)}: allowed are a mapping with 'start' and 'initial', or None")
    named = options or {}
    first, initial = named.get("start", start), named.get("initial", "zero")
    check_start(first)
    if isinstance(initial, Mapping):
        initial = {name: _rows(name, value, batch) for name, value in initial.items()}
    return first, initial


def _rows(name: Any, value: Any, batch: int) -> Tensor:
    """Numbers of shape [N] or [B, N] as [B, N]."""
    try:
        return torch.as_tensor(value).expand(batch, -1)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise UsageError(f"initial: '{name}' is {quoted(value)}; allowed: numbers [N] or [{batch}, N]") from None


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
    given = array_of(action)
    if given.shape == (space.size,) and given.dtype.kind in "iuf" and in_box(given, space):
        return given.astype(np.float32).clip(np.float32(space.low), np.float32(space.high))
    allowed = f"{space.size} numbers in [{space.low}, {space.high}]"
    raise UsageError(f"action of '{agent}': {_shown(action)}; allowed: {allowed}")


def in_box(given: npt.NDArray[Any], space: Box) -> bool:
    """All numbers are finite and within the ends, or beyond one by a rounding."""
    margin = ROUNDING * (space.high - space.low)
    return bool(((given >= space.low - margin) & (given <= space.high + margin)).all())


def discrete_action(agent: str, action: Any, allowed: Tensor) -> int:
    """An agent's choice among those that are allowed, bool [n].

    Raises:
        UsageError: it is none of them.
    """
    given = array_of(action)
    choices: list[int] = allowed.nonzero().flatten().tolist()
    if given.shape == () and given.dtype.kind in "iu" and int(given) in choices:
        return int(given)
    raise UsageError(f"action of '{agent}': {_shown(action)}; allowed: one of {choices}")


def array_of(action: Any) -> npt.NDArray[Any]:
    """Numbers as an array, a tensor's too; one without numbers where they are none."""
    try:
        return np.asarray(action.detach().cpu() if isinstance(action, Tensor) else action)
    except ValueError:  # rows of different lengths
        return np.asarray(None)


def _shown(action: Any) -> str:
    return quoted(action.tolist() if isinstance(action, np.ndarray | Tensor) else action)
