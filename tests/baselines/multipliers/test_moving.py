"""Multiplier rules against toys whose answers are known."""

from dataclasses import replace

import pytest
import torch

from accord.baselines.base import RolloutStart
from accord.baselines.multipliers.moving import DualConfig, Multipliers
from accord.envs import make
from accord.envs.errors import UsageError
from accord.envs.network import Network
from accord.envs.task import Budget, Step, TaskSpec

SLOPE = 1.0
HOURS = torch.ones(24, dtype=torch.bool)


def plain(**settings: object) -> DualConfig:
    """Settings that aim at the budget itself and start from zero."""
    return DualConfig(**{"tighten": 0.0, "nu_start": 0.0, **settings})  # type: ignore[arg-type]


def start(spec: TaskSpec, network: Network) -> RolloutStart:
    """Of one copy."""
    return RolloutStart(spec, network, 1, torch.Generator())


def spec_of(n_agents: int, limit: float) -> TaskSpec:
    budget = Budget("average", 0, HOURS, limit, limit)
    return replace(
        make("paper_seven/ring/average-0.3").spec,
        n_agents=n_agents,
        budgets=(budget,),
        usage_scale=1.0,
        agent_scale=torch.ones(n_agents),
    )


def outcome(usage: torch.Tensor, shortfall: torch.Tensor | None = None) -> Step:
    n_agents = len(usage)
    flag = torch.zeros(1, dtype=torch.bool)
    return Step(
        obs=torch.zeros(1, n_agents, 1),
        reward=torch.zeros(1, n_agents),
        usage=usage[None, :, None],
        shortfall=None if shortfall is None else shortfall[None],
        active=torch.ones(1, 24, 1),
        counted=torch.ones(1, 1),
        measures={},
        terminated=flag,
        truncated=flag,
        alive=torch.ones(1, n_agents, dtype=torch.bool),
    )


def settle(rule: str, topology: str, steps: int = 4_000) -> float:
    """Mean usage over the limit of agents that use demand_i − λ_i, once settled, under a binding budget."""
    demand = torch.tensor([1.0, 1.0, 2.0, 1.0, 1.0, 2.0, 1.0])
    network = Network.build(topology, 7)
    spec = spec_of(7, limit=4.5)
    multipliers = Multipliers(rule, plain(alpha=0.02, beta=0.02, lambda_max=50.0), start(spec, network))
    for _ in range(steps):
        usage = demand - SLOPE * multipliers.lam[0, :, 0]
        multipliers.update(outcome(usage))
    return float((demand - SLOPE * multipliers.lam[0, :, 0]).sum() / 4.5)


@pytest.mark.parametrize(
    ("topology", "ratio"),
    [("ring", 1.0), ("two_groups", 1 + 0.25 / 4.5), ("star", 1 + (5 / 6) / 4.5), ("path", 1 - (1 / 3) / 4.5)],
)
def test_printed_primal_dual_rule_is_biased_on_irregular_graphs(topology: str, ratio: float) -> None:
    # At consensus it enforces Σ deg_i (u_i − c/N) = 0 in place of Σ (u_i − c/N) = 0, so usage/c settles at
    # 1 + (Σ d − N·Σ deg·d/Σ deg)/c.
    assert settle("primal_dual", topology) == pytest.approx(ratio, abs=2e-3)


@pytest.mark.parametrize("topology", ["ring", "two_groups", "star", "path"])
@pytest.mark.parametrize("rule", ["primal_dual_symmetric", "gossip", "broadcast"])
def test_other_rules_meet_the_budget_on_every_graph(rule: str, topology: str) -> None:
    # Gossip keeps the mean of λ, so its bias is of the size of the disagreement between clipped agents: none here.
    assert settle(rule, topology) == pytest.approx(1.0, abs=2e-3)


def test_independent_agents_enforce_their_own_share() -> None:
    assert settle("independent", "ring") == pytest.approx(1.0, abs=1e-3)
    demand = torch.tensor([1.0, 1.0, 2.0, 1.0, 1.0, 2.0, 1.0])
    multipliers = Multipliers("independent", plain(alpha=0.02), start(spec_of(7, 4.5), Network.build("ring", 7)))
    for _ in range(4_000):
        multipliers.update(outcome(demand - multipliers.lam[0, :, 0]))
    assert multipliers.lam[0, :, 0].numpy() == pytest.approx(demand.numpy() - 4.5 / 7, abs=1e-3)


def test_gossip_disagreement_stays_under_its_bound() -> None:
    network, config = Network.build("star", 7), plain(alpha=0.1, rounds=2, lambda_max=1e6)
    multipliers = Multipliers("gossip", config, start(spec_of(7, 3.5), network))
    generator = torch.Generator().manual_seed(0)
    ratios = []
    for _ in range(3_000):
        multipliers.update(outcome(2 * torch.rand(7, generator=generator)))
        lam, bound = multipliers.lam[0, :, 0], multipliers.disagreement_bound()
        assert bound is not None
        ratios.append(float((lam - lam.mean()).square().mean().sqrt() / bound))
    assert 0.1 < max(ratios) <= 1 + 1e-6


def test_local_multiplier_telescopes_to_the_waiting_load() -> None:
    # eq. (15) with a constant step: ν_k = ν_0 − η·Σ s.
    multipliers = Multipliers(
        "independent", plain(eta=0.5, nu_start=-1.0), start(spec_of(3, 1.0), Network.build("path", 3))
    )
    shortfall = torch.tensor([0.3, -0.2, 0.1])
    for _ in range(4):
        multipliers.update(outcome(torch.zeros(3), shortfall))
    assert multipliers.nu[0].numpy() == pytest.approx((-1.0 - 0.5 * 4 * shortfall).numpy())


def test_multipliers_stay_within_their_limits() -> None:
    config = plain(alpha=1.0, eta=1.0, lambda_max=2.0, nu_max=3.0)
    multipliers = Multipliers("gossip", config, start(spec_of(3, 1.0), Network.build("path", 3)))
    for _ in range(50):
        multipliers.update(outcome(torch.full((3,), 5.0), torch.ones(3)))
    assert multipliers.lam.amax() == 2.0
    assert multipliers.nu.amin() == -3.0


def test_only_active_budgets_are_exchanged_on_request() -> None:
    task = make("campus_seven/ring/hourly-0.35")
    network = Network.build("ring", 7)
    first = torch.rand(1, 7, 24, generator=torch.Generator().manual_seed(1))
    step = task.reset(1, torch.Generator(), start=5)
    step = task.step(torch.zeros(1, 7, 2))
    for only, messages in ((False, 14), (True, 14)):
        multipliers = Multipliers("gossip", plain(alpha=0.0, mix_active_only=only), start(task.spec, network))
        multipliers.lam = first.clone()
        network.reset_counters()
        multipliers.update(step)
        moved = (multipliers.lam != first).any(1)[0]
        assert moved.sum() == (1 if only else 24)
        assert moved[5]
        assert network.messages == messages
        assert network.bytes == messages * 4 * (1 if only else 24)


def test_shares_in_proportion_to_own_peak_add_up_to_the_budget() -> None:
    spec = make("paper_seven/ring/average-0.3").spec
    multipliers = Multipliers("independent", plain(share="own_peak"), start(spec, Network.build("ring", 7)))
    share = multipliers._share[:, 0]
    assert float(share.sum()) == pytest.approx(spec.budgets[0].limit / spec.usage_scale, rel=1e-6)
    assert float(share[2] / share[0]) == pytest.approx(2.0)


def test_proportional_part_reacts_to_the_change_alone() -> None:
    config = plain(alpha=0.0, step_rule="pi", proportional=0.5, lambda_start=1.0)
    multipliers = Multipliers("independent", config, start(spec_of(2, 2.0), Network.build("path", 2)))
    multipliers.update(outcome(torch.tensor([2.0, 1.0])))
    assert multipliers.lam[0, :, 0].tolist() == [1.5, 1.0]
    multipliers.update(outcome(torch.tensor([2.0, 1.0])))
    assert multipliers.lam[0, :, 0].tolist() == [1.5, 1.0]


@pytest.mark.parametrize("limit", [2.0, 8.0])
def test_a_step_per_share_means_the_same_whatever_the_budget(limit: float) -> None:
    # Half as much again as the share, in every agent: the step is α/2, however large the share is.
    spec, network = spec_of(4, limit), Network.build("ring", 4)
    by_share = Multipliers("gossip", plain(alpha=0.1, unit="share"), start(spec, network))
    by_load = Multipliers("gossip", plain(alpha=0.1), start(spec, network))
    for multipliers in (by_share, by_load):
        multipliers.update(outcome(torch.full((4,), 1.5 * limit / 4)))
    assert by_share.lam.flatten().tolist() == pytest.approx([0.05] * 4)
    assert by_load.lam.flatten().tolist() == pytest.approx([0.05 * limit / 4] * 4)


@pytest.mark.parametrize("mixing", ["balanced", "clipped", "event", "tracking", "chebyshev"])
def test_agents_that_agree_in_other_ways_enforce_the_budget_too(mixing: str) -> None:
    demand = torch.tensor([1.0, 1.0, 2.0, 1.0, 1.0, 2.0, 1.0])
    config = plain(alpha=0.02, mixing=mixing, rounds=3 if mixing == "chebyshev" else 1, threshold=0.005)
    multipliers = Multipliers("gossip", config, start(spec_of(7, 4.5), Network.build("two_groups", 7)))
    for _ in range(6_000):
        multipliers.update(outcome(demand - multipliers.lam[0, :, 0]))
    lam, ledger = multipliers.lam[0, :, 0], multipliers.ledger()
    assert float((demand - lam).sum()) == pytest.approx(4.5, abs=0.01)
    assert ledger is not None
    assert abs(float(ledger.talk)) < 1e-3 * float(ledger.level)
    assert float(lam.std()) < (0.005 if mixing == "tracking" else 0.2)


def test_tracking_brings_agents_closer_than_gossip() -> None:
    demand, apart = torch.tensor([1.0, 1.0, 2.0, 1.0, 1.0, 2.0, 1.0]), {}
    for mixing in ("plain", "tracking"):
        config = plain(alpha=0.02, mixing=mixing)
        multipliers = Multipliers("gossip", config, start(spec_of(7, 4.5), Network.build("two_groups", 7)))
        for _ in range(3_000):
            multipliers.update(outcome(demand - multipliers.lam[0, :, 0]))
        apart[mixing] = float(multipliers.lam.std())
    assert apart["tracking"] < 0.05 * apart["plain"]


@pytest.mark.parametrize(
    "settings", [{"mixing": "event", "rounds": 2}, {"mixing": "tracking", "mix_active_only": True}]
)
def test_ways_to_agree_that_have_no_meaning_together_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=f"dual.mixing: '{settings['mixing']}'"):
        Multipliers("gossip", plain(**settings), start(spec_of(3, 1.0), Network.build("path", 3)))
