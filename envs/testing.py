"""Conformance checks for tasks and scenarios, ours and those of other packages.

    from accord.envs.testing import check_scenario
    check_scenario("microgrid/island")

A check that fails raises an `AssertionError` whose text says what was found.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from pettingzoo.test import parallel_api_test
from torch import Tensor

from accord.envs.catalogue import resolve
from accord.envs.scenario import Bound, Episodes, Hours, Infeasible
from accord.envs.task import Box, Step, Task, TaskSpec
from accord.envs.wrappers.parallel import ParallelTask

COPIES, STEPS, CYCLES = 3, 6, 30
TAKEN = ("shortfall", "action_mask")  # names in infos that no measure may have


def check_scenario(address: str) -> None:
    """Check a scenario: what it says of itself, its network, its yardstick, and its task (see `check_task`).

    Args:
        address: Of a family that is registered.

    Raises:
        AssertionError: what does not hold.
        UsageError: the address has no meaning, or its package is not installed.
    """
    scenario = resolve(address)
    scenario.check()
    task, network, protocol = scenario.task(), scenario.network(), scenario.protocol
    assert scenario.address == address, f"address is '{scenario.address}', not '{address}'"
    assert task.spec.n_agents == scenario.n_agents == network.n_agents, "scenario, task and network differ in N"
    assert scenario.digest == resolve(address).digest, "digest changes from call to call"
    named = [(budget.name, budget.limit) for budget in scenario.budgets()]
    assert named == [(budget.name, budget.limit) for budget in task.spec.budgets], "the task has other budgets"
    found = scenario.optimum()
    assert found is None or named, "there is an optimum, and no budgets that it keeps"
    if isinstance(protocol, Hours):
        first, end = protocol.measured
        assert protocol.warmup <= first < end, f"hours: warm-up {protocol.warmup}, measured {first} to {end}"
        assert isinstance(found, (Bound, Infeasible)) or found is None, f"optimum() gave a {type(found).__name__}"
        if isinstance(found, Bound):
            assert found.multipliers.shape == (len(named),), "optimum: a multiplier for each budget is needed"
            assert bool((found.multipliers >= -1e-6).all()), "optimum: a multiplier is negative"
        if isinstance(found, Infeasible):
            assert found.excess > 0, "optimum: a proof that nothing is feasible needs an excess above 0"
    else:
        assert isinstance(protocol, Episodes)
        assert protocol.count > 0, "there are no episodes to measure"
        assert not named, "a scenario with budgets is measured over hours"
    check_task(scenario.task)


def check_task(make: Callable[[], Task]) -> None:
    """Check a task: shapes, finite numbers, the same again from one seed, separability, PettingZoo's own test.

    Args:
        make: Gives a fresh task.

    Raises:
        AssertionError: what does not hold.
    """
    _check_spec(make())
    first, again = _play(make(), 0), _play(make(), 0)
    for step in first:
        _check_step(make().spec, step)
    for n, (one, other) in enumerate(zip(first, again, strict=True)):
        assert _same(one, other), f"step {n}: one seed gave two trajectories"
    for before, after in pairwise(first):
        changed = ", ".join(sorted(before.measures.keys() ^ after.measures.keys()))
        assert not changed, f"measures that are not in every step, the first included: {changed}"
        assert torch.equal(before.active[:, 0], after.counted), "`counted` is not what `active` announced"
    task = make()
    task.reset(COPIES, torch.Generator().manual_seed(0), horizon=STEPS)
    ended = [step.terminated | step.truncated for step in _continue(task, STEPS)]
    assert bool(ended[-1].all()), f"an episode of horizon {STEPS} goes on after {STEPS} steps"
    if make().spec.separable:
        _check_separable(make)
    _check_wrapper(make)


def _check_spec(task: Task) -> None:
    spec = task.spec
    assert spec.n_agents > 0, "there are no agents"
    assert spec.agent_scale.shape in ((1,), (spec.n_agents,)), f"agent_scale has shape {tuple(spec.agent_scale.shape)}"
    taken = sorted((field.where.start, field.where.stop) for field in spec.obs_fields.values())
    edges = [0, *(stop for _, stop in taken)]
    assert [start for start, _ in taken] == edges[:-1], f"obs_fields leave gaps or overlap: {taken}"
    names = [budget.name for budget in spec.budgets]
    assert len(set(names)) == len(names), f"two budgets have one name: {names}"
    for budget in spec.budgets:
        assert budget.resource < len(spec.resources), f"budget '{budget.name}': no resource {budget.resource}"
        assert budget.hours.shape == (24,), f"budget '{budget.name}': hours have shape {tuple(budget.hours.shape)}"
        assert budget.scale > 0, f"budget '{budget.name}': scale is {budget.scale}; allowed: above 0"
        members = budget.agents
        assert members is None or members.shape == (spec.n_agents,), f"budget '{budget.name}': agents are not [N]"
    state = _state_of(task)
    assert state.shape == (COPIES, spec.state_dim), f"state has shape {tuple(state.shape)}, S is {spec.state_dim}"
    low, high = task.state_bounds()
    assert bool(((state >= low) & (state <= high)).all()), "a state passes its bounds"


def _state_of(task: Task) -> Tensor:
    task.reset(COPIES, torch.Generator().manual_seed(0))
    return task.state()


def _check_step(spec: TaskSpec, step: Step) -> None:
    n, m, r = spec.n_agents, len(spec.budgets), len(spec.resources)
    shapes = {
        "obs": (COPIES, n, spec.obs_dim),
        "reward": (COPIES, n),
        "usage": (COPIES, n, r),
        "shortfall": (COPIES, n),
        "active": (COPIES, spec.ahead, m),
        "counted": (COPIES, m),
        "terminated": (COPIES,),
        "truncated": (COPIES,),
        "alive": (COPIES, n),
    }
    for name, shape in shapes.items():
        value = getattr(step, name)
        if value is None and name == "shortfall":
            continue
        assert value.shape == shape, f"{name} has shape {tuple(value.shape)}, not {shape}"
        assert bool(torch.isfinite(value.double()).all()), f"{name} has numbers that are not finite"
    low, high = spec.obs_bounds
    assert bool(((step.obs >= low) & (step.obs <= high)).all()), "an observation passes the bounds of its field"
    for name, value in step.measures.items():
        assert name not in TAKEN, f"measure '{name}': its name is taken in infos"
        assert "/" not in name, f"measure '{name}': a name has no slash"
        assert value.shape in ((COPIES, n), (COPIES,)), f"measure '{name}' has shape {tuple(value.shape)}"
    assert not bool((step.terminated & step.truncated).any()), "an end is both terminated and truncated"


def _play(task: Task, seed: int) -> list[Step]:
    generator = torch.Generator().manual_seed(seed)
    return [task.reset(COPIES, generator, horizon=2 * STEPS), *_continue(task, STEPS)]


def _continue(task: Task, steps: int) -> list[Step]:
    generator = torch.Generator().manual_seed(1)
    return [task.step(_actions(task, generator)) for _ in range(steps)]


def _actions(task: Task, generator: torch.Generator) -> Tensor:
    space, n = task.spec.action, task.spec.n_agents
    if isinstance(space, Box):
        return space.low + (space.high - space.low) * torch.rand(COPIES, n, space.size, generator=generator)
    return torch.randint(space.n, (COPIES, n, 1), generator=generator)


def _same(one: Step, other: Step) -> bool:
    pairs = [(one.obs, other.obs), (one.reward, other.reward), (one.usage, other.usage)]
    pairs += [(one.measures[name], other.measures[name]) for name in one.measures]
    return all(torch.equal(*pair) for pair in pairs)


def _check_separable(make: Callable[[], Task]) -> None:
    """One agent's action moves nobody else, and agents can be taken one by one."""
    plain, changed = make(), make()
    for task in (plain, changed):
        task.reset(COPIES, torch.Generator().manual_seed(0), horizon=2 * STEPS)
    actions = _actions(plain, torch.Generator().manual_seed(1))
    other = actions.clone()
    space = plain.spec.action
    other[:, 0] = (space.low + space.high - other[:, 0]) if isinstance(space, Box) else (other[:, 0] + 1) % space.n
    one, two = plain.step(actions), changed.step(other)
    for name in ("obs", "reward", "usage"):
        same = torch.equal(getattr(one, name)[:, 1:], getattr(two, name)[:, 1:])
        assert same, f"the task says that it is separable, and an agent's action changes another one's {name}"
    taken = make().take(torch.zeros(2, dtype=torch.long))
    assert taken.spec.n_agents == 2, f"two agents were taken, and the task has {taken.spec.n_agents}"


def _check_wrapper(make: Callable[[], Task]) -> None:
    """PettingZoo's own test, and the same trajectory through the wrapper as without it."""
    parallel_api_test(ParallelTask(make(), horizon=CYCLES), num_cycles=CYCLES)
    env, task = ParallelTask(make(), horizon=2 * STEPS), make()
    env.reset(seed=5)
    task.reset(1, torch.Generator().manual_seed(5), horizon=2 * STEPS)
    generator = torch.Generator().manual_seed(1)
    for n in range(STEPS):
        actions = _actions(task, generator)[:1]
        step = task.step(actions)
        given = {agent: _given(task, actions[0, i]) for i, agent in enumerate(env.possible_agents)}
        seen, rewards, *_ = env.step({agent: given[agent] for agent in env.agents})
        for i, agent in enumerate(env.possible_agents):
            if agent in seen:
                plain = step.obs[0, i].numpy()
                assert np.array_equal(plain, seen[agent]), f"step {n}: the wrapper shows {agent} another observation"
                assert rewards[agent] == float(step.reward[0, i]), f"step {n}: the wrapper pays {agent} otherwise"


def _given(task: Task, action: Tensor) -> object:
    return action.numpy() if isinstance(task.spec.action, Box) else int(action)
