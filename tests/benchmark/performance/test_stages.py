"""Where time goes, against functions that take a known time."""

from collections.abc import Callable

import pytest
import torch

import accord.benchmark.performance.stages
from accord.baselines.base import RolloutStart
from accord.baselines.registry import make_method
from accord.benchmark.performance.stages import Stopwatch, acting, timed_by_stage
from accord.envs.catalogue import resolve_district
from accord.envs.network import Network

ADDRESS = "homes_17/ring/hourly-0.3"


@pytest.fixture
def sleep(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Puts a clock of its own forward."""
    now = [0.0]
    monkeypatch.setattr(accord.benchmark.performance.stages.time, "perf_counter", lambda: now[0])

    def forward(seconds: float) -> None:
        now[0] += seconds

    return forward


def test_a_stage_inside_another_stops_its_clock(sleep: Callable[[float], None]) -> None:
    watch = Stopwatch()
    inner = watch.timed(lambda: sleep(5), "policy")
    with watch("observe"):
        sleep(2)
        inner()
        sleep(1)
    sleep(10)  # nobody's
    with watch("dual"):
        sleep(4)
    assert watch.seconds == {"observe": 3, "policy": 5, "dynamics": 0, "dual": 4, "messages": 0}


def test_a_stage_that_fails_is_closed(sleep: Callable[[float], None]) -> None:
    watch = Stopwatch()
    with pytest.raises(ZeroDivisionError), watch("observe"):
        watch.timed(lambda: 1 / 0, "policy")()
    sleep(10)
    with watch("dual"):
        sleep(4)
    assert watch.seconds == {"observe": 0, "policy": 0, "dynamics": 0, "dual": 4, "messages": 0}


def test_observations_actors_and_messages_are_told_apart_and_left_as_they_were() -> None:
    scenario, mix = resolve_district(ADDRESS), Network.mix
    task, network = scenario.task(), scenario.network()
    controller = make_method("consensus-gossip").build(task, torch.Generator().manual_seed(0))
    assert acting(controller) == "observe"
    with torch.inference_mode(), timed_by_stage(controller) as watch:
        controller.reset(RolloutStart(task.spec, network, 1, torch.Generator()))
        step = task.reset(1, torch.Generator(), start=0)
        assert watch.seconds["observe"] > 0
        assert watch.seconds["policy"] == watch.seconds["messages"] == 0
        step = task.step(controller.act(step))
        assert watch.seconds["policy"] > 0
        assert watch.seconds["messages"] == 0
        controller.feedback(step)
        assert watch.seconds["messages"] > 0
        assert watch.seconds["dual"] == 0  # nothing said that it was the dual step's turn
    assert Network.mix is mix


def test_a_controller_without_an_actor_is_all_policy() -> None:
    task = resolve_district(ADDRESS).task()
    assert acting(make_method("serve_now").build(task, torch.Generator())) == "policy"
