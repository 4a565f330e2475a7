"""LGTC-IPPO: over which graph its actors talk, what its training is made of, and that it is carried elsewhere."""

from pathlib import Path

import pytest
import torch
from helpers.training import train

from accord.baselines.audit import SCENARIO, audit_method
from accord.baselines.base import Controller, Effort, Training
from accord.baselines.learners.mappo import IPPO
from accord.baselines.lgtc.graph_filters import OverNetwork
from accord.baselines.lgtc.lgtc import LGTC, LGTCBody, LGTCConfig
from accord.baselines.registry import make_method
from accord.baselines.testing import MemoryCheckpoint, differences
from accord.benchmark.evaluation.context import Context
from accord.benchmark.evaluation.evaluate import evaluate
from accord.benchmark.launch.runner import run
from accord.envs.allocation.scenario import AUDITED_AT
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError

SMALL = {"width": 8, "embedding": 8, "lanes": 40, "ppo": {"hidden": (16,), "rollout_steps": 10}}
ALLOCATION, DISTRICT = "allocation_5x2/radius-1/jumps", "campus_seven/two_groups/hourly-0.35"


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def trained(method: str, address: str, steps: int = 4000, **settings: object) -> tuple[Controller, list[dict]]:
    scenario, rows = resolve(address), list[dict]()
    controller = make_method(method, SMALL | settings).train(
        scenario.task(), scenario.network(), Training(Effort(steps, 60.0), seeded(), rows.append)
    )
    return controller, rows


@pytest.fixture(scope="module")
def learned() -> tuple[dict, list[dict]]:
    """What a short training on the task of allocation leaves, and what it logged."""
    controller, rows = trained("lgtc-ippo", ALLOCATION)
    return controller.state_dict(), rows


def built(address: str, state: dict) -> Controller:
    controller = make_method("lgtc-ippo", SMALL).build(resolve(address).task(), seeded())
    controller.load_state_dict(state)
    return controller


def body_of(controller: Controller) -> LGTCBody:
    body = controller.modules()["policy"].actor.body  # type: ignore[union-attr]
    assert isinstance(body, LGTCBody)
    return body


def test_it_trains_where_the_graph_moves_and_acts_over_it(learned: tuple[dict, list[dict]]) -> None:
    state, rows = learned
    assert len(rows) >= 8
    controller = built(ALLOCATION, state)
    scenario = resolve(ALLOCATION)
    found = evaluate(scenario, controller, Context(), seeded(), episodes=3)
    few = evaluate(resolve("allocation_5x2/radius-0.2/jumps"), controller, Context(), seeded(), episodes=3)
    assert 0 < few.metrics["messages"] < found.metrics["messages"] <= 2 * 2 * 4  # inputs and states, over two hops


def test_a_policy_is_carried_to_other_numbers_of_agents(learned: tuple[dict, list[dict]]) -> None:
    elsewhere = "allocation_12x2/radius-1/jumps"
    found = evaluate(resolve(elsewhere), built(elsewhere, learned[0]), Context(), seeded(), episodes=2)
    assert found.metrics["messages"] > 0


def test_demand_response_has_the_scenarios_network(tmp_path: Path) -> None:
    week = "synthetic_7-week/two_groups/hourly-0.6"
    record = run(week, "lgtc-ippo-augmented", settings=SMALL, steps=8000, root=tmp_path)
    assert record.status == "done"
    assert record.summary["messages"] == pytest.approx(2 * 2 * 16 / 7)  # inputs and states, over two hops of 8 edges


def test_multipliers_are_learned_over_the_network_of_the_training() -> None:
    scenario = resolve(DISTRICT)
    network = scenario.network()
    method = LGTC(LGTCConfig(**SMALL | IPPO | {"agent_id": False, "handling": "lagrangian"}))
    controller = method.train(scenario.task(), network, Training(Effort(4000, 60.0), seeded()))
    listened = body_of(controller)._graphs(torch.empty(0))
    assert isinstance(listened, OverNetwork)
    assert listened._network is network


def test_training_in_a_batch_follows_the_links_that_agents_see(learned: tuple[dict, list[dict]]) -> None:
    scenario = resolve(ALLOCATION)
    task, network, body = scenario.task(), scenario.network(), body_of(built(ALLOCATION, learned[0]))
    step = task.reset(3, seeded())
    memory = torch.randn(3, 5, 8, generator=seeded(1))
    from_columns = body(step.obs[None], None, memory)
    network.move(step.links)
    body.listen(network)
    for ours, theirs in zip(from_columns, body(step.obs[None], None, memory), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_regulariser_keeps_it_contractive() -> None:
    rates = {}
    for alpha in (0.0, 1.0):
        controller, _ = trained("lgtc-ippo", ALLOCATION, steps=2000, alpha=alpha)
        rates[alpha] = body_of(controller).cell.contraction_rate().item()
    assert rates[1.0] > max(rates[0.0], 0.0)
    task = resolve(ALLOCATION).task()
    assert body_of(make_method("lgtc-ippo", SMALL | {"alpha": 0.0}).build(task, seeded())).penalty() is None


@pytest.mark.parametrize(
    ("method", "settings"),
    [("lgtc-ippo", SMALL), ("vdn", {"lanes": 10, "hidden": (8,), "sequence": 10, "batch": 2, "buffer": 64})],
)
def test_an_interrupted_training_with_guidance_goes_on_bit_for_bit(method: str, settings: dict) -> None:
    whole, guided = MemoryCheckpoint(), settings | {"guidance": 0.05}
    uninterrupted, _ = train(method, ALLOCATION, guided, 16_000, checkpoint=whole)
    half = whole.states[: len(whole.states) // 2]
    assert half
    controller, _ = train(method, ALLOCATION, guided, 16_000, checkpoint=MemoryCheckpoint(half))
    assert differences(controller.state_dict(), uninterrupted.state_dict()) == []


def test_the_audit_finds_nobody_beyond_two_hops() -> None:
    for method, address in (("lgtc-ippo-augmented", SCENARIO), ("lgtc-ippo", AUDITED_AT)):
        result = audit_method(method, address=address)
        assert result.passed
        assert (result.reach[0], result.allowed[:3]) == (2, (2, 4, 6))


@pytest.mark.parametrize(
    ("address", "settings", "message"),
    [
        ("games/climbing", {}, "has discrete actions; they need a box"),
        (ALLOCATION, {"ppo": {"recurrent": True}}, "allowed: ppo.recurrent false"),
    ],
)
def test_what_it_cannot_do_says_so(address: str, settings: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_method("lgtc-ippo", settings).build(resolve(address).task(), seeded())
