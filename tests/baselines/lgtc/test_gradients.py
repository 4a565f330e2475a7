"""Gradients by hand are those of automatic differentiation."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from accord.baselines.lgtc.cell import LGTCCell
from accord.baselines.lgtc.gradients import attention, picked_and_pooled
from accord.baselines.lgtc.graph_filters import Hops, OverNetwork, over
from accord.envs.network import Network

STEPS, GRAPHS, AGENTS, WIDTH, INPUTS, TAPS = 4, 2, 3, 5, 3, 2


def drawn(*shape: int, seed: int) -> Tensor:
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return values.requires_grad_()


def moving_graphs() -> Hops:
    links = (drawn(STEPS, GRAPHS, AGENTS, AGENTS, seed=5) > 0).double()
    return over((links + links.mT).clamp_max(1.0), TAPS)


def network() -> Hops:
    return OverNetwork(Network.build("path", AGENTS), TAPS)


@pytest.mark.parametrize("graphs", [moving_graphs, network])
def test_a_trajectory_is_that_of_steps_one_by_one(graphs: Callable[[], Hops]) -> None:
    cell = LGTCCell(INPUTS, WIDTH, TAPS, torch.Generator().manual_seed(0), step=0.5).double()
    with torch.no_grad():
        cell.state_rate.mul_(5.0)  # so that its rectifier is on for some and off for others
        cell.coupling.mul_(5.0)
    x, u, graph = drawn(GRAPHS, AGENTS, WIDTH, seed=1), drawn(STEPS, GRAPHS, AGENTS, INPUTS, seed=2), graphs()
    weighed = drawn(STEPS, GRAPHS, AGENTS, WIDTH, seed=3).detach()

    def one_by_one() -> Tensor:
        states, state = [], x
        for t, here in enumerate(graph.each(STEPS)):
            state = cell(state, u[t], here)
            states.append(state)
        return torch.stack(states)

    values = [x, u, *cell.parameters()]
    whole, single = cell.trajectory(x, u, graph), one_by_one()
    torch.testing.assert_close(whole, single)
    ours, theirs = (torch.autograd.grad((states * weighed).sum(), values) for states in (whole, single))
    for value, our, their in zip(values, ours, theirs, strict=True):
        assert their.abs().sum() > 0, value.shape
        torch.testing.assert_close(our, their)


def test_what_attention_picks_has_the_gradients_of_the_formula() -> None:
    embedded, asked = drawn(2, 4, 3, seed=1), drawn(2, 3, seed=2)
    weighed = drawn(2, 2, 3, seed=3).detach()
    weights = attention(embedded, asked)
    formula = torch.stack([(weights[..., None] * embedded).sum(-2), embedded.mean(-2)], -2)
    ours = picked_and_pooled(embedded, asked)
    torch.testing.assert_close(ours, formula)
    pairs = [torch.autograd.grad((out * weighed).sum(), [embedded, asked]) for out in (ours, formula)]
    for our, their in zip(*pairs, strict=True):
        torch.testing.assert_close(our, their)


@pytest.mark.parametrize("graphs", [moving_graphs, network])
def test_back_is_the_transpose_of_hear(graphs: Callable[[], Hops]) -> None:
    graph, z = graphs(), drawn(STEPS, GRAPHS, AGENTS, WIDTH, seed=1).detach()
    heard = graph.hear(z)
    other = drawn(*heard.shape, seed=2).detach()
    torch.testing.assert_close((heard * other).sum(), (z * graph.back(other)).sum())
