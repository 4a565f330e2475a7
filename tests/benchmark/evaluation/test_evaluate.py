from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import accord.benchmark.evaluation.evaluate
from accord.baselines.base import Controller
from accord.baselines.registry import make_method
from accord.benchmark.evaluation.context import Context
from accord.benchmark.evaluation.evaluate import evaluate
from accord.benchmark.evaluation.metrics import METRICS
from accord.benchmark.seeding import seeded
from accord.envs.catalogue import resolve, resolve_district
from accord.envs.scenario import EpisodicScenario
from accord.envs.task import Step
from accord.envs.toy.games import MatrixGame, qtran

CLOCKED = {name for name, entry in METRICS.items() if entry.clocked}
TWO_STEP = "games/two_step"


class Joint(Controller):
    """Always the same joint action."""

    def __init__(self, *actions: int) -> None:
        self.actions = torch.tensor(actions).view(1, -1, 1)

    def act(self, step: Step) -> Tensor:
        return self.actions.expand(len(step.obs), -1, -1)


@pytest.mark.parametrize(("actions", "payoff"), [((0, 0), 7.0), ((1, 0), 1.0), ((1, 1), 8.0)])
def test_the_return_of_known_play_is_known(actions: tuple[int, int], payoff: float) -> None:
    found = evaluate(resolve(TWO_STEP), Joint(*actions), Context(), seeded(0, "t"))
    assert found.metrics["episode_return"] == payoff
    np.testing.assert_array_equal(found.traces["episode_returns"], np.full(100, payoff))


def test_metrics_without_measures_are_blank() -> None:
    metrics = evaluate(resolve(TWO_STEP), Joint(1, 1), Context(), seeded(0, "t")).metrics
    computed = [name for name, entry in METRICS.items() if entry.compute is not None]
    assert [name for name in computed if metrics[name] is not None] == ["episode_return"]
    assert metrics["messages"] == 0


class Endless(MatrixGame):
    """Copy b ends after b + 1 steps, alternately by itself and by a limit, and pays 1 per agent for ever."""

    def reset(self, batch: int, *others: Any, **more: Any) -> Step:
        self.taken, self.ends = 0, torch.arange(batch) + 1
        return self.seen(super().reset(batch, *others, **more))

    def step(self, actions: Tensor) -> Step:
        self.taken += 1
        return self.seen(super().step(actions))

    def seen(self, step: Step) -> Step:
        over, odd = self.taken >= self.ends, self.ends % 2 == 1
        fields = vars(step) | {"reward": torch.ones(len(over), 2), "alive": torch.ones(len(over), 2, dtype=torch.bool)}
        return Step(**(fields | {"terminated": over & odd, "truncated": over & ~odd}))


def test_a_copy_that_has_ended_counts_no_further() -> None:
    scenario = EpisodicScenario("games/endless", lambda device: Endless(qtran(), device), episodes=5)
    found = evaluate(scenario, Joint(0, 0), Context(), seeded(0, "t"))
    assert found.traces["episode_returns"].tolist() == [2, 4, 6, 8, 10]
    assert found.metrics["episode_return"] == 6
    assert len(evaluate(scenario, Joint(0, 0), Context(), seeded(0, "t"), episodes=3).traces["episode_returns"]) == 3


def test_an_agent_that_is_gone_earns_nothing_more() -> None:
    class Lonely(Endless):
        def seen(self, step: Step) -> Step:
            seen = super().seen(step)
            seen.alive[:, 1] = False
            return seen

    scenario = EpisodicScenario("games/lonely", lambda device: Lonely(qtran(), device), episodes=2)
    found = evaluate(scenario, Joint(0, 0), Context(), seeded(0, "t"))
    assert found.traces["episode_returns"].tolist() == [1, 2]


@pytest.fixture
def rule() -> Callable[[], Controller]:
    scenario = resolve("campus_seven/two_groups/hourly-0.35")
    return lambda: make_method("serve_now").build(scenario.task(), seeded(0, "t"))


def test_a_district_is_measured_on_the_hours_that_are_given(rule: Callable[[], Controller]) -> None:
    scenario = resolve_district("campus_seven/two_groups/hourly-0.35")
    context = Context(demand_peak=scenario.district.demand_peak, top_price=1.0)
    found = evaluate(
        scenario.over(replace(scenario.protocol, warmup=0, measured=(24, 72))), rule(), context, seeded(0, "t")
    )
    assert found.trajectory.hours == 48
    demand = scenario.district.demand(24, 48).sum(0)
    np.testing.assert_allclose(found.traces["district_demand"], demand.numpy(), rtol=1e-5)
    assert evaluate(scenario.validation, rule(), context, seeded(0, "t")).trajectory.hours == 28 * 24


@pytest.mark.parametrize("rule", ["gossip", "broadcast", "independent"])
def test_many_agents_are_measured_in_chunks_with_the_same_metrics(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = resolve_district("synthetic_40-week/regular-4/hourly-0.3")
    settings = {"ppo": {"hidden": (8,)}, "dual": {"share": "equal"}}
    controller = make_method(f"consensus-{rule}", settings).build(scenario.task(), seeded(0, "train"))
    plain = evaluate(scenario, controller, Context(top_price=1.0, demand_peak=1.0), seeded(0, "evaluate")).metrics
    monkeypatch.setattr(accord.benchmark.evaluation.evaluate, "TRACED_AGENTS", 39)
    monkeypatch.setattr(accord.benchmark.evaluation.evaluate, "roll", None)
    chunks = evaluate(scenario, controller, Context(top_price=1.0, demand_peak=1.0), seeded(0, "evaluate")).metrics
    assert set(chunks) == set(plain)
    for name in set(plain) - {"consensus_error", "consensus_spread"} - CLOCKED:
        found = plain[name]
        assert chunks[name] == (pytest.approx(found, rel=1e-3, abs=1e-6) if isinstance(found, float) else found), name
    assert plain["violation"]
