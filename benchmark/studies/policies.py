"""What trained policies of multi-resource allocation are like inside: studies beside the suite `allocation`.

- contraction: is the Jacobian of LGTC's states contractive where they come to be, with and without the regulariser?
- gap: what the return lacks to the expert's as the number of agents grows, and how much one change puts right;
- reassignment: what a change adds to the regret of where agents head for, and how soon that is gone.

Policies are those of the suite, on episodes of their own seed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from accord.baselines.base import Controller, ModelView
from accord.baselines.control.allocation_expert import ExpertConfig, assignment_cost, avoid, best_assignment, fly
from accord.baselines.lgtc.graph_filters import Hops, over
from accord.baselines.lgtc.lgtc import LGTCBody
from accord.baselines.registry import make_method
from accord.baselines.training.policy import PolicyController
from accord.benchmark.evaluation.evaluate import evaluate
from accord.benchmark.evaluation.metrics import Context
from accord.benchmark.launch.runner import controller_of
from accord.benchmark.records.store import Store
from accord.benchmark.seeding import seeded
from accord.benchmark.specs.suite import RunSpec
from accord.envs.allocation.dynamics import DT, REACH, STEPS, ResourceAllocation, parse
from accord.envs.catalogue import resolve
from accord.envs.network.static import Network
from accord.envs.task import Step, TaskSpec

EXPERT = "allocation_expert"
JACOBIANS, EVERY = 16, 10  # episodes whose states are looked at, and each how many steps
GAP_EPISODES = 20
CHANGED_EPISODES = 32
AFTER, LOOK = 6.0, 0.5  # seconds after a change that are looked at, and between two looks
EXACT = 30.0  # seconds, limit of an assignment that regrets are counted from
RECOVERED = 0.05  # of the demand: a change that adds less regret, or no longer more, is dealt with
SHAKEN = 1.0  # seconds in which a change shows
HELD = 1.0  # seconds for which it has to stay dealt with
WAITS = 0.25  # of the speed: who is slower waits
AHEAD = 0.8  # cosine: what is farther aside is not headed for
KEPT = ("episode_return", "served", "completed", "collisions", "messages", "solver_gap", "solver_timeouts")
Row = dict[str, Any]
Change = Callable[[ResourceAllocation, Tensor, Tensor], Tensor]


def contraction(spec: RunSpec, store: Store) -> list[Row]:
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
    task, network, generator = _fresh(spec.scenario), resolve(spec.scenario).network(), seeded(spec.seed, "evaluate")
    controller = _policy(spec, store, spec.scenario)
    body = _body(controller)
    norms, weights, size, distances = list[float](), list[float](), 0.0, torch.zeros(2, 2)
    with torch.no_grad():
        controller.reset(task.spec, network, JACOBIANS, generator)
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


def attended(body: LGTCBody, task: ResourceAllocation, obs: Tensor) -> Tensor:
    """The consumer that each agent's attention picks, [B, N]."""
    nearest_first = torch.cdist(task.places, task.consumers).argsort(-1)  # as agents see them
    return nearest_first.gather(-1, body.attention(obs).argmax(-1, keepdim=True)).squeeze(-1)


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


def gap(spec: RunSpec, store: Store) -> list[Row]:
    """What a policy reaches, as it is and with one thing taken from it or put right.

    Returns:
        Rows with `as` and the episode's metrics:
        "policy": as it is;
        "clear": its agents keep clear of each other as the expert's do;
        "flown": its agents are flown to the consumers that they head for as the expert flies: what is left is the
        assignment;
        "attended": they are flown to the consumers that their attention picks;
        "silent", "connected": nobody hears anybody, everybody hears everybody.
    """
    address, setting = spec.scenario, parse(spec.scenario)

    def hearing(radius: str) -> str:
        return f"{setting.name}/radius-{radius}/{setting.variant}"

    trained = _policy(spec, store, address)
    body = _body(trained)

    def clear(task: ResourceAllocation, wanted: Tensor, obs: Tensor) -> Tensor:
        return avoid(task.places, wanted, task.alive)

    def to_attended(task: ResourceAllocation, wanted: Tensor, obs: Tensor) -> Tensor:
        return fly(task, attended(body, task, obs))

    return [
        {"as": name, **_measured(where, controller, spec.seed)}
        for name, where, controller in (
            ("policy", address, trained),
            ("clear", address, Changed(trained, clear)),
            ("flown", address, Changed(trained, flown)),
            ("attended", address, Changed(trained, to_attended)),
            ("silent", hearing("0.001"), trained),
            ("connected", hearing("3"), trained),
        )
    ]


def flown(task: ResourceAllocation, wanted: Tensor, obs: Tensor) -> Tensor:
    """Velocities as the expert flies to where velocities `wanted` head."""
    return fly(task, headed_for(task, wanted))


def expert(spec: RunSpec, store: Store) -> list[Row]:
    """What the expert reaches in the same episodes, with its solver's figures.

    Returns:
        Rows `as` "expert" and, where policies were trained, "expert, flown": what is lost by telling from its
        velocities where it heads.
    """
    planner = make_method(EXPERT).build(resolve(spec.scenario).task(), seeded(0, "train"))
    rows = [{"as": "expert", **_measured(spec.scenario, planner, spec.seed)}]
    if not spec.trained_on:
        rows.append({"as": "expert, flown", **_measured(spec.scenario, Changed(planner, flown), spec.seed)})
    return rows


def _measured(address: str, controller: Controller, seed: int) -> Row:
    """Metrics of episodes that depend on the address and the seed alone."""
    found = evaluate(resolve(address), controller, Context(), seeded(seed, "evaluate"), episodes=GAP_EPISODES)
    return {metric: found.metrics.get(metric) for metric in KEPT}


class Changed(Controller):
    """A policy whose velocities are changed by what knows all places."""

    decentralised = False
    privileged = True

    def __init__(self, policy: Controller, change: Change) -> None:
        """Args: what acts; from its velocities [B, N, 2] and observations to the velocities that are flown."""
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
        return self._change(self._task, self._policy.act(step), step.obs)


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


def reassignment(spec: RunSpec, store: Store) -> list[Row]:
    """Regret of where agents head for, after the first change of each episode.

    The regret is what the assignment costs beyond the best one of the mixed-integer programme at that moment, as a
    share of the episode's demand. The same policy in the same episode without the change has a regret too, which is
    taken off: what is left is the change's.

    Returns:
        A row per episode with a change: `excess_T`, that regret T seconds after the change, NaN from a second change
        on; `undisturbed`, whether no second one came as long as was looked; `shaken`, whether it rises above
        `RECOVERED` within a second; if so, `seconds` after which it is down again and stays there for `HELD`, NaN where
        it does not in time; and `unchanged`, the mean regret at these times in the episode without the change.
    """
    setting, looks = parse(spec.scenario), np.arange(0.0, AFTER + LOOK / 2, LOOK)
    task = _fresh(spec.scenario)
    task.reset(CHANGED_EPISODES, seeded(spec.seed, "evaluate"))
    first, second = torch.ceil(task.changes().sort(1).values[:, :2] / DT).T.numpy()  # the first steps that see them
    asked = task.demand.sum((1, 2)).numpy()
    same = f"{setting.name}/radius-{setting.radius:g}/steady"
    changed, steady = (
        _regrets(spec, store, address, first, looks) / asked[:, None] for address in (spec.scenario, same)
    )
    excess = changed - steady
    excess[first[:, None] + looks / DT >= second[:, None]] = np.nan
    return [
        _recovery(looks, row) | {"unchanged": float(np.nanmean(own))}
        for row, own in zip(excess, steady, strict=True)
        if np.isfinite(row[0])
    ]


def _regrets(spec: RunSpec, store: Store, address: str, since: np.ndarray, looks: np.ndarray) -> np.ndarray:
    """Regret in units, `looks` seconds after the step `since` of each copy, [copies, looks]; NaN past the end."""
    controller = controller_of(spec, store, resolve(address))
    task, network, generator = _fresh(address), resolve(address).network(), seeded(spec.seed, "evaluate")
    due = since[:, None] + np.rint(looks / DT)
    found = np.full(due.shape, np.nan)
    with torch.inference_mode():
        model = ModelView(task) if controller.privileged else None
        controller.reset(task.spec, network, len(since), generator, model)
        step = task.reset(len(since), generator)
        for t in range(STEPS):
            assert step.links is not None
            network.move(step.links)
            actions = controller.act(step)
            goal = headed_for(task, actions)
            for copy, look in zip(*np.nonzero(due == t), strict=True):
                found[copy, look] = _regret(task, goal, int(copy))
            step = task.step(actions)
            controller.feedback(step)
    return found


def _regret(task: ResourceAllocation, goal: Tensor, copy: int) -> float:
    """Of the assignment `goal` [B, N] in one copy, units."""
    config = ExpertConfig(seconds=EXACT)
    carried = (task.carried * task.alive[..., None])[copy].double().numpy()
    demand = task.demand[copy].double().numpy()
    ways = torch.cdist(task.places[copy], task.consumers[copy]).double().numpy()
    best, *_ = best_assignment(carried, demand, ways, config)
    own, least = (assignment_cost(carried, demand, ways, config, x) for x in (goal[copy].numpy(), best))
    return own - least


def _recovery(looks: np.ndarray, excess: np.ndarray) -> Row:
    shaken = bool((excess[looks <= SHAKEN] > RECOVERED).any())
    risen = looks[excess > RECOVERED].min(initial=np.inf)
    low = np.lib.stride_tricks.sliding_window_view(excess <= RECOVERED, round(HELD / LOOK) + 1).all(1)
    early = looks[: low.size]
    calm = early[low & (early > risen)]
    row: Row = {f"excess_{second:g}": value for second, value in zip(looks, excess, strict=True)}
    row["undisturbed"] = bool(np.isfinite(excess).all())
    return row | {"shaken": shaken, "seconds": float(calm[0]) if shaken and len(calm) else float("nan")}


def _fresh(address: str) -> ResourceAllocation:
    task = resolve(address).task()
    assert isinstance(task, ResourceAllocation)
    return task


def _policy(spec: RunSpec, store: Store, address: str) -> PolicyController:
    controller = controller_of(spec, store, resolve(address))
    assert isinstance(controller, PolicyController)
    return controller


def _body(controller: PolicyController) -> LGTCBody:
    body = controller.last.actor.body
    assert isinstance(body, LGTCBody)
    return body
