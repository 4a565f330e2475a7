"""The centralised expert of multi-resource allocation: a mixed-integer programme assigns agents anew every second.

    min  Σ_jw [D_jw − Σ_i x_ij r_iw]_+ + σ [Σ_i x_ij r_iw − D_jw]_+  + κ Σ_ij x_ij · way_ij
    x_ij ∈ {0, 1},  Σ_j x_ij ≤ 1

The paper's expert (arXiv 2503.02437) is quadratic in the mismatch; a linear one has the same zero and is what HiGHS
solves to a known gap. A mismatch that costs the same both ways (σ = 1) leaves the last of a demand unmet where every
agent carries more than that; what is carried too many costs little here, since nothing is lost by it. Agents fly
straight to their consumers and keep clear of each other.
"""

from __future__ import annotations

import math
import time
from typing import cast

import numpy as np
import torch
from pydantic import Field
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp
from torch import Tensor

from accord.baselines.base import Controller, Method, MethodConfig, RolloutStart
from accord.baselines.registry import register
from accord.envs.allocation.dynamics import CLEARANCE, DT, REACH, REASSIGNED, SPEED, ResourceAllocation
from accord.envs.errors import UsageError
from accord.envs.task import Step, Task

OUT_OF_TIME = 1  # what scipy's milp says of its limit
SEAT = 0.7 * REACH  # distance at which agents wait around their consumer
AVOIDED = 3 * CLEARANCE  # distance from which on others are steered clear of


class ExpertConfig(MethodConfig):
    """Settings of the expert."""

    way: float = Field(0.05, gt=0, description="κ: units of unmet demand that a half square of way is worth.")
    """Unit: demand per half square."""
    surplus: float = Field(0.02, ge=0, description="σ: units of unmet demand that one carried too many is worth.")
    """Unit: demand."""
    seconds: float = Field(0.5, gt=0, description="Limit of one assignment; the best one found is used.")
    """Unit: s."""


@register("allocation_expert", "everything; assignments by a mixed-integer programme")
class AllocationExpert(Method):
    """Plans for everybody; a yardstick, not a contender."""

    config_type = ExpertConfig
    privileged = on_processor = True
    config: ExpertConfig

    def build(self, task: Task, generator: torch.Generator) -> ExpertController:
        """The planner."""
        if not isinstance(task, ResourceAllocation):
            raise UsageError(f"method allocation_expert: task '{task.spec.name}' is not multi-resource allocation")
        return ExpertController(self.config)


class ExpertController(Controller):
    """See the module."""

    decentralised = False
    privileged = True

    def __init__(self, config: ExpertConfig) -> None:
        """Set up.

        Args:
            config: Settings.
        """
        self._config = config

    def reset(self, start: RolloutStart) -> None:
        """Begin without assignments."""
        super().reset(start)
        if start.model is None:
            raise ValueError("the expert needs a model view")
        self._task = cast(ResourceAllocation, start.model.task)
        self._gaps, self._timeouts, self._seconds = list[float](), 0, 0.0
        self._steps = 0

    def act(self, step: Step) -> Tensor:
        """Velocities towards the assigned consumers, around whoever is near."""
        task = self._task
        if self._steps % REASSIGNED == 0:
            self._goal = self._assign()
        self._steps += 1
        return fly(task, self._goal)

    def solver_statistics(self) -> dict[str, float]:
        """Mean relative gap of an assignment, share of those that ran into the time limit, seconds of one."""
        count = max(1, len(self._gaps))
        return {
            "solver_gap": sum(self._gaps) / count,
            "solver_timeouts": self._timeouts / count,
            "solver_seconds": self._seconds / count,
        }

    def _assign(self) -> Tensor:
        """Consumer of each agent, [B, N]; -1 for none."""
        task = self._task
        ways = torch.cdist(task.places, task.consumers).double().numpy()
        carried = (task.carried * task.alive[..., None]).double().numpy()
        demand, chosen = task.demand.double().numpy(), np.full(ways.shape[:2], -1)
        began = time.perf_counter()
        for copy in range(len(ways)):
            chosen[copy], gap, late = best_assignment(carried[copy], demand[copy], ways[copy], self._config)
            self._gaps.append(gap)
            self._timeouts += late
        self._seconds += time.perf_counter() - began
        return torch.from_numpy(chosen)


def best_assignment(
    carried: np.ndarray, demand: np.ndarray, ways: np.ndarray, config: ExpertConfig
) -> tuple[np.ndarray, float, bool]:
    """One assignment.

    Args:
        carried: r [N, W].
        demand: D [M, W].
        ways: [N, M].
        config: Prices and the limit.

    Returns:
        The consumer of each agent [N], -1 for none; the relative gap, 1 where none was found; whether time ran out.
    """
    (n, w), m = carried.shape, len(demand)
    x, misses = n * m, m * w  # numbers of variables
    # served_jw = Σ_i x_ij r_iw, one row for each (j, w); x is ordered by agent.
    served = sparse.hstack([sparse.kron(sparse.eye_array(m), row[:, None]) for row in carried], format="csr")
    unmet = sparse.eye_array(misses, format="csr")
    once = sparse.hstack([sparse.kron(sparse.eye_array(n), np.ones((1, m))), sparse.csr_array((n, 2 * misses))])
    result = milp(
        np.concatenate([config.way * ways.ravel(), np.ones(misses), np.full(misses, config.surplus)]),
        integrality=np.concatenate([np.ones(x), np.zeros(2 * misses)]),
        bounds=Bounds(0, np.concatenate([np.ones(x), np.full(2 * misses, np.inf)])),
        constraints=[
            LinearConstraint(sparse.hstack([served, unmet, -unmet]), lb=demand.ravel(), ub=demand.ravel()),
            LinearConstraint(once, ub=1),
        ],
        options={"time_limit": config.seconds},
    )
    if result.x is None:
        if result.status != OUT_OF_TIME:
            raise RuntimeError(f"HiGHS found no assignment: {result.message}")
        return np.full(n, -1), 1.0, True
    chosen = result.x[:x].reshape(n, m) > 0.5
    gap = max(0.0, (result.fun - result.mip_dual_bound) / max(abs(result.fun), 1e-9))
    return np.where(chosen.any(1), chosen.argmax(1), -1), gap, result.status == OUT_OF_TIME


def assignment_cost(
    carried: np.ndarray, demand: np.ndarray, ways: np.ndarray, config: ExpertConfig, chosen: np.ndarray
) -> float:
    """What `best_assignment` minimises, of any assignment [N]."""
    x = chosen[:, None] == np.arange(len(demand))
    unmet = demand - x.T @ carried
    surplus = config.surplus * np.maximum(-unmet, 0.0).sum()
    return float(np.maximum(unmet, 0.0).sum() + surplus + config.way * (x * ways).sum())


def fly(task: ResourceAllocation, goal: Tensor) -> Tensor:
    """Velocities [B, N, 2] to the consumers `goal` [B, N], -1 for none, around whoever is near.

    Agents of one consumer take seats around it, in the order of their numbers.
    """
    mates = (goal[:, :, None] == goal[:, None]) & (goal >= 0)[:, None]
    rank = torch.tril(mates, -1).sum(-1)
    angle = 2 * math.pi * rank / mates.sum(-1).clamp_min(1)
    # Nearer to their own consumer than to the next one, which they would serve instead.
    apart = torch.cdist(task.consumers, task.consumers) + torch.diag_embed(
        torch.full_like(task.demand[..., 0], torch.inf)
    )
    radius = (0.45 * apart.amin(-1)).clamp_max(SEAT).gather(1, goal.clamp_min(0))
    seat = radius[..., None] * torch.stack([angle.cos(), angle.sin()], -1)
    consumer = task.consumers.gather(1, goal.clamp_min(0)[..., None].expand(-1, -1, 2))
    return steer(task.places, torch.where((goal >= 0)[..., None], consumer + seat, task.places), task.alive)


def steer(places: Tensor, targets: Tensor, alive: Tensor) -> Tensor:
    """Velocities [B, N, 2] in units of `SPEED`: to the target, and away from others that are near."""
    ahead = targets - places
    way = ahead.abs().amax(-1, keepdim=True)  # each component has its own limit
    return avoid(places, ahead / way.clamp_min(1e-9) * (way / (SPEED * DT)).clamp_max(1.0), alive)


def avoid(places: Tensor, wanted: Tensor, alive: Tensor) -> Tensor:
    """Velocities [B, N, 2] in units of `SPEED`: those that are wanted, turned away from others that are near.

    Who is near nobody flies as it wants to.
    """
    apart = places[:, :, None] - places[:, None]
    distance = apart.norm(dim=-1, keepdim=True).clamp_min(1e-9)
    near = (distance < AVOIDED) & alive[:, None, :, None]
    push = (near * apart / distance * (AVOIDED / distance - 1)).sum(2)
    # Round each other on the right, so that two who meet head-on do not stand still.
    aside = torch.stack([push[..., 1], -push[..., 0]], -1)
    velocity = wanted + push + aside
    return velocity / velocity.abs().amax(-1, keepdim=True).clamp_min(1.0)
