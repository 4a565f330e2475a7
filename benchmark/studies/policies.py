"""What the studies of multi-resource allocation share: policies of the suite, and where their agents head for.

Policies are looked at in episodes of their own seed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from accord.baselines.lgtc.lgtc import LGTCBody
from accord.baselines.training.policy import PolicyController
from accord.benchmark.launch.training import controller_of
from accord.benchmark.records.store import Store
from accord.benchmark.specs.resolved import ResolvedRun
from accord.envs.allocation.dynamics import REACH, ResourceAllocation
from accord.envs.catalogue import resolve

WAITS = 0.25  # of the speed: who is slower waits
AHEAD = 0.8  # cosine: what is farther aside is not headed for
Row = dict[str, Any]


def fresh_task(address: str) -> ResourceAllocation:
    """A task of an address of multi-resource allocation."""
    task = resolve(address).task()
    assert isinstance(task, ResourceAllocation)
    return task


def policy_of(run: ResolvedRun, store: Store, address: str) -> PolicyController:
    """A run's policy, to act at an address."""
    controller = controller_of(run, store, resolve(address))
    assert isinstance(controller, PolicyController)
    return controller


def body_of(controller: PolicyController) -> LGTCBody:
    """The actor of LGTC-IPPO."""
    body = controller.last.actor.body
    assert isinstance(body, LGTCBody)
    return body


def attended(body: LGTCBody, task: ResourceAllocation, obs: Tensor) -> Tensor:
    """The consumer that each agent's attention picks, [B, N]."""
    nearest_first = torch.cdist(task.places, task.consumers).argsort(-1)  # as agents see them
    return nearest_first.gather(-1, body.attention(obs).argmax(-1, keepdim=True)).squeeze(-1)


def headed_for(task: ResourceAllocation, velocities: Tensor) -> Tensor:
    """The consumer of each agent [B, N].

    The first in whose reach its flight brings it, or else the one most nearly ahead; of an agent that hardly moves, the
    one that it waits at; -1 for none.
    """
    ways = task.consumers[:, None] - task.places[:, :, None]  # [B, N, M, 2]
    speed, distance = velocities.norm(dim=-1, keepdim=True), ways.norm(dim=-1)
    along = (ways * (velocities / speed.clamp_min(1e-9))[:, :, None]).sum(-1)
    beside = (distance.square() - along.square()).clamp_min(0.0).sqrt()
    reached = along.where((along > 0) & (beside < REACH), torch.inf)
    cosine = along / distance.clamp_min(1e-9)
    ahead = torch.where(cosine.amax(-1) > AHEAD, cosine.argmax(-1), -1)
    goal = torch.where(reached.isfinite().any(-1), reached.argmin(-1), ahead)
    waits = torch.where(distance.amin(-1) < REACH, distance.argmin(-1), -1)
    return torch.where(task.alive, torch.where(speed.squeeze(-1) > WAITS, goal, waits), -1)
