import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import accord.envs.network.static
from accord.envs.errors import UsageError
from accord.envs.network import Network
from accord.envs.network.topologies import build_edges

GRAPHS = [
    ("complete", 7),
    ("ring", 9),
    ("star", 7),
    ("path", 6),
    ("torus", 12),
    ("two_groups", 7),
    ("regular-4", 20),
    ("erdos_renyi-0.3", 15),
    ("path", 2),
    ("ring", 1),
]
graphs = pytest.mark.parametrize(("name", "n_agents"), GRAPHS)
any_graph = st.sampled_from(GRAPHS)


def numbers(n_agents: int, width: int = 3, batch: int = 2, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, n_agents, width, dtype=torch.float64, generator=generator)


def spread(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x - x.mean(dim=1, keepdim=True), dim=1)


def chebyshev(order: int, x: float) -> float:
    return math.cosh(order * math.acosh(x))


@graphs
def test_mixing_matrix_is_symmetric_stochastic_and_follows_the_edges(name: str, n_agents: int) -> None:
    network = Network.build(name, n_agents)
    weights = network.mixing_matrix()
    assert weights.dtype == torch.float64
    assert torch.equal(weights, weights.T)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(n_agents, dtype=torch.float64))
    off_diagonal = weights.triu(diagonal=1).nonzero()
    assert torch.equal(off_diagonal, network.edges)


def test_metropolis_weights_of_a_star_are_one_over_the_number_of_agents() -> None:
    weights = Network.build("star", 5).mixing_matrix()
    torch.testing.assert_close(weights[0], torch.full((5,), 0.2, dtype=torch.float64))
    torch.testing.assert_close(weights.diagonal()[1:], torch.full((4,), 0.8, dtype=torch.float64))


@graphs
def test_sigma_is_the_spectral_radius_of_mixing_less_averaging(name: str, n_agents: int) -> None:
    network = Network.build(name, n_agents)
    rest = network.mixing_matrix() - 1.0 / n_agents
    assert network.sigma == pytest.approx(torch.linalg.eigvalsh(rest).abs().max().item(), abs=1e-12)
    assert network.spectral_gap == 1.0 - network.sigma
    assert 0 <= network.sigma < 1


@pytest.mark.parametrize(
    ("name", "n_agents", "gap", "tolerance"),
    [
        ("ring", 9, 0.156, 0.0005),
        ("ring", 100, 1.3e-3, 0.05e-3),
        ("ring", 1000, 1.3e-5, 0.05e-5),
        ("regular-4", 1000, 0.11, 0.005),
    ],
)
def test_spectral_gap_has_its_known_value(name: str, n_agents: int, gap: float, tolerance: float) -> None:
    assert Network.build(name, n_agents).spectral_gap == pytest.approx(gap, abs=tolerance)


def test_a_crowded_spectrum_is_resolved() -> None:
    n_agents = 20_000
    exact = (2 / 3) * (1 - math.cos(2 * math.pi / n_agents))
    assert Network.build("ring", n_agents).spectral_gap == pytest.approx(exact, rel=1e-4)


def test_a_lone_agent_keeps_its_numbers_and_sends_nothing() -> None:
    network = Network.build("complete", 1)
    x = numbers(1)
    assert network.sigma == 0.0
    assert torch.equal(network.mix(x, 3), x)
    assert torch.equal(network.mix(x, 3, "chebyshev"), x)
    assert torch.equal(network.neighbour_mean(x), x)
    assert torch.equal(network.propagate(x, 1), torch.stack([x, torch.zeros_like(x)], dim=2))
    assert network.gather(x).shape == (2, 0, 3)
    assert network.messages == network.bytes == 0


@given(
    graph=any_graph,
    rounds=st.integers(0, 12),
    seed=st.integers(0, 99),
    method=st.sampled_from(["plain", "chebyshev"]),
)
@settings(deadline=None, max_examples=50)
def test_mixing_keeps_the_mean_and_contracts_within_its_bound(
    graph: tuple[str, int], rounds: int, seed: int, method: str
) -> None:
    network = Network.build(*graph)
    x = numbers(network.n_agents, seed=seed)
    mixed = network.mix(x, rounds, method)
    torch.testing.assert_close(mixed.mean(dim=1), x.mean(dim=1))
    sigma = network.sigma
    plain = method == "plain" or sigma < 1e-9
    bound = sigma**rounds if plain else 1.0 / chebyshev(rounds, 1.0 / sigma)
    assert (spread(mixed) <= bound * spread(x) + 1e-9).all()


def test_chebyshev_mixes_a_ring_better_than_plain_rounds_do() -> None:
    network = Network.build("ring", 30)
    x = torch.cos(2 * math.pi * torch.arange(30, dtype=torch.float64) / 30).view(1, 30, 1)
    assert spread(network.mix(x, 15, "chebyshev")) < 0.5 * spread(network.mix(x, 15))


def test_chebyshev_stays_finite_over_many_rounds() -> None:
    network = Network.build("star", 7)
    mixed = network.mix(numbers(7), 2000, "chebyshev")
    assert spread(mixed).max() < 1e-9


def test_mixing_is_the_power_of_the_mixing_matrix() -> None:
    network = Network.build("two_groups", 7)
    x = numbers(7)
    known = torch.linalg.matrix_power(network.mixing_matrix(), 3) @ x
    torch.testing.assert_close(network.mix(x, 3), known)


def test_neighbour_mean_is_the_plain_mean_over_neighbours() -> None:
    x = numbers(4)
    known = torch.stack([x[:, 1], (x[:, 0] + x[:, 2]) / 2, (x[:, 1] + x[:, 3]) / 2, x[:, 2]], dim=1)
    torch.testing.assert_close(Network.build("path", 4).neighbour_mean(x), known)


def test_propagate_gives_the_powers_of_the_normalised_adjacency() -> None:
    network = Network.build("star", 4)
    adjacency = torch.zeros(4, 4, dtype=torch.float64)
    adjacency[0, 1:] = adjacency[1:, 0] = 1 / math.sqrt(3)
    x = numbers(4)
    taps = network.propagate(x, 3)
    assert taps.shape == (2, 4, 4, 3)
    for hop in range(4):
        torch.testing.assert_close(taps[:, :, hop], torch.linalg.matrix_power(adjacency, hop) @ x)


def test_gather_delivers_the_sources_numbers_to_the_targets() -> None:
    network = Network.build("two_groups", 7)
    x = numbers(7)
    delivered = network.gather(x)
    assert torch.equal(delivered, x[:, network.sources])
    links = sorted(zip(network.sources.tolist(), network.targets.tolist(), strict=True))
    both_ways = network.edges.tolist() + network.edges.flip(1).tolist()
    assert links == sorted(map(tuple, both_ways))
    assert network.targets.tolist() == sorted(network.targets.tolist())
    total = torch.zeros_like(x).index_add_(1, network.targets, delivered)
    torch.testing.assert_close(total / network.degree.view(1, 7, 1), network.neighbour_mean(x))


def test_mean_is_the_average_of_all() -> None:
    x = numbers(9)
    torch.testing.assert_close(Network.build("ring", 9).mean(x), x.mean(dim=1, keepdim=True))


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("name", "n_agents"), [*GRAPHS, ("grid", 30)])
def test_dense_and_sparse_paths_agree(
    monkeypatch: pytest.MonkeyPatch, name: str, n_agents: int, dtype: torch.dtype, batch: int
) -> None:
    dense = Network.build(name, n_agents)
    monkeypatch.setattr(accord.envs.network.static, "DENSE_AGENTS", 0)
    sparse = Network.build(name, n_agents)
    x = numbers(n_agents, batch=batch).to(dtype)
    for rounds in (0, 1, 4):
        for method in ("plain", "chebyshev"):
            torch.testing.assert_close(dense.mix(x, rounds, method), sparse.mix(x, rounds, method))
    torch.testing.assert_close(dense.neighbour_mean(x), sparse.neighbour_mean(x))
    for taps in (0, 1, 3):
        torch.testing.assert_close(dense.propagate(x, taps), sparse.propagate(x, taps))
    assert (dense.messages, dense.bytes) == (sparse.messages, sparse.bytes)
    assert dense.mix(x).dtype == sparse.mix(x).dtype == dtype


@pytest.mark.parametrize("dense_agents", [0, 64])
def test_results_are_the_same_bits_every_time(monkeypatch: pytest.MonkeyPatch, dense_agents: int) -> None:
    monkeypatch.setattr(accord.envs.network.static, "DENSE_AGENTS", dense_agents)
    x = numbers(30).float()
    runs = [Network.build("regular-4", 30).mix(x, 5, "chebyshev") for _ in range(2)]
    assert torch.equal(*runs)


@pytest.mark.parametrize("dense_agents", [0, 64])
def test_gradients_pass_even_after_use_in_inference_mode(monkeypatch: pytest.MonkeyPatch, dense_agents: int) -> None:
    monkeypatch.setattr(accord.envs.network.static, "DENSE_AGENTS", dense_agents)
    network = Network.build("star", 6)
    x = numbers(6, width=1)
    with torch.inference_mode():
        network.propagate(x, 2)
        network.neighbour_mean(x)
        network.mix(x, 2)
    for operation in (lambda x: network.propagate(x, 2), network.neighbour_mean, lambda x: network.mix(x, 2)):
        assert torch.autograd.gradcheck(operation, x.clone().requires_grad_())


@pytest.mark.parametrize("batch", [1, 4])
def test_messages_and_bytes_count_one_copy_of_the_batch(batch: int) -> None:
    network = Network.build("two_groups", 7)
    links = 2 * 8
    x = numbers(7, width=3, batch=batch)
    counted = []
    for operation in (
        lambda: network.mix(x.float(), 5),
        lambda: network.mix(x, 5, "chebyshev"),
        lambda: network.neighbour_mean(x),
        lambda: network.propagate(x, 4),
        lambda: network.gather(x),
        lambda: network.mean(x),
        lambda: network.mix(x, 0),
    ):
        operation()
        counted.append((network.messages, network.bytes))
        network.reset_counters()
    sent = [5 * links, 5 * links, links, 4 * links, links, 2 * 7, 0]
    widths = [3 * 4, *[3 * 8] * 6]
    assert counted == [(messages, messages * size) for messages, size in zip(sent, widths, strict=True)]


def test_counts_add_up_over_calls_until_reset() -> None:
    network = Network.build("ring", 5)
    network.mix(numbers(5, width=1), 2)
    network.neighbour_mean(numbers(5, width=1))
    assert (network.messages, network.bytes) == (30, 240)
    network.reset_counters()
    assert (network.messages, network.bytes) == (0, 0)


def test_distances_count_hops() -> None:
    assert Network.build("two_groups", 7).distances_from(1).tolist() == [1, 0, 1, 2, 3, 4, 4]
    assert Network.build("ring", 100).distances_from(0)[50].item() == 50
    assert Network.build("ring", 1).distances_from(0).tolist() == [0]


def test_edges_are_accepted_in_any_order_and_direction() -> None:
    network = Network(torch.tensor([[2, 1], [1, 0], [3, 2]]), 4, "feeder")
    assert network.edges.tolist() == [[0, 1], [1, 2], [2, 3]]
    assert network.degree.tolist() == [1, 2, 2, 1]
    assert network.name == "feeder"


def test_moving_to_a_device_returns_the_network_and_keeps_its_results() -> None:
    network = Network.build("ring", 5)
    x = numbers(5)
    before = network.mix(x)
    assert network.to("cpu") is network
    assert torch.equal(network.mix(x), before)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([[0, 1], [1, 1]], "network 'feeder': edge 1-1 is a self-loop"),
        ([[0, 1], [1, 9]], "network 'feeder': edge 1-9 is out of range; allowed: node ids 0 to 2"),
        ([[0, 1], [1, 0], [1, 2]], "network 'feeder': edge 0-1 is given twice"),
        ([[0, 1]], "network 'feeder': the graph over 3 agents is in 2 components"),
    ],
)
def test_a_network_of_wrong_edges_is_an_error(edges: list[list[int]], message: str) -> None:
    with pytest.raises(UsageError) as error:
        Network(torch.tensor(edges), 3, "feeder")
    assert message in str(error.value)


def test_a_network_of_nobody_is_an_error() -> None:
    with pytest.raises(UsageError, match="n_agents is 0; allowed: 1 or more"):
        Network(torch.zeros(0, 2, dtype=torch.long), 0)


def test_wrong_arguments_of_mix_are_an_error() -> None:
    network = Network.build("ring", 5)
    with pytest.raises(UsageError, match="method 'flood' with 1 rounds; allowed: plain, chebyshev"):
        network.mix(numbers(5), 1, "flood")
    with pytest.raises(UsageError, match="with -1 rounds"):
        network.mix(numbers(5), -1)


def test_numbers_of_another_count_of_agents_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"allowed: \[B, 5, k\]"):
        Network.build("ring", 5).gather(numbers(6))


def test_a_dense_mixing_matrix_of_many_agents_is_refused() -> None:
    with pytest.raises(UsageError, match="5000 agents are too many; allowed: up to 4096"):
        Network(build_edges("ring", 5000), 5000).mixing_matrix()
