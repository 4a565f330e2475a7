"""Bodies and actors against the modules and distributions that they stand for."""

import pytest
import torch
from torch.nn import functional

from baselines.networks import CategoricalActor, GaussianActor, PerType, make_actor, make_body
from envs.task import Box, Discrete

TYPES = torch.tensor([0, 1, 0, 1, 1])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=seeded(seed))


def test_a_body_with_shared_input_is_a_linear_layer_on_the_concatenation() -> None:
    body = make_body(None, 3, 6, (), seeded(), shared=4)
    own, shared = normal(2, 5, 7, 3), normal(2, 5, 4, seed=2)
    joined = torch.cat([shared[..., None, :].expand(2, 5, 7, 4), own], -1)
    expected = functional.linear(joined, body.layers[0].weight, body.layers[0].bias)
    torch.testing.assert_close(body(own, shared)[0], expected)


@pytest.mark.parametrize("types", [None, TYPES], ids=["shared", "per_type"])
def test_steps_in_a_row_equal_single_steps_with_memory(types: torch.Tensor | None) -> None:
    body = make_body(types, 3, 2, (8, 8), seeded(), memory=True)
    own, memory = normal(6, 4, 5, 3), body.start(4, 5)
    whole, last = body(own, None, memory)
    single = []
    for step in own:
        out, memory = body(step[None], None, memory)
        single.append(out)
    torch.testing.assert_close(whole, torch.cat(single))
    torch.testing.assert_close(last, memory)
    assert (last != 0).any()


def test_what_was_seen_before_changes_what_a_body_with_memory_says() -> None:
    body = make_body(None, 3, 2, (8,), seeded(), memory=True)
    own = normal(2, 1, 1, 3)
    other = torch.cat([own[:1] + 1.0, own[1:]])
    assert not torch.equal(body(own, None, body.start(1, 1))[0][1], body(other, None, body.start(1, 1))[0][1])


def test_types_have_networks_of_their_own_and_agents_keep_their_places() -> None:
    body = make_body(TYPES, 3, 2, (8,), seeded())
    assert isinstance(body, PerType)
    own = normal(1, 4, 5, 3)
    together = body(own)[0]
    for agent, kind in enumerate(TYPES.tolist()):
        torch.testing.assert_close(together[:, :, [agent]], body.bodies[kind](own[:, :, [agent]])[0])
    alike = body(own[:, :, :1].expand(1, 4, 5, 3))[0]
    torch.testing.assert_close(alike[:, :, 0], alike[:, :, 2])
    assert not torch.isclose(alike[:, :, 0], alike[:, :, 1]).any()


def categorical() -> tuple[CategoricalActor, torch.Tensor, torch.Tensor]:
    """An actor whose logits are far apart, observations and a mask that leaves at least one action."""
    actor = make_actor(Discrete(4), 3, (8,), seeded(), log_std=0.0)
    assert isinstance(actor, CategoricalActor)
    with torch.no_grad():
        actor.body.layers[-1].weight *= 200.0
    mask = torch.rand(500, 5, 4, generator=seeded(3)) < 0.5
    mask[..., 0] |= ~mask.any(-1)
    return actor, normal(500, 5, 3), mask


def test_forbidden_actions_are_never_taken() -> None:
    actor, obs, mask = categorical()
    drawn = actor.sample(obs, None, seeded(), mask)[0]
    assert mask.gather(-1, drawn).all()
    assert mask.gather(-1, actor.mode(obs, None, mask)[0]).all()
    assert not mask.gather(-1, actor.sample(obs, None, seeded())[0]).all()


def test_categorical_numbers_are_those_of_torch() -> None:
    actor, obs, mask = categorical()
    action, log_prob, _ = actor.sample(obs, None, seeded(), mask)
    again, entropy = actor.log_prob(obs[None], action[None], None, mask[None])
    torch.testing.assert_close(again[0], log_prob)
    logits = actor.body(obs[None])[0][0].masked_fill(~mask, -torch.inf)
    reference = torch.distributions.Categorical(logits=logits)
    torch.testing.assert_close(log_prob, reference.log_prob(action[..., 0]))
    assert entropy is not None
    torch.testing.assert_close(entropy[0], reference.entropy(), atol=1e-5, rtol=1e-4)
    entropy.sum().backward()
    assert all(p.grad.isfinite().all() for p in actor.parameters() if p.grad is not None)


def test_draws_follow_the_softmax() -> None:
    actor, obs, _ = categorical()
    one = obs[:1, :1] * 0.05
    drawn = actor.sample(one.expand(20_000, 1, 3), None, seeded())[0].flatten()
    expected = actor.body(one[None])[0].softmax(-1).flatten()
    assert (drawn.bincount(minlength=4) / 20_000).tolist() == pytest.approx(expected.tolist(), abs=0.015)


def test_gaussian_log_probabilities_are_those_of_torch() -> None:
    actor = make_actor(Box(2), 3, (8,), seeded(), log_std=-0.7)
    assert isinstance(actor, GaussianActor)
    obs = normal(6, 5, 3)
    action, log_prob, _ = actor.sample(obs, None, seeded())
    reference = torch.distributions.Normal(actor.mode(obs, None)[0], torch.tensor(-0.7).exp())
    torch.testing.assert_close(log_prob, reference.log_prob(action).sum(-1))
    torch.testing.assert_close(actor.log_prob(obs[None], action[None], None)[0][0], log_prob)
