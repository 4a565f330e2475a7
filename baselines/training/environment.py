"""What every learner here learns in: groups of agents that act side by side, in batched tensors.

A group is what one central critic or mixer looks at: a whole copy of a task, or a single agent that
trains alone. All groups start together; an episode is a time limit unless the task itself ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from accord.envs.task import Box, Discrete


@dataclass(frozen=True)
class Observation:
    """What G groups of A agents see before they act.

    Attributes:
        obs: [G, A, O], each agent's own.
        state: [G, S], for central critics and mixers; S is 0 where there is none.
        valid: [G, A] bool, the agent lives and its episode goes on; None where all do.
        mask: [G, A, n] bool, discrete actions that are allowed; None where all are.
    """

    obs: Tensor
    state: Tensor
    valid: Tensor | None = None
    mask: Tensor | None = None


@dataclass(frozen=True)
class Shapes:
    """What a network must know of an environment.

    Attributes:
        obs_dim: O.
        state_dim: S.
        action: The space of the actions; a box is given in units of a Gaussian, see `to_box`.
        objectives: R, the width of a reward.
    """

    obs_dim: int
    state_dim: int
    action: Box | Discrete
    objectives: int = 1


class Environment(Protocol):
    """G groups of A agents, reset together.

    Attributes:
        name: Of the task.
        shapes: Of what it shows and takes.
        groups: G.
        agents: A.
        horizon: Steps of an episode.
        weights: [R], how the R objectives of a reward are added up.
    """

    name: str
    shapes: Shapes
    groups: int
    agents: int
    horizon: int
    weights: Tensor

    def reset(self) -> Observation:
        """Start an episode."""

    def step(self, actions: Tensor) -> tuple[Observation, Tensor, Tensor]:
        """Act [G, A, k]; what is seen next, rewards [G, A, R], and who terminated [G, A] bool: do not bootstrap."""

    def refresh(self, view: Observation) -> Observation:
        """The same view at the multipliers of now, where these may have moved; called before each rollout."""

    def anneal(self, fraction: float) -> None:
        """A share of the effort is spent: what helps only in the beginning becomes less."""

    def measures(self) -> dict[str, float]:
        """Numbers for the training curve since the last call."""

    def state_dict(self) -> dict[str, Any]:
        """What outlives an episode."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""


def stacked(rows: Iterable[Mapping[str, Tensor | None]]) -> dict[str, Tensor]:
    """The values of each name over steps as one tensor, the steps in its first dimension.

    `valid` and `mask` may be None in some steps, which means that everything is: those are True. A name without any
    value is left out.
    """
    steps = list(rows)
    stacks: dict[str, Tensor] = {}
    for name in dict.fromkeys(name for row in steps for name in row):
        values = [row.get(name) for row in steps if name in row]
        known = next((value for value in values if value is not None), None)
        if known is not None:
            stacks[name] = torch.stack([torch.ones_like(known) if value is None else value for value in values])
    return stacks


class MeanReward:
    """Mean of what was added since it was last read."""

    def __init__(self) -> None:
        self._sum: float | Tensor = 0.0
        self._count = 0

    def add(self, reward: Tensor) -> None:
        """Take in a step's rewards."""
        self._sum = self._sum + reward.mean()
        self._count += 1

    def read(self) -> float:
        """The mean; counting begins anew."""
        mean = float(self._sum) / max(1, self._count)
        self._sum, self._count = 0.0, 0
        return mean


def numbered(obs: Tensor) -> Tensor:
    """Observations [..., N, O] with each agent's number as N more columns: shared networks can tell them apart."""
    n_agents = obs.shape[-2]
    return torch.cat([obs, torch.eye(n_agents, device=obs.device).expand(*obs.shape[:-1], n_agents)], -1)


def to_box(draw: Tensor, box: Box | None = None) -> Tensor:
    """From a Gaussian's numbers to a box: -1 is its low end, 1 its high end; beyond an end is that end.

    Without a box: the unit box of demand response, which clamps by itself.
    """
    unit = 0.5 * (draw + 1.0)
    if box is None or (box.low, box.high) == (0.0, 1.0):
        return unit
    return box.low + (box.high - box.low) * unit.clamp(0.0, 1.0)
