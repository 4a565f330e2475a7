"""Bodies against the modules that they stand for."""

import pytest
import torch
from torch.nn import functional

from accord.baselines.training.models import Body, PerType, make_body

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


def test_with_normalised_layers_values_stay_bounded_far_from_the_data() -> None:
    own = normal(1, 4, 5, 3)
    for normed, bounded in ((True, True), (False, False)):
        body = Body(3, 2, (8, 8), seeded(), normed=normed)
        assert torch.allclose(body(1e3 * own)[0], body(1e6 * own)[0], rtol=1e-3, atol=1e-3) == bounded


@pytest.mark.parametrize("shared", [0, 4])
def test_gradients_are_those_of_linear_layers_with_relu_between_them(shared: int) -> None:
    body = make_body(None, 3, 2, (8, 8), seeded(), shared=shared)
    own, common = normal(2, 5, 7, 3).requires_grad_(), normal(2, 5, shared, seed=2).requires_grad_()
    x = torch.cat([common[..., None, :].expand(2, 5, 7, shared), own], -1)
    for layer in body.layers[:-1]:  # type: ignore[union-attr,index]
        x = functional.relu(functional.linear(x, layer.weight, layer.bias))
    x = functional.linear(x, body.layers[-1].weight, body.layers[-1].bias)  # type: ignore[union-attr,index]
    out = body(own, common if shared else None)[0]
    torch.testing.assert_close(out, x)
    inputs = [own, *([common] if shared else []), *body.parameters()]  # type: ignore[union-attr]
    weighed = normal(2, 5, 7, 2, seed=3)
    for got, expected in zip(
        torch.autograd.grad((out * weighed).sum(), inputs),
        torch.autograd.grad((x * weighed).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
