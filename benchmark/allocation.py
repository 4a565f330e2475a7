"""What trained policies of multi-resource allocation are like inside: studies beside the suite `allocation`.

- contraction: is the Jacobian of LGTC's states contractive where they come to be, with and without the regulariser?
- gap: what the return lacks to the expert's as the number of agents grows, and what of it is whose fault;
- reassignment: how soon after a change agents head for consumers as well as a mixed-integer programme would send them.

Policies are those of the suite, on episodes of their own seed; nothing is trained here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from baselines.allocation_expert import ExpertConfig, assignment_cost, avoid, best_assignment, fly
from baselines.base import Controller, ModelView
from baselines.lgtc import LGTCBody
from baselines.lgtc_cell import over, support
from baselines.policy import PolicyController
from baselines.registry import make_method
from benchmark.evaluate import evaluate
from benchmark.metrics import Context
from benchmark.runner import controller_of
from benchmark.seeding import seeded
from benchmark.specs import RunSpec
from benchmark.store import Store
from envs.catalogue import resolve
from envs.network import Network
from envs.resource_allocation import DT, REACH, SPEED, STEPS, ResourceAllocation, parse
from envs.task import Step, TaskSpec

EXPERT = "allocation_expert"
JACOBIANS, EVERY = 16, 10  # episodes whose states are looked at, and each how many steps
GAP_EPISODES = 50
CHANGED_EPISODES = 32
BEFORE, AFTER = 1.0, 6.0  # seconds around a change that are looked at
WAITS = 0.5  # of its speed: an agent that comes closer to no consumer by this much does not fly to one
LOOK = 0.5  # seconds between two looks
RECOVERED = 0.05  # of the demand: so close to the regret of before the change is a new assignment found
Row = dict[str, Any]
Change = Callable[[ResourceAllocation, Tensor], Tensor]


def contraction(spec: RunSpec, store: Store) -> Row:
    """Log-norm of the Jacobian of x' on visited states, and how two trajectories under one input stream approach.

    The log-norm is the Euclidean one of all agents' states together: the largest eigenvalue of the Jacobian's
    symmetric part. The other trajectory begins at random states in [-1, 1], under the same inputs and graphs.

    Returns:
        `states` looked at, `share_negative` of their log-norms, the `median` and the `largest`; `certified`, the rate
        that holds wherever states stay within 1; `apart`, the distance between the two at the end over that at the
        beginning, the largest of all episodes.
    """
    scenario, generator = resolve(spec.scenario), seeded(spec.seed, "evaluate")
    controller = controller_of(spec, store, scenario)
    assert isinstance(controller, PolicyController)
    task, network = scenario.task(), scenario.network()
    body = controller.last.actor.body
    assert isinstance(body, LGTCBody)
    norms: list[float] = []
    with torch.no_grad():
        controller.reset(task.spec, network, JACOBIANS, generator)
        step = task.reset(JACOBIANS, generator)
        own = body.start(JACOBIANS, task.spec.n_agents)
        other = torch.rand(own.shape, generator=generator) * 2 - 1
        first = (own - other).flatten(1).norm(dim=1)
        for t in range(STEPS):
            assert step.links is not None
            network.move(step.links)
            graphs, inputs = support(step.links.float()), body.inputs(step.obs)
            if t % EVERY == 0:
                norms += [_log_norm(body, *three) for three in zip(own, inputs, graphs, strict=True)]
            own, other = (body.cell(x, inputs, over(graphs)) for x in (own, other))
            step = task.step(controller.act(step))
    apart = ((own - other).flatten(1).norm(dim=1) / first).max()
    found = np.array(norms)
    return {
        "states": len(found),
        "share_negative": float((found < 0).mean()),
        "median": float(np.median(found)),
        "largest": float(found.max()),
        "certified": float(body.cell.contraction_rate().detach()),
        "apart": float(apart),
    }


def _log_norm(body: LGTCBody, x: Tensor, inputs: Tensor, graph: Tensor) -> float:
    """Of the Jacobian at states [N, H]."""

    def flat(state: Tensor) -> Tensor:
        return body.cell.derivative(state.view_as(x), inputs, over(graph)).flatten()

    jacobian = torch.func.jacrev(flat)(x.flatten()).double()
    return float(torch.linalg.eigvalsh((jacobian + jacobian.T) / 2)[-1])


def gap(spec: RunSpec, store: Store, address: str) -> list[Row]:
    """What a policy reaches where `address` says, as it is and with one thing taken from it or put right.

    Returns:
        Rows with `as` and the episode's metrics:
        "policy": as it is;
        "clear": its agents keep clear of each other as the expert's do: what is left is not collisions;
        "flown": its agents are flown to the consumers that they head for as the expert flies: what is left is the
        assignment;
        "silent", "connected": nobody hears anybody, everybody hears everybody;
        "expert": on the same episodes.
    """
    setting = parse(address)

    def hearing(radius: str) -> str:
        return f"{setting.name}/radius-{radius}/{setting.variant}"

    trained = controller_of(spec, store, resolve(address))
    rows = []
    for name, where, controller in (
        ("policy", address, trained),
        ("clear", address, Changed(trained, lambda task, wanted: avoid(task.places, wanted, task.alive))),
        ("flown", address, Changed(trained, lambda task, wanted: fly(task, headed_for(task, wanted)))),
        ("silent", hearing("0.001"), trained),
        ("connected", hearing("3"), trained),
        ("expert", address, make_method(EXPERT).build(resolve(address).task(), seeded(0, "train"))),
    ):
        found = evaluate(resolve(where), controller, Context(), seeded(spec.seed, "evaluate"), episodes=GAP_EPISODES)
        kept = ("episode_return", "served", "completed", "collisions", "messages")
        rows.append({"as": name, **{metric: found.metrics[metric] for metric in kept}})
    return rows


class Changed(Controller):
    """A policy whose velocities are changed by what knows all places."""

    decentralised = False
    privileged = True

    def __init__(self, policy: Controller, change: Change) -> None:
        """Args: what acts; from its velocities [B, N, 2] to those that are flown."""
        self._policy, self._change = policy, change

    def reset(
        self,
        spec: TaskSpec,
        network: Network,
        batch: int,
        generator: torch.Generator,
        model: ModelView | None = None,
    ) -> None:
        """Begin a rollout; see `Controller.reset`."""
        super().reset(spec, network, batch, generator, model)
        assert model is not None
        assert isinstance(model.task, ResourceAllocation)
        self._task = model.task
        self._policy.reset(spec, network, batch, generator, model if self._policy.privileged else None)

    def act(self, step: Step) -> Tensor:
        """Velocities [B, N, 2]."""
        return self._change(self._task, self._policy.act(step))


def headed_for(task: ResourceAllocation, velocities: Tensor) -> Tensor:
    """The consumer of each agent [B, N]: the one that it flies to, or waits at; -1 where it is neither."""
    ways = torch.cdist(task.places, task.consumers)
    moved = torch.cdist(task.places + SPEED * DT * velocities.clamp(-1.0, 1.0), task.consumers)
    approach, goal = (ways - moved).max(-1)
    distance, nearest = ways.min(-1)
    waits = torch.where(distance < REACH, nearest, -1)
    return torch.where(task.alive, torch.where(approach < WAITS * SPEED * DT, waits, goal), -1)


def reassignment(spec: RunSpec, store: Store) -> list[Row]:
    """Regret of where agents head for, around the first change of each episode.

    The regret is what the assignment costs beyond the best one of the mixed-integer programme at that moment, as a
    share of the episode's demand.

    Returns:
        A row per episode: `regret_T` at the seconds T from `-BEFORE` to `AFTER`, and `seconds`, after which it is
        again at most `RECOVERED` above that of before the change; NaN where it is not in time.
    """
    scenario, generator = resolve(spec.scenario), seeded(spec.seed, "evaluate")
    controller = controller_of(spec, store, scenario)
    task, network = scenario.task(), scenario.network()
    assert isinstance(task, ResourceAllocation)
    looks = np.arange(-BEFORE, AFTER + LOOK / 2, LOOK)
    regrets = np.full((CHANGED_EPISODES, len(looks)), np.nan)
    with torch.inference_mode():
        model = ModelView(task) if controller.privileged else None
        controller.reset(task.spec, network, CHANGED_EPISODES, generator, model)
        step = task.reset(CHANGED_EPISODES, generator)
        asked = task.demand.sum((1, 2)).numpy()
        # What changes does so at the end of a step: the first step that sees it.
        changed = torch.ceil(task.changes().amin(1) / DT).numpy()
        for t in range(STEPS):
            assert step.links is not None
            network.move(step.links)
            actions = controller.act(step)
            since = (t - changed) * DT
            column = np.rint((since - looks[0]) / LOOK)
            due = np.flatnonzero((np.abs(column * LOOK + looks[0] - since) < DT / 2) & (column >= 0))
            for copy in due[column[due] < len(looks)]:
                regrets[copy, int(column[copy])] = _regret(task, headed_for(task, actions), int(copy)) / asked[copy]
            step = task.step(actions)
            controller.feedback(step)
    return [_recovery(looks, row) for row in regrets if np.isfinite(row).all()]


def _regret(task: ResourceAllocation, goal: Tensor, copy: int) -> float:
    """Of the assignment `goal` [B, N] in one copy, units."""
    config = ExpertConfig()
    carried = (task.carried * task.alive[..., None])[copy].double().numpy()
    demand = task.demand[copy].double().numpy()
    ways = torch.cdist(task.places[copy], task.consumers[copy]).double().numpy()
    best, *_ = best_assignment(carried, demand, ways, config)
    own, least = (assignment_cost(carried, demand, ways, config, x) for x in (goal[copy].numpy(), best))
    return own - least


def _recovery(looks: np.ndarray, regrets: np.ndarray) -> Row:
    before = regrets[looks < 0].mean()
    found = (looks >= 0) & (regrets <= before + RECOVERED)
    row = {f"regret_{second:g}": regret for second, regret in zip(looks, regrets, strict=True)}
    return row | {"seconds": float(looks[found][0]) if found.any() else float("nan")}
