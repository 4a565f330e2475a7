"""Bounds on how far apart multipliers can be, against networks and steps whose answers are known."""

import pytest
import torch
from torch import Tensor

from accord.baselines.multipliers import theory
from accord.baselines.multipliers.theory import Disagreement, bounds, contraction, spread_of, spread_of_sums
from accord.envs.network import FaultyNetwork, Network
from accord.envs.network.faults import Faults
from accord.envs.network.topologies import build_edges

TOPOLOGIES = ("complete", "ring", "star", "path", "two_groups")


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize("mixing", ["plain", "chebyshev"])
@pytest.mark.parametrize("rounds", [1, 4])
def test_rounds_contract_disagreement_at_least_as_told(topology: str, mixing: str, rounds: int) -> None:
    network = Network.build(topology, 7)
    mixed = network.mix(torch.eye(7, dtype=torch.float64)[None], rounds, mixing)[0]
    largest = float(torch.linalg.matrix_norm(mixed - 1 / 7, 2))
    assert largest == pytest.approx(contraction(network, rounds, mixing), abs=1e-9)


def test_chebyshev_takes_the_root_of_the_rounds() -> None:
    assert contraction(Network.build("complete", 7), 500, "chebyshev") == 0.0
    ring = Network.build("ring", 100)
    assert contraction(ring, 149, "chebyshev") <= 1e-3 < contraction(ring, 148, "chebyshev")
    assert contraction(ring, 5_249, "plain") <= 1e-3 < contraction(ring, 5_247, "plain")


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_disagreement_stays_below_its_bound_whatever_is_clipped(topology: str) -> None:
    network, generator = Network.build(topology, 7), torch.Generator().manual_seed(0)
    lam = torch.rand(1, 7, 2, dtype=torch.float64, generator=generator)
    bound = Disagreement(lambda: contraction(network, 2, "plain"), lam)
    for _ in range(300):
        lam = stepped(network, bound, lam, 0.2 * torch.randn(1, 7, 2, dtype=torch.float64, generator=generator))
        assert (spread_of(lam) <= bound.bound + 1e-12).all()
    assert bound.bound.max() < 10


def test_the_bound_is_reached_along_the_slowest_direction() -> None:
    network = Network.build("two_groups", 7)
    slowest = torch.linalg.eigh(network.mixing_matrix()).eigenvectors[:, -2].view(1, 7, 1)
    lam = torch.full((1, 7, 1), 50.0, dtype=torch.float64)
    bound = Disagreement(lambda: contraction(network, 2, "plain"), lam)
    for _ in range(200):
        lam = stepped(network, bound, lam, 0.1 * slowest, top=100.0)
    rho = network.sigma**2
    assert float(bound.bound) == pytest.approx(0.1 * rho / (1 - rho), rel=1e-6)
    assert float(spread_of(lam)) == pytest.approx(float(bound.bound), rel=1e-9)


def stepped(network: Network, bound: Disagreement, lam: Tensor, ascent: Tensor, top: float = 1.0) -> Tensor:
    """One dual step and two rounds of gossip."""
    clipped = (lam + ascent).clamp(0.0, top)
    bound.add(torch.minimum(spread_of(ascent), spread_of(clipped - lam)), torch.tensor(True))
    return network.mix(clipped, 2)


def test_budgets_that_nobody_talks_of_are_not_contracted() -> None:
    bound = Disagreement(lambda: 0.5, torch.tensor([[[1.0, 1.0], [-1.0, -1.0]]]))
    bound.add(torch.tensor([[1.0, 1.0]]), torch.tensor([[True, False]]))
    first = 2**0.5 + 1
    assert bound.bound[0].tolist() == pytest.approx([first / 2, first])


def test_sums_over_agents_tell_how_far_apart_they_are() -> None:
    x = torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 2
    assert torch.allclose(spread_of_sums(x.sum(0), x.square().sum(0), 50), spread_of(x))


def test_losses_are_bounded_where_a_matrix_of_all_agents_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    network = FaultyNetwork(build_edges("ring", 7), 7, "ring", Faults(loss=0.3))
    assert bounds(network, "plain")
    assert not bounds(network, "chebyshev")
    monkeypatch.setattr(theory, "DENSE_MATRIX", 6)
    assert not bounds(network, "plain")
    assert bounds(Network.build("ring", 7), "chebyshev")
