"""Is the Jacobian of LGTC's states contractive where they come to be, with and without the regulariser?"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from accord.baselines.lgtc.graph_filters import Hops, over
from accord.baselines.lgtc.lgtc import LGTCBody
from accord.baselines.rollout import begin
from accord.benchmark.records.store import Store
from accord.benchmark.seeding import seeded
from accord.benchmark.specs.resolved import ResolvedRun
from accord.benchmark.studies.policies import Row, attended, body_of, fresh_task, policy_of
from accord.envs.allocation.dynamics import STEPS

JACOBIANS, EVERY = 16, 10  # episodes whose states are looked at, and each how many steps


def contraction(run: ResolvedRun, store: Store) -> list[Row]:
    """Log-norm of the Jacobian of x' on visited states, and how two trajectories under one input stream approach.

    The log-norm is the Euclidean one of all agents' states together: the largest eigenvalue of the Jacobian's
    symmetric part. The other trajectory begins at random states in [-1, 1], under the same inputs and graphs.

    Returns:
        One row: `states` looked at, `share_negative` of their log-norms, the `median` and the `largest`; `certified`,
        the rate that holds wherever states stay within 1, and `largest_state`, how large they are; `apart`, the
        distance between the two at the end over that at the beginning, the largest of all episodes; `attention`, the
        mean weight of the consumer that an agent's picks; `agreement`, the mean distance between states of two agents
        whose attention picks one consumer, over that of two who differ.
    """
    task, network, generator = fresh_task(run.spec.scenario), run.scenario.network(), seeded(run.spec.seed, "evaluate")
    controller = policy_of(run, store, run.spec.scenario)
    body = body_of(controller)
    norms, weights, size, distances = list[float](), list[float](), 0.0, torch.zeros(2, 2)
    with torch.no_grad():
        begin(task, controller, network, JACOBIANS, generator)
        step = task.reset(JACOBIANS, generator)
        own = body.start(JACOBIANS, task.spec.n_agents)
        other = torch.rand(own.shape, generator=generator) * 2 - 1
        first = (own - other).flatten(1).norm(dim=1)
        for t in range(STEPS):
            assert step.links is not None
            network.move(step.links)
            graphs, inputs = over(step.links.float(), body.cell.taps), body.inputs(step.obs)
            if t % EVERY == 0:
                norms += map(_log_norm, [body] * JACOBIANS, own, inputs, graphs.each(JACOBIANS))
                distances += _by_agreement(own, attended(body, task, step.obs))
                weights.append(float(body.attention(step.obs).amax(-1).mean()))
            size = max(size, float(own.abs().max()))
            own, other = (body.cell(x, inputs, graphs) for x in (own, other))
            step = task.step(controller.act(step))
    apart = ((own - other).flatten(1).norm(dim=1) / first).max()
    found = np.array(norms)
    row = {
        "states": len(found),
        "share_negative": float((found < 0).mean()),
        "median": float(np.median(found)),
        "largest": float(found.max()),
        "largest_state": size,
        "certified": float(body.cell.contraction_rate().detach()),
        "apart": float(apart),
        "attention": float(np.mean(weights)),
        "agreement": float(distances[0, 0] / distances[0, 1] / (distances[1, 0] / distances[1, 1])),
    }
    return [row]


def _by_agreement(states: Tensor, picked: Tensor) -> Tensor:
    """Sum and number of distances between states [B, N, H] of two agents: who pick the same, and who do not, [2, 2]."""
    distance, same = torch.cdist(states, states), picked[:, :, None] == picked[:, None]
    others = ~torch.eye(states.shape[1], dtype=torch.bool)
    return torch.stack([torch.stack([distance[pairs].sum(), pairs.sum()]) for pairs in (same & others, ~same)])


def _log_norm(body: LGTCBody, x: Tensor, inputs: Tensor, graph: Hops) -> float:
    """Of the Jacobian at states [N, H]."""

    def flat(state: Tensor) -> Tensor:
        return body.cell.derivative(state.view_as(x), inputs, graph).flatten()

    jacobian = torch.func.jacrev(flat)(x.flatten()).double()
    return float(torch.linalg.eigvalsh((jacobian + jacobian.T) / 2)[-1])
