"""Actors against the distributions that they stand for."""

import math

import pytest
import torch

from accord.baselines.training.actors import CategoricalActor, GaussianActor, make_actor
from accord.envs.task import Box, Discrete


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=seeded(seed))


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


def test_log_probabilities_of_a_gaussian_and_their_gradient_are_torchs_own() -> None:
    generator = torch.Generator().manual_seed(0)
    actor = make_actor(Box(2), 3, (8,), generator, log_std=-0.7)
    obs, action = torch.randn(2, 5, 4, 3, generator=generator), torch.randn(2, 5, 4, 2, generator=generator)
    mean = actor.body(obs)[0]
    torchs = torch.distributions.Normal(mean, math.exp(-0.7)).log_prob(action).sum(-1)
    ours, _ = actor.log_prob(obs, action, None)
    torch.testing.assert_close(ours, torchs)
    weights = list(actor.parameters())
    gradients = (torch.autograd.grad(found.square().sum(), weights) for found in (ours, torchs))
    for got, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
