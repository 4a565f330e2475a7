"""What a change adds to the regret of where agents head for, and how soon that is gone."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from accord.baselines.control.allocation_expert import ExpertConfig, assignment_cost, best_assignment
from accord.baselines.rollout import begin
from accord.benchmark.launch.training import controller_of
from accord.benchmark.records.store import Store
from accord.benchmark.seeding import seeded
from accord.benchmark.specs.resolved import ResolvedRun
from accord.benchmark.studies.policies import Row, fresh_task, headed_for
from accord.envs.allocation.dynamics import DT, STEPS, ResourceAllocation
from accord.envs.allocation.scenario import parse
from accord.envs.catalogue import resolve

CHANGED_EPISODES = 32
AFTER, LOOK = 6.0, 0.5  # seconds after a change that are looked at, and between two looks
EXACT = 30.0  # seconds, limit of an assignment that regrets are counted from
RECOVERED = 0.05  # of the demand: a change that adds less regret, or no longer more, is dealt with
SHAKEN = 1.0  # seconds in which a change shows
HELD = 1.0  # seconds for which it has to stay dealt with


def reassignment(run: ResolvedRun, store: Store) -> list[Row]:
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
    setting, looks = parse(run.spec.scenario), np.arange(0.0, AFTER + LOOK / 2, LOOK)
    task = fresh_task(run.spec.scenario)
    task.reset(CHANGED_EPISODES, seeded(run.spec.seed, "evaluate"))
    first, second = torch.ceil(task.changes().sort(1).values[:, :2] / DT).T.numpy()  # the first steps that see them
    asked = task.demand.sum((1, 2)).numpy()
    same = f"{setting.name}/radius-{setting.radius:g}/steady"
    changed, steady = (
        _regrets(run, store, address, first, looks) / asked[:, None] for address in (run.spec.scenario, same)
    )
    excess = changed - steady
    excess[first[:, None] + looks / DT >= second[:, None]] = np.nan
    return [
        _recovery(looks, row) | {"unchanged": float(np.nanmean(own))}
        for row, own in zip(excess, steady, strict=True)
        if np.isfinite(row[0])
    ]


def _regrets(run: ResolvedRun, store: Store, address: str, since: np.ndarray, looks: np.ndarray) -> np.ndarray:
    """Regret in units, `looks` seconds after the step `since` of each copy, [copies, looks]; NaN past the end."""
    controller = controller_of(run, store, resolve(address))
    task, network, generator = fresh_task(address), resolve(address).network(), seeded(run.spec.seed, "evaluate")
    due = since[:, None] + np.rint(looks / DT)
    found = np.full(due.shape, np.nan)
    with torch.inference_mode():
        begin(task, controller, network, len(since), generator)
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
