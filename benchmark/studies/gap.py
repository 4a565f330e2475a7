"""What the return lacks to the expert's as the number of agents grows, and how much one change puts right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from accord.baselines.base import Controller, RolloutStart
from accord.baselines.control.allocation_expert import avoid, fly
from accord.baselines.registry import make_method
from accord.benchmark.evaluation.context import Context
from accord.benchmark.evaluation.evaluate import evaluate
from accord.benchmark.records.store import Store
from accord.benchmark.seeding import seeded
from accord.benchmark.specs.resolved import ResolvedRun
from accord.benchmark.studies.policies import Row, attended, body_of, headed_for, policy_of
from accord.envs.allocation.dynamics import ResourceAllocation
from accord.envs.allocation.scenario import parse
from accord.envs.catalogue import resolve
from accord.envs.task import Step

EXPERT = "allocation_expert"
GAP_EPISODES = 20
KEPT = ("episode_return", "served", "completed", "collisions", "messages", "solver_gap", "solver_timeouts")
Change = Callable[[ResourceAllocation, Tensor, Tensor], Tensor]


def gap(run: ResolvedRun, store: Store) -> list[Row]:
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
    address, setting = run.spec.scenario, parse(run.spec.scenario)

    def hearing(radius: str) -> str:
        return f"{setting.name}/radius-{radius}/{setting.variant}"

    trained = policy_of(run, store, address)
    body = body_of(trained)

    def clear(task: ResourceAllocation, wanted: Tensor, obs: Tensor) -> Tensor:
        return avoid(task.places, wanted, task.alive)

    def to_attended(task: ResourceAllocation, wanted: Tensor, obs: Tensor) -> Tensor:
        return fly(task, attended(body, task, obs))

    return [
        {"as": name, **_measured(where, controller, run.spec.seed)}
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


def expert(run: ResolvedRun, store: Store) -> list[Row]:
    """What the expert reaches in the same episodes, with its solver's figures.

    Returns:
        Rows `as` "expert" and, where policies were trained, "expert, flown": what is lost by telling from its
        velocities where it heads.
    """
    planner = make_method(EXPERT).build(run.scenario.task(), seeded(0, "train"))
    rows = [{"as": "expert", **_measured(run.spec.scenario, planner, run.spec.seed)}]
    if not run.spec.trained_on:
        rows.append({"as": "expert, flown", **_measured(run.spec.scenario, Changed(planner, flown), run.spec.seed)})
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
        """Set up.

        Args:
            policy: What acts.
            change: From its velocities [B, N, 2] and observations to the velocities that are flown.
        """
        self._policy, self._change = policy, change

    def reset(self, start: RolloutStart) -> None:
        """Begin a rollout; see `Controller.reset`."""
        super().reset(start)
        assert start.model is not None
        assert isinstance(start.model.task, ResourceAllocation)
        self._task = start.model.task
        self._policy.reset(start if self._policy.privileged else replace(start, model=None))

    def act(self, step: Step) -> Tensor:
        """Velocities [B, N, 2]."""
        return self._change(self._task, self._policy.act(step), step.obs)
