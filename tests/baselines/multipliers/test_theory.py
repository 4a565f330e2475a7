"""Bounds on how far apart multipliers can be, against networks and steps whose answers are known."""

import pytest
import torch
from torch import Tensor

from accord.baselines.multipliers import theory
from accord.baselines.multipliers.theory import (
    Disagreement,
    bounds,
    contraction,
    disagreement,
    responses,
    rounding_error,
    settled,
    spread_of,
    spread_of_sums,
)
from accord.envs.network import FaultyNetwork, Network
from accord.envs.network.faults import parse_faults
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
    assert tightness(Network.build(topology, 7), 2, "plain") < 20


@pytest.mark.parametrize(
    ("words", "mixing", "rounds"),
    [
        ("every-3", "plain", 2),
        ("switching-star", "plain", 1),
        ("every-2+switching-star", "plain", 1),
        ("delay-1", "balanced", 1),
        ("delay-6", "balanced", 1),
        ("delay-3", "balanced", 2),
        ("rounding-0.25", "balanced", 2),
        ("delay-3+rounding-0.25", "balanced", 1),
    ],
)
@pytest.mark.parametrize("topology", ["ring", "path", "two_groups"])
def test_disagreement_stays_below_its_bound_under_faults(topology: str, words: str, mixing: str, rounds: int) -> None:
    assert tightness(faulty(topology, words), rounds, mixing) < 200


def faulty(topology: str, words: str) -> FaultyNetwork:
    return FaultyNetwork(build_edges(topology, 7), 7, topology, parse_faults(words.split("+"), "here"))


def tightness(network: Network, rounds: int, mixing: str) -> float:
    """The bound against what is measured, added up over random steps, of which the first are sound."""
    generator = torch.Generator().manual_seed(0)
    lam = torch.rand(1, 7, 2, dtype=torch.float64, generator=generator)
    bound, told, seen = disagreement(network, rounds, mixing, lam), 0.0, 0.0
    assert bound is not None
    for at in range(300):
        if at == 10:
            network.start()
        lam = stepped(
            network, bound, lam, 0.2 * torch.randn(1, 7, 2, dtype=torch.float64, generator=generator), rounds, mixing
        )
        assert (spread_of(lam) <= bound.bound + 1e-12).all()
        told, seen = told + float(bound.bound.sum()), seen + float(spread_of(lam).sum())
    return told / seen


def stepped(
    network: Network, bound: Disagreement, lam: Tensor, ascent: Tensor, rounds: int, mixing: str, top: float = 1.0
) -> Tensor:
    """One dual step, and gossip."""
    clipped, turn = (lam + ascent).clamp(0.0, top), network.turn
    bound.add(spread_of(ascent), spread_of(clipped - lam), torch.tensor(True), turn)
    return network.mix(clipped, rounds, mixing)


def slowest(network: Network) -> Tensor:
    return torch.linalg.eigh(network.mixing_matrix()).eigenvectors[:, -2].view(1, 7, 1)


def test_the_bound_is_reached_along_the_slowest_direction() -> None:
    network, lam = Network.build("two_groups", 7), torch.full((1, 7, 1), 50.0, dtype=torch.float64)
    bound = Disagreement(network, 2, "plain", lam)
    for _ in range(200):
        lam = stepped(network, bound, lam, 0.1 * slowest(network), 2, "plain", top=100.0)
    peak, mean = settled(0.1, network.sigma**2, 1)
    assert float(bound.bound) == pytest.approx(peak, rel=1e-6)
    assert float(spread_of(lam)) == pytest.approx(peak, rel=1e-6)
    assert mean == pytest.approx(peak)


def test_a_budget_that_counts_now_and_then_settles_at_the_peak_and_the_mean_that_are_told() -> None:
    network, lam = Network.build("two_groups", 7), torch.full((1, 7, 1), 50.0, dtype=torch.float64)
    bound, found = Disagreement(network, 1, "plain", lam), list[float]()
    for hour in range(24 * 40):
        lam = stepped(network, bound, lam, 0.1 * (hour % 24 == 0) * slowest(network), 1, "plain", top=100.0)
        found.append(float(spread_of(lam)))
    peak, mean = settled(0.1, network.sigma, 24)
    assert max(found[-24:]) == pytest.approx(peak, rel=1e-6)
    assert sum(found[-24:]) / 24 == pytest.approx(mean, rel=1e-6)


@pytest.mark.parametrize("delay", [1, 3, 12])
def test_a_single_step_along_the_slowest_direction_falls_off_as_told_where_messages_are_late(delay: int) -> None:
    network = faulty("two_groups", f"delay-{delay}")
    network.start()
    lam = 50.0 + slowest(network)
    told = [value for value, _ in zip(responses(network, 1), range(4 * delay), strict=False)]
    seen = []
    for _ in told:
        lam = network.mix(lam, 1, "balanced")
        seen.append(float(spread_of(lam)))
    assert told[:delay] == [1.0] * delay
    assert seen == pytest.approx(told, rel=1e-9)


def test_rounding_moves_agents_apart_by_no_more_than_told() -> None:
    network = faulty("star", "rounding-0.5")
    network.start()
    x = torch.randn(2_000, 7, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    error = spread_of(network.mix(x, 1, "balanced") - Network.build("star", 7).mix(x))
    assert 0.3 * rounding_error(network) < float(error.max()) <= rounding_error(network)


def test_budgets_that_nobody_talks_of_are_not_contracted() -> None:
    lam = torch.tensor([[[1.0, 1.0], [-1.0, -1.0]]])
    bound = Disagreement(faulty("ring", "every-2"), 1, "plain", lam)
    one, rho = torch.ones(1, 2), Network.build("ring", 7).sigma
    bound.add(one, 2 * one, torch.tensor([[True, False]]))
    first = 2**0.5 + 1
    assert bound.bound[0].tolist() == pytest.approx([first * rho, first])


def test_sums_over_agents_tell_how_far_apart_they_are() -> None:
    x = torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 2
    assert torch.allclose(spread_of_sums(x.sum(0), x.square().sum(0), 50), spread_of(x))


def test_losses_are_bounded_where_a_matrix_of_all_agents_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    network = faulty("ring", "loss-0.3")
    assert bounds(network, "plain", 1)
    assert not bounds(network, "chebyshev", 4)
    monkeypatch.setattr(theory, "DENSE_MATRIX", 6)
    assert not bounds(network, "plain", 1)
    assert bounds(Network.build("ring", 7), "chebyshev", 4)


@pytest.mark.parametrize(
    ("words", "mixing"),
    [
        ("delay-3", "plain"),
        ("rounding-0.1", "plain"),
        ("loss-0.1+delay-3", "balanced"),
        ("cut", "plain"),
        ("dead_idle-0", "plain"),
        ("liar_flips", "plain"),
    ],
)
def test_other_faults_have_no_bound(words: str, mixing: str) -> None:
    assert disagreement(faulty("ring", words), 1, mixing, torch.zeros(1, 7, 1)) is None
