"""Locality: does a controller that claims to be decentralised reach only as far as its rounds allow?

Every number of one agent (observation, reward, usage, shortfall, measures) is changed for a single step. The
same stream of steps is played to the controller with and without the change, and every other agent's actions
are compared: whose move, when, and how far along the graph from the changed one. Where links move, a hop leads to whom
somebody reached so far is linked with at that step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch

from accord.baselines.base import Controller, Method, Training
from accord.baselines.registry import make_method
from accord.baselines.rollout import begin
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError
from accord.envs.network import FaultyNetwork, Network
from accord.envs.scenario import Hours, Scenario
from accord.envs.task import Box, Step, Task

# A path is where distances are longest; with one budget every hour counts.
SCENARIO = "paper_seven/path/average-0.27"
STEPS = 12
CHANGED_AT = 3
FAR = 1_000_000  # hops to where no path leads
CENTRAL, NEIGHBOURS = "central", "neighbours"  # verdicts


@dataclass(frozen=True)
class Audit:
    """What a controller was seen to do.

    Attributes:
        decentralised: Its claim.
        rounds: Hops per step that it may reach.
        reach: Hops of the farthest agent whose action moved, by steps after the change.
        allowed: Hops allowed by then.
        talks: It sent messages through the network, without which nobody's numbers may travel.
    """

    decentralised: bool
    rounds: int
    reach: tuple[int, ...]
    allowed: tuple[int, ...]
    talks: bool
    privileged: bool = False

    @property
    def passed(self) -> bool:
        """The claim holds, or nothing was claimed. Who is handed the model sees everybody."""
        if not self.decentralised:
            return True
        return not self.privileged and all(far <= may for far, may in zip(self.reach, self.allowed, strict=True))

    @property
    def verdict(self) -> str:
        """For tables."""
        if not self.passed:
            return "FAILED"
        if not self.decentralised:
            return CENTRAL
        return "own numbers" if max(self.reach) == 0 else f"{NEIGHBOURS}, {self.rounds} hop/step"


def audit_method(name: str, settings: dict[str, object] | None = None, address: str = SCENARIO) -> Audit:
    """Audit a registered method, untrained: who talks to whom does not depend on what was learned.

    Raises:
        UsageError: an unknown method, scenario or setting, or a scenario whose actions are no box.
    """
    scenario = resolve(address)
    if not isinstance(scenario.task().spec.action, Box):
        raise UsageError(
            f"audit: '{address}' has discrete actions; allowed: scenarios whose actions are a box, like {SCENARIO}"
        )
    method = make_method(name, settings)
    return audit_controllers(_untrained(method, scenario), _untrained(method, scenario), scenario)


def _untrained(method: Method, scenario: Scenario) -> Controller:
    generator = torch.Generator().manual_seed(0)
    if method.learns:
        return method.build(scenario.task(), generator)
    return method.train(scenario.task(), scenario.network(), Training.without_effort(generator))


@dataclass(frozen=True)
class Spread:
    """Whom agents that fail or lie have reached by each step after they begin to.

    Attributes:
        hops: Of the farthest other agent whose action moved; 0 where none did.
        agents: How many others' actions moved.
        allowed: Hops that anything may have travelled.
    """

    hops: tuple[int, ...]
    agents: tuple[int, ...]
    allowed: tuple[int, ...]


def spread_of_faults(name: str, address: str) -> Spread:
    """Play the same steps to a method over a network and over the same one without its agents that fail or lie.

    Args:
        name: A registered method, untrained.
        address: Of a scenario whose network has such agents.

    Raises:
        UsageError: it has none.
    """
    scenario = resolve(address)
    network, method = scenario.network(), make_method(name)
    if not isinstance(network, FaultyNetwork) or not network.failing:
        raise UsageError(
            f"audit: no agent fails or lies in '{address}'; allowed: a network with a dead agent or a liar"
        )
    honest = FaultyNetwork(network.edges, network.n_agents, network.name, network.faults.without_agents())
    stream, controller = _random_steps(scenario), _untrained(method, scenario)
    before, after = (_actions(controller, scenario, over, stream) for over in (honest, network))
    distance = torch.stack([network.distances_from(agent) for agent in network.failing]).amin(0)
    differs = torch.stack([(one != other).flatten(1).any(1) for one, other in zip(before, after, strict=True)])
    moved = (differs & (distance > 0)).cummax(0).values  # [steps, N]
    hops = tuple(int(distance[where].max()) if where.any() else 0 for where in moved)
    # What is told in the feedback on a step moves the next step's action.
    allowed = tuple(n * controller.rounds for n in range(len(moved)))
    return Spread(hops, tuple(int(where.sum()) for where in moved), allowed)


def audit_controllers(plain: Controller, changed: Controller, scenario: Scenario) -> Audit:
    """Audit two equal controllers, changing each agent in turn."""
    network = scenario.network()
    stream = _random_steps(scenario)
    steps_after = STEPS - CHANGED_AT
    reach = [0] * steps_after
    for agent in range(scenario.n_agents):
        before = _actions(plain, scenario, network, stream)
        after = _actions(
            changed,
            scenario,
            network,
            [*stream[:CHANGED_AT], _change(stream[CHANGED_AT], agent), *stream[CHANGED_AT + 1 :]],
        )
        for n, distance in enumerate(_distances(network, stream, agent, plain.rounds)):
            moved = (before[CHANGED_AT + n] != after[CHANGED_AT + n]).flatten(1).any(1)
            if moved.any():
                reach[n] = max(reach[n], int(distance[moved].max()))
    # What is seen may be talked about before the action, and a step's outcome before the next one.
    talks = network.messages > 0
    allowed = [talks * (n + 1) * plain.rounds for n in range(steps_after)]
    return Audit(plain.decentralised, plain.rounds, tuple(reach), tuple(allowed), talks, plain.privileged)


def _distances(network: Network, stream: Sequence[Step], agent: int, rounds: int) -> list[torch.Tensor]:
    """Hops from an agent [N] that have led somewhere by each step since it was changed, `rounds` at every step."""
    since = stream[CHANGED_AT:-1]
    if since[0].links is None:
        return [network.distances_from(agent)] * len(since)
    distance, hops, found = torch.full((network.n_agents,), FAR), 0, []
    distance[agent] = 0
    for step in since:
        assert step.links is not None
        for _ in range(max(rounds, 1)):
            hops += 1
            heard = step.links[0][distance < FAR].any(0)
            distance[heard & (distance == FAR)] = hops
        found.append(distance.clone())
    return found


def _actions(
    controller: Controller, scenario: Scenario, network: Network, stream: Sequence[Step]
) -> list[torch.Tensor]:
    """Actions for a fixed stream of steps, each [N, A]."""
    task = scenario.task()
    generator = torch.Generator().manual_seed(1)
    _begin(task, scenario, generator)
    actions = []
    with torch.inference_mode():
        begin(task, controller, network, 1, generator)
        network.start()
        for step, outcome in pairwise(stream):
            if step.links is not None:
                network.move(step.links)
            actions.append(controller.act(step)[0].clone())
            controller.feedback(outcome)
    return actions


def _random_steps(scenario: Scenario) -> list[Step]:
    """A rollout of random actions: `STEPS` + 1 steps."""
    task, generator = scenario.task(), torch.Generator().manual_seed(2)
    steps = [_begin(task, scenario, generator)]
    action = task.spec.action
    assert isinstance(action, Box)
    for _ in range(STEPS):
        uniform = torch.rand(1, task.spec.n_agents, action.size, generator=generator)
        steps.append(task.step(action.low + (action.high - action.low) * uniform))
    return steps


def _begin(task: Task, scenario: Scenario, generator: torch.Generator) -> Step:
    start = scenario.protocol.measured[0] if isinstance(scenario.protocol, Hours) else None
    return task.reset(1, generator, start=start, horizon=STEPS)


def _change(step: Step, agent: int) -> Step:
    """The step with one agent's numbers changed, and only its own."""
    own = torch.zeros(step.reward.shape[1])
    own[agent] = 1.0
    bump = own[None, :, None]
    shortfall = None if step.shortfall is None else step.shortfall + 100.0 * own
    measures = {name: value + 10.0 * own if value.dim() == 2 else value for name, value in step.measures.items()}
    return replace(
        step,
        obs=step.obs + 0.37 * bump,
        reward=step.reward + 10.0 * own,
        usage=step.usage + 1000.0 * bump,
        shortfall=shortfall,
        measures=measures,
    )
