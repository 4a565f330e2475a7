"""Where time goes, against functions that take a known time."""

import time

import pytest
import torch

from baselines.registry import make_method
from benchmark.stages import Stopwatch, acting, told_apart
from envs.catalogue import resolve_district
from envs.network import Network

ADDRESS = "homes_17/ring/hourly-0.3"


def test_a_stage_inside_another_stops_its_clock() -> None:
    watch = Stopwatch()
    inner = watch.timed(lambda: time.sleep(0.05), "policy")
    with watch("observe"):
        time.sleep(0.02)
        inner()
        time.sleep(0.02)
    time.sleep(0.02)  # nobody's
    with watch("dual"):
        pass
    assert watch.seconds["policy"] == pytest.approx(0.05, abs=0.02)
    assert watch.seconds["observe"] == pytest.approx(0.04, abs=0.02)
    assert watch.seconds["dual"] < 0.01
    assert watch.seconds["messages"] == 0


def test_a_stage_that_fails_is_closed() -> None:
    watch = Stopwatch()
    with pytest.raises(ZeroDivisionError), watch("observe"):
        watch.timed(lambda: 1 / 0, "policy")()
    before = dict(watch.seconds)
    time.sleep(0.02)
    with watch("dual"):
        pass
    assert {name: watch.seconds[name] for name in ("observe", "policy")} == {
        name: before[name] for name in ("observe", "policy")
    }


def test_observations_actors_and_messages_are_told_apart_and_left_as_they_were() -> None:
    scenario, mix = resolve_district(ADDRESS), Network.mix
    task, network = scenario.task(), scenario.network()
    controller = make_method("consensus-gossip").build(task, torch.Generator().manual_seed(0))
    assert acting(controller) == "observe"
    with torch.inference_mode(), told_apart(controller) as watch:
        controller.reset(task.spec, network, 1, torch.Generator())
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
