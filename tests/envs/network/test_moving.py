"""Links that move, against a static network of the same links."""

import pytest
import torch

from accord.envs.errors import UsageError
from accord.envs.network import MovingNetwork, Network


@pytest.mark.parametrize("name", ["ring", "star", "two_groups"])
def test_one_graph_is_a_static_network(name: str) -> None:
    static, moving = Network.build(name, 7), MovingNetwork(7)
    links = torch.zeros(7, 7, dtype=torch.bool)
    links[static.sources, static.targets] = True
    moving.move(links.expand(3, 7, 7))
    x = torch.randn(3, 7, 5, generator=torch.Generator().manual_seed(0))
    for operate in (
        lambda network: network.mix(x, 2),
        lambda network: network.neighbour_mean(x),
        lambda network: network.propagate(x, 2),
        lambda network: network.mean(x),
    ):
        torch.testing.assert_close(operate(moving), operate(static))
        assert (moving.messages, moving.bytes) == (static.messages, static.bytes)


def test_graphs_differ_between_copies_and_may_fall_apart() -> None:
    moving = MovingNetwork(3)
    links = torch.zeros(2, 3, 3, dtype=torch.bool)
    links[0, 0, 1] = links[0, 1, 0] = True  # two talk, one is alone; in the second copy all are
    moving.move(links)
    x = torch.tensor([[[1.0], [3.0], [5.0]]]).expand(2, 3, 1)
    assert moving.mix(x)[..., 0].tolist() == [[2, 2, 5], [1, 3, 5]]
    assert moving.neighbour_mean(x)[..., 0].tolist() == [[3, 1, 5], [1, 3, 5]]
    assert moving.messages == 2  # two messages in one of two copies, each time


def test_what_it_cannot_do_says_so() -> None:
    moving = MovingNetwork(3)
    x = torch.zeros(1, 3, 1)
    with pytest.raises(ValueError, match="nobody has said yet who can talk to whom"):
        moving.mix(x)
    moving.move(torch.zeros(1, 3, 3, dtype=torch.bool))
    with pytest.raises(UsageError, match="mix: method 'chebyshev' with 2 rounds; allowed here: plain"):
        moving.mix(x, 2, "chebyshev")
    with pytest.raises(TypeError, match="moves"):
        moving.gather(x)
    with pytest.raises(TypeError, match="network 'ring' never changes"):
        Network.build("ring", 3).move(torch.zeros(1, 3, 3, dtype=torch.bool))
