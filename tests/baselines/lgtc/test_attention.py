"""Actors that attend to consumers: in any order, without memory or talk, and carried elsewhere."""

import pytest
import torch
from helpers.training import train

from accord.baselines.base import Controller
from accord.baselines.lgtc.attention import AttentionBody
from accord.baselines.registry import make_method
from accord.benchmark.evaluation.context import Context
from accord.benchmark.evaluation.evaluate import evaluate
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError

SMALL = {"width": 8, "embedding": 8, "lanes": 40, "ppo": {"hidden": (16,), "rollout_steps": 10}}
STEADY, ALLOCATION = "allocation_5x2/radius-1/steady", "allocation_5x2/radius-1/jumps"
DISTRICT = "campus_seven/two_groups/hourly-0.35"


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def body_of(controller: Controller) -> AttentionBody:
    body = controller.modules()["policy"].actor.body  # type: ignore[union-attr]
    assert isinstance(body, AttentionBody)
    return body


@pytest.mark.parametrize("method", ["ippo-attention", "lgtc-ippo"])
def test_consumers_count_in_any_order(method: str) -> None:
    task = resolve(ALLOCATION).task()
    body = body_of(make_method(method, SMALL).build(task, seeded()))
    obs = task.reset(2, seeded()).obs
    picked = body.attention(obs)
    assert picked.shape == (2, 5, 2)
    torch.testing.assert_close(picked.sum(-1), torch.ones(2, 5))
    where = task.spec.obs_fields["consumers"].where
    swapped = obs.clone()
    swapped[..., where] = obs[..., where].unflatten(-1, (2, 5)).flip(-2).flatten(-2)
    torch.testing.assert_close(body.attention(swapped), picked.flip(-1))
    torch.testing.assert_close(body.inputs(swapped), body.inputs(obs))


def test_what_is_demanded_is_attended_to_and_acted_on() -> None:
    task = resolve(ALLOCATION).task()
    body = body_of(make_method("ippo-attention", SMALL).build(task, seeded()))
    obs = task.reset(2, seeded()).obs
    where = task.spec.obs_fields["consumers"].where
    more = obs.clone()
    more[0, 3, where.stop - 1] += 1.0  # what the farthest consumer needs, as one agent sees it
    acts, moved = body(obs[None])[0][0], body(more[None])[0][0]
    differs = (acts != moved).any(-1)
    assert differs[0, 3]
    assert differs.sum() == 1
    assert (body.attention(obs) != body.attention(more)).any(-1).sum() == 1


def test_it_learns_and_is_carried_to_other_numbers_of_agents_without_a_message() -> None:
    ppo = {"hidden": (32,), "rollout_steps": 50, "gamma": 0.98, "lr": 2.5e-3}
    learned, _ = train("ippo-attention", STEADY, {"guidance": 0.1, "lanes": 256, "ppo": ppo}, 250_000, seed=4)
    elsewhere = "allocation_12x2/radius-1/jumps"
    carried = make_method("ippo-attention", {"ppo": ppo}).build(resolve(elsewhere).task(), seeded())
    carried.load_state_dict(learned.state_dict())
    for address, controller in ((STEADY, learned), (elsewhere, carried)):
        found, random = (
            evaluate(resolve(address), acting, Context(), seeded(), episodes=30).metrics
            for acting in (controller, make_method("random").build(resolve(address).task(), seeded()))
        )
        assert found["served"] > 1.5 * random["served"]
        assert found["episode_return"] > random["episode_return"] + 0.5
        assert found["messages"] == 0


def test_prices_of_coming_hours_are_its_consumers_in_demand_response() -> None:
    scenario = resolve(DISTRICT)
    controller = make_method("ippo-attention-augmented", SMALL).build(scenario.task(), seeded())
    assert body_of(controller).places.shape == (24, 2)


@pytest.mark.parametrize(
    ("address", "settings", "message"),
    [
        ("games/climbing", {}, "has discrete actions; they need a box"),
        (ALLOCATION, {"ppo": {"recurrent": True}}, "allowed: ppo.recurrent false"),
        (ALLOCATION, {"agent_id": True}, "'agent_id' is fixed by the name"),
    ],
)
def test_what_it_cannot_do_says_so(address: str, settings: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_method("ippo-attention", settings).build(resolve(address).task(), seeded())
