"""Nothing is learned from numbers that are not finite: the first one ends a training."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from accord.baselines.training.environment import Environment, Observation
from accord.envs.errors import UsageError


def check_finite(env: Environment, batch: Mapping[str, Tensor], seen: Observation, done: int) -> None:
    """Look through a rollout; one sum over it unless something is wrong.

    Args:
        env: Where it was collected.
        batch: At least `obs` [T, G, A, O], `state` [T, G, S], `action` and `reward` [T, G, A, ...].
        seen: What is seen after it.
        done: Steps of the episode before it.

    Raises:
        UsageError: the environment showed or paid a number that is not finite.
        ArithmeticError: the policy's actions were not finite before.
    """
    shown = (batch["obs"], batch["state"], batch["reward"], seen.obs, seen.state)
    if math.isfinite(sum(values.sum() for values in shown)):
        return
    # By the steps of the episode that were taken when each was known; an action is known before what comes of it.
    first = min(
        (
            *_first("action", batch["action"], done + 1, 0),
            *_first("reward", batch["reward"], done + 1, 1),
            *_first("observation", torch.cat([batch["obs"], seen.obs[None]]), done, 2),
            *_first("state", torch.cat([batch["state"], seen.state[None]]), done, 3),
        ),
        default=None,
    )
    if first is None:  # finite numbers whose sum is not
        return
    step, _, group, agent, name, value = first
    if name == "action":
        raise ArithmeticError(f"the policy diverged: an action at step {step} of an episode is {value}")
    whose = "" if name == "state" else f"agent {agent} of "
    raise UsageError(
        f"environment '{env.name}': {name} of {whose}group {group} at step {step} of an episode has the value {value}; "
        "allowed: finite numbers"
    )


def _first(name: str, values: Tensor, done: int, rank: int) -> list[tuple[int, int, int, int, str, float]]:
    """The first that is not finite, if any: step, rank, group, agent, name and value."""
    wrong = (~torch.isfinite(values)).nonzero()
    if not len(wrong):
        return []
    step, group, agent, *_ = where = wrong[0].tolist()
    return [(done + step, rank, group, agent, name, float(values[tuple(where)]))]
