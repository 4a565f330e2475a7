"""Networks with faults against sums that are known."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from accord.baselines.multipliers.theory import contraction_with_loss, spread_of
from accord.benchmark.launch.contexts import prepare_context
from accord.benchmark.launch.runner import run
from accord.benchmark.records.store import Store
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError
from accord.envs.network import FaultyNetwork, Network
from accord.envs.network.faults import parse_faults
from accord.envs.network.topologies import build_edges

TOPOLOGIES = ("complete", "ring", "star", "two_groups")


def faulty(words: str, topology: str = "two_groups", n_agents: int = 7) -> FaultyNetwork:
    faults = parse_faults(words.split("+") if words else (), "network 'x'")
    network = FaultyNetwork(build_edges(topology, n_agents), n_agents, topology, faults)
    network.start()
    return network


def numbers(n_agents: int = 7, copies: int = 1, width: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(copies, n_agents, width, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize("method", ["plain", "balanced"])
def test_without_faults_it_is_the_network_that_it_was(topology: str, method: str) -> None:
    plain, network, x = Network.build(topology, 7), faulty("", topology), numbers()
    assert torch.allclose(network.mix(x, 3, method), plain.mix(x, 3, method), atol=1e-6)
    assert torch.allclose(network.neighbour_mean(x), plain.neighbour_mean(x))
    assert (network.messages, network.bytes) == (plain.messages, plain.bytes)


def test_what_is_lost_is_not_read_as_nothing() -> None:
    x = numbers() + 5
    assert torch.equal(faulty("loss-1").mix(x, 4), x)
    assert torch.equal(faulty("loss-1").neighbour_mean(x), x)


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize("one_way", [False, True])
def test_losses_contract_as_told_in_the_mean_square(topology: str, one_way: bool) -> None:
    network, copies = faulty("one_way_loss-0.4" if one_way else "loss-0.4", topology), 20_000
    told = contraction_with_loss(network, 0.4, one_way)
    x = numbers(width=1)
    after = network.mix(x.expand(copies, -1, -1))
    assert float(spread_of(after).square().mean() / spread_of(x).square()) <= told * 1.02
    moved = after.mean(1) - x.mean(1)
    weights = network.mixing_matrix().square().fill_diagonal_(0.0)
    variance = 2 * 0.4 * 0.6 * float((weights * (x[0, :, 0, None] - x[0, :, 0]).square()).sum() / 2) / 7**2
    assert float(moved.square().mean()) == pytest.approx(variance if one_way else 0.0, rel=0.05, abs=1e-9)
    assert abs(float(moved.mean())) <= 4 * math.sqrt(variance / copies)


def test_the_slowest_direction_contracts_by_what_is_told() -> None:
    network = faulty("loss-0.3", "ring")
    weights = network.mixing_matrix()
    square = weights.square().fill_diagonal_(0.0)
    mean = 0.7 * weights + 0.3 * torch.eye(7, dtype=torch.float64)
    matrix = mean @ mean - 1 / 7 + 2 * 0.3 * 0.7 * (torch.diag(square.sum(1)) - square)
    slowest = torch.linalg.eigh(matrix).eigenvectors[:, -1].view(1, 7, 1)
    after = network.mix(slowest.expand(50_000, -1, -1))
    assert float(spread_of(after).square().mean()) == pytest.approx(
        contraction_with_loss(network, 0.3, False), rel=0.01
    )


@pytest.mark.parametrize("delay", [1, 6])
def test_late_messages_hold_back_what_all_agents_add(delay: int) -> None:
    """All alike on a ring: x⁺ = w·x + (1 − w)·x(t − D) + 1 rises by 1/(1 + D·(1 − w)) a step."""
    network, x = faulty(f"delay-{delay}", "ring"), torch.zeros(1, 7, 1, dtype=torch.float64)
    for _ in range(400):
        before, x = x, network.mix(x + 1)
    assert (x - before).flatten().numpy() == pytest.approx(1 / (1 + delay * 2 / 3), rel=1e-3)


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize("words", ["delay-3", "delay-12", "rounding-0.1", "delay-3+rounding-0.1+loss-0.3"])
@pytest.mark.parametrize("rounds", [1, 4])
def test_balanced_exchanges_keep_the_mean_and_settle(topology: str, words: str, rounds: int) -> None:
    network, x = faulty(words, topology), numbers()
    mean = x.mean(1)
    for _ in range(3_000):
        x = network.mix(x, rounds, "balanced")
    assert torch.allclose(x.mean(1), mean, atol=1e-6)
    assert float(spread_of(x).max()) < (0.3 if "rounding" in words else 1e-6)


@pytest.mark.parametrize("rounds", [1, 3])
def test_damping_is_needed_where_messages_are_late(rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network, x = faulty("delay-3", "ring"), numbers()
    edge = 2 * math.sin(math.pi / (4 * 3 * rounds + 2)) / (1 - network.lowest)
    assert network.damping(rounds) == pytest.approx(0.8 * edge)
    assert network.lowest == pytest.approx(float(torch.linalg.eigvalsh(network.mixing_matrix())[0]))
    for damping, settles in ((0.97 * edge, True), (1.03 * edge, False)):
        monkeypatch.setattr(FaultyNetwork, "damping", lambda self, rounds, damping=damping: damping)
        network, y = faulty("delay-3", "ring"), x
        for _ in range(3_000):
            y = network.mix(y, rounds, "balanced")
        assert (float(spread_of(y).max()) < 1) == settles


def test_rounded_messages_move_the_mean_unless_they_are_balanced() -> None:
    x = torch.full((1, 7, 1), 0.049, dtype=torch.float64)
    assert float(faulty("rounding-0.1", "ring").mix(x).mean()) == pytest.approx(0.049 / 3)
    assert torch.equal(faulty("rounding-0.1", "ring").mix(x, 1, "balanced"), x)


def test_agents_that_rest_send_nothing() -> None:
    network, x = faulty("every-3", "ring"), numbers()
    first = network.mix(x)
    assert network.messages == 14
    assert torch.equal(network.mix(first), first)
    assert torch.equal(network.mix(first), first)
    assert network.messages == 14
    assert not torch.equal(network.mix(first), first)


def test_links_that_change_take_turns() -> None:
    network, x = faulty("switching-star", "ring"), numbers()
    ring, star = Network.build("ring", 7), Network.build("star", 7)
    for plain in (ring, star, ring):
        assert torch.allclose(network.mix(x), plain.mix(x), atol=1e-6)


def test_halves_that_are_cut_agree_with_themselves() -> None:
    network, x = faulty("cut"), numbers()
    means = x[:, :3].mean(1), x[:, 3:].mean(1)
    for _ in range(2_000):
        x = network.mix(x)
    assert torch.allclose(x[:, :3], means[0][:, None], atol=1e-6)
    assert torch.allclose(x[:, 3:], means[1][:, None], atol=1e-6)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_a_lie_moves_the_mean_by_its_weight(topology: str) -> None:
    network, x = faulty("liar_adds--0.5", topology), numbers()
    share = 1 - float(network.mixing_matrix()[network.liar, network.liar])
    assert torch.allclose(network.mix(x).mean(1) - x.mean(1), torch.tensor(-0.5 * share / 7).double(), atol=1e-6)
    says = faulty("liar_says-3", topology)
    truth = x.clone()
    truth[:, says.liar] = 3.0
    expected = says.mixing_matrix() @ truth
    others = [i for i in range(7) if i != says.liar]
    assert torch.allclose(says.mix(x)[0, others], expected[0, others], atol=1e-6)
    flipped = faulty("liar_flips", topology).mix(x)
    assert torch.allclose((flipped - Network.build(topology, 7).mix(x)).sum(1), -2 * share * x[:, says.liar], atol=1e-6)


def test_dead_agents_are_silent_and_do_as_they_want() -> None:
    network, x = faulty("dead_serving-4+dead_idle-0_1"), numbers()
    actions = network.overrule(torch.full((1, 7, 2), 0.5))
    assert actions[0, :, 0].tolist() == [0.0, 0.0, 0.5, 0.5, 1.0, 0.5, 0.5]
    mixed = network.mix(x)
    assert torch.equal(mixed[:, [0, 1, 4]], x[:, [0, 1, 4]])
    assert network.messages == 4  # 2-3 and 5-6 are left
    assert torch.allclose(mixed.mean(1), x.mean(1))


def test_faults_begin_with_the_measured_hours_and_are_the_same_each_time() -> None:
    faults = parse_faults(("loss-0.5", "late-3", "delay-1"), "x")
    network = FaultyNetwork(build_edges("ring", 7), 7, "ring", faults)
    x, sound = numbers(), Network.build("ring", 7)
    first = network.mix(x)
    assert torch.equal(first[:, 3], x[:, 3])
    assert torch.allclose(first[:, [0, 6]], sound.mix(x)[:, [0, 6]], atol=1e-6)
    assert network.overrule(torch.zeros(1, 7, 2))[0, :, 0].tolist() == [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    seen = []
    for _ in range(2):
        network.start()
        assert not network.overrule(torch.zeros(1, 7, 2)).any()
        y = x
        for _ in range(5):
            y = network.mix(y)
        seen.append(y)
    assert torch.equal(*seen)
    assert not torch.equal(seen[0][:, 3], x[:, 3])


def test_distances_count_links_that_are_there_at_times() -> None:
    assert faulty("switching-star", "path").distances_from(6).tolist() == [1, 2, 2, 2, 2, 1, 0]


def test_two_networks_of_a_name_lose_the_same() -> None:
    one, other, x = faulty("loss-0.5"), faulty("loss-0.5"), numbers()
    assert all(torch.equal(one.mix(x), other.mix(x)) for _ in range(5))


def test_features_are_not_passed_on_over_faults() -> None:
    with pytest.raises(UsageError, match="methods that pass features on"):
        faulty("cut").propagate(numbers(), 2)


def test_numbers_of_any_width_are_lost() -> None:
    network = faulty("loss-0.3")
    assert network.mix(numbers(width=2)).shape == (1, 7, 2)
    assert network.mix(numbers(width=1)).shape == (1, 7, 1)


def test_a_digest_tells_faults_apart() -> None:
    words = ("", "cut", "loss-0.3", "loss-0.4", "one_way_loss-0.3", "switching-star", "late-2", "dead_idle-2")
    assert len({faulty(each).digest for each in words}) == len(words)


def test_a_scenario_with_faults_is_trained_without_them() -> None:
    scenario = resolve("campus_seven/two_groups+loss-0.3+delay-6/hourly-0.35")
    assert isinstance(scenario.network(), FaultyNetwork)
    assert scenario.trained_on.address == "campus_seven/two_groups/hourly-0.35"
    assert type(scenario.trained_on.network()) is Network
    assert scenario.network_digest != scenario.trained_on.network_digest
    changed = resolve("campus_seven/two_groups+cut/hourly-0.35~0.3")
    assert changed.trained_on.address == "campus_seven/two_groups/hourly-0.35"
    with pytest.raises(UsageError, match="'gone' is no fault"):
        resolve("campus_seven/two_groups+gone/hourly-0.35")


@pytest.mark.parametrize("words", ["", "loss-0.5"])
def test_clipped_exchanges_keep_the_mean_and_bound_a_liar(words: str) -> None:
    network, x = faulty(words, "ring"), numbers()
    after = network.mix(x, 2, "clipped", 0.01)
    assert torch.allclose(after.mean(1), x.mean(1), atol=1e-9)
    assert 0 < float((after - x).abs().max()) <= 2 * 0.02 / 3 + 1e-9
    lied = faulty("liar_says-100", "ring").mix(x, 1, "clipped", 0.01)
    assert float((lied - x).abs().max()) <= 0.02 / 3 + 1e-9
    sound = Network.build("ring", 7)
    assert torch.allclose(sound.mix(x, 2, "clipped", 100.0), sound.mix(x, 2), atol=1e-6)


@pytest.mark.parametrize("words", ["", "loss-0"])
def test_a_trimmed_mean_leaves_out_the_ends(words: str) -> None:
    x = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 600.0], dtype=torch.float64).view(1, 7, 1)
    network = faulty(words, "complete") if words else Network.build("complete", 7)
    after = network.mix(x, 1, "trimmed", 1).flatten()
    assert after[0] == pytest.approx((0 + 2 + 3 + 4 + 5) / 5)  # hears 1 to 5 and 600, without 1 and 600
    assert after[6] == pytest.approx((600 + 1 + 2 + 3 + 4) / 5)
    alone = Network.build("path", 7).mix(x, 1, "trimmed", 1).flatten()
    assert torch.equal(alone, x.flatten())  # of two neighbours none is left


def test_chebyshev_rounds_go_over_lost_links_too() -> None:
    x, network = numbers(), faulty("loss-0.3", "ring")
    assert torch.allclose(faulty("", "ring").mix(x, 4, "chebyshev"), Network.build("ring", 7).mix(x, 4, "chebyshev"))
    after = network.mix(x, 4, "chebyshev")
    assert torch.allclose(after.mean(1), x.mean(1), atol=1e-9)
    assert float(spread_of(after).max()) < float(spread_of(x).max())


def test_only_what_changed_is_sent() -> None:
    network, told = Network.build("path", 3), torch.zeros(1, 3, 2)
    changed = torch.tensor([[[True, False], [True, True], [False, False]]])
    assert torch.equal(network.mix_told(told, changed), told)
    assert (network.messages, network.bytes) == (1 + 2, (1 + 2 * 2) * 4)


def test_figures_without_control_do_not_depend_on_who_fails(tmp_path: Path) -> None:
    sound, failing = (resolve(f"campus_seven/two_groups{fault}/hourly-0.35") for fault in ("", "+dead_idle-3"))
    assert failing.sound.address == sound.address
    assert failing.trained_on is failing.trained_on
    contexts = [prepare_context(scenario, Store(tmp_path / str(n))) for n, scenario in enumerate((sound, failing))]
    assert contexts[0] == contexts[1]


def test_what_has_no_form_over_faults_is_refused_before_it_is_trained(tmp_path: Path) -> None:
    address = "campus_seven/two_groups+delay-2/hourly-0.35"
    for method, settings, said in (
        ("lgtc-ippo-augmented", {}, "passes features on"),
        ("consensus-gossip", {"dual": {"mix_active_only": True}}, "mix_active_only"),
    ):
        record = run(address, method, settings=settings, root=tmp_path, steps=10**9)
        assert record.status == "failed"
        assert said in record.error
