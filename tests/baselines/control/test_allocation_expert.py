"""The expert's assignments against all of them, and what it earns."""

import itertools

import numpy as np
import pytest
import torch

import accord.baselines
from accord.baselines.control.allocation_expert import ExpertConfig, assignment_cost, avoid, best_assignment, steer
from accord.baselines.registry import make_method
from accord.benchmark.evaluation.context import Context
from accord.benchmark.evaluation.evaluate import evaluate
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError

CONFIG = ExpertConfig(way=0.2, surplus=0.1, seconds=10.0)


@pytest.mark.parametrize("seed", range(5))
def test_no_assignment_is_better(seed: int) -> None:
    generator = np.random.default_rng(seed)
    carried, demand, ways = generator.random((5, 2)), 2 * generator.random((2, 2)), generator.random((5, 2))

    def value(chosen: tuple[int, ...]) -> float:
        x = np.array([[float(who == j) for j in range(2)] for who in chosen])
        unmet = demand - x.T @ carried
        cost = unmet[unmet > 0].sum() - 0.1 * unmet[unmet < 0].sum() + 0.2 * (x * ways).sum()
        assert assignment_cost(carried, demand, ways, CONFIG, np.array(chosen)) == pytest.approx(cost)
        return float(cost)

    chosen, gap, late = best_assignment(carried, demand, ways, CONFIG)
    assert value(tuple(chosen)) == pytest.approx(min(map(value, itertools.product((-1, 0, 1), repeat=5))))
    assert gap < 1e-3
    assert not late


def test_a_limit_is_kept_and_told() -> None:
    generator = np.random.default_rng(0)
    carried, demand, ways = generator.random((60, 3)), 4 * generator.random((20, 3)), generator.random((60, 20))
    chosen, gap, late = best_assignment(carried, demand, ways, CONFIG.model_copy(update={"seconds": 0.2}))
    assert late
    assert gap > 0
    assert chosen.shape == (60,)


@pytest.mark.parametrize(("variant", "least"), [("steady", 4.7), ("jumps", 4.5), ("failures", 3.8)])
def test_the_expert_serves_nearly_everything(variant: str, least: float) -> None:
    scenario = resolve(f"allocation_10x1/radius-1/{variant}")
    generator = torch.Generator().manual_seed(0)
    controller = make_method("allocation_expert").build(scenario.task(), generator)
    found = evaluate(scenario, controller, Context(), generator, episodes=4)
    assert found.metrics["episode_return"] > least
    assert 0 <= found.metrics["solver_gap"] < 0.05
    assert 0 <= found.metrics["solver_timeouts"] < 0.5
    assert found.metrics["solver_seconds"] > 0


def test_agents_that_meet_go_round_each_other() -> None:
    places = torch.tensor([[[-0.3, 0.0], [0.3, 0.0]]])
    targets, alive = -places, torch.ones(1, 2, dtype=torch.bool)
    closest = 1.0
    for _ in range(40):
        places = places + 0.04 * steer(places, targets, alive)
        closest = min(closest, float((places[0, 0] - places[0, 1]).norm()))
    assert closest > 0.05
    torch.testing.assert_close(places, targets, rtol=0, atol=0.02)


def test_who_is_near_nobody_flies_as_fast_as_others_may() -> None:
    places, alive = torch.tensor([[[-0.9, -0.9], [0.9, 0.9]]]), torch.ones(1, 2, dtype=torch.bool)
    wanted = torch.tensor([[[1.0, 1.0], [-1.0, 0.3]]])
    torch.testing.assert_close(avoid(places, wanted, alive), wanted)
    torch.testing.assert_close(steer(places, places.flip(1), alive), torch.tensor([[[1.0, 1.0], [-1.0, -1.0]]]))


def test_other_tasks_are_refused() -> None:
    task = resolve("games/climbing").task()
    with pytest.raises(UsageError, match="method allocation_expert: task 'climbing' is not multi-resource allocation"):
        accord.baselines.make_method("allocation_expert").build(task, torch.Generator())
