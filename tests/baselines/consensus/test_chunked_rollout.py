"""Fused execution against the task, the policy and the multipliers that it fuses."""

import pytest
import torch

from accord.baselines.base import RolloutStart
from accord.baselines.consensus.chunked_rollout import CHUNK, FusedConsensus, NotFusedError
from accord.baselines.consensus.controller import ConsensusController
from accord.baselines.registry import make_method
from accord.envs.catalogue import resolve_district

START, HOURS = 1000, 30
SEAM = 5080  # hour 5087 has another weekday than the 23 before it
SETTINGS = {"ppo": {"hidden": (16, 16)}, "dual": {"share": "equal"}}
COMPARED = (("waiting_load", "waiting"), ("soc", "stored"), ("import_kwh", "imported"))


def untrained(address: str, rule: str = "gossip", **settings: object) -> ConsensusController:
    """With a last layer of ordinary size, so that actions differ between agents."""
    task = resolve_district(address).task()
    generator = torch.Generator().manual_seed(0)
    controller = make_method(f"consensus-{rule}", SETTINGS | settings).build(task, generator)
    assert isinstance(controller, ConsensusController)
    torch.nn.init.orthogonal_(controller.actors[0].body.layers[-1].weight, 1.0, generator=generator)
    return controller


def fused(address: str, controller: ConsensusController, chunk: int = CHUNK, start: int = START) -> FusedConsensus:
    scenario = resolve_district(address)
    task, network, config = scenario.task(), scenario.network(), controller.config
    actor = controller.actors[0]
    rollout = FusedConsensus(task, network, actor, config.dual, config.rule, chunk=chunk)
    rollout.reset(start)
    return rollout


@pytest.mark.parametrize(
    ("address", "rule", "start"),
    [
        ("paper_seven/two_groups/average-0.27", "gossip", START),
        ("homes_17/ring/hourly-0.27", "gossip", START),
        ("homes_17/ring/hourly-0.27", "broadcast", START),
        ("homes_17/star/window-17_21-0.3", "gossip", START),
        ("synthetic_100/regular-4/average-0.3", "gossip", START),
        ("synthetic_100/regular-4/average-0.3", "independent", START),
        ("synthetic_100/regular-4/hourly-0.35", "gossip", START),
        ("homes_17/ring/hourly-0.27", "gossip", SEAM),
    ],
)
@torch.inference_mode()
def test_equals_the_task_the_policy_and_the_multipliers(address: str, rule: str, start: int) -> None:
    controller, scenario = untrained(address, rule), resolve_district(address)
    task, network = scenario.task(), scenario.network()
    rollout = fused(address, controller, chunk=48, start=start)
    controller.reset(RolloutStart(task.spec, network, 1, torch.Generator()))
    step = task.reset(1, torch.Generator(), start=start, horizon=HOURS)
    for _ in range(HOURS):
        step = task.step(controller.act(step))
        controller.feedback(step)
        rollout.step()
        # What rounding differs by grows from hour to hour where a policy is steep: each hour begins alike.
        for measure, name in COMPARED:
            torch.testing.assert_close(getattr(rollout.state, name), step.measures[measure][0], rtol=1e-4, atol=1e-3)
        torch.testing.assert_close(rollout.state.lam, controller.multipliers.lam[0], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(rollout.state.nu, controller.multipliers.nu[0], rtol=1e-4, atol=1e-4)
        outcome = rollout.outcome()
        for name in ("import_kwh", "waiting_load", "demand", "price", "carbon"):
            if name in step.measures:
                torch.testing.assert_close(outcome.measures[name], step.measures[name], rtol=1e-4, atol=1e-3)
        torch.testing.assert_close(outcome.reward, step.reward, rtol=1e-4, atol=1e-3)
        torch.testing.assert_close(outcome.counted, step.counted)
        rollout.state.waiting.copy_(step.measures["waiting_load"][0])
        rollout.state.stored.copy_(step.measures["soc"][0])
        rollout.state.lam.copy_(controller.multipliers.lam[0])
        rollout.state.nu.copy_(controller.multipliers.nu[0])
    assert rollout.state.waiting.std() > 0


@pytest.mark.parametrize("address", ["homes_17/ring/average-0.2", "synthetic_100/regular-4/hourly-0.3"])
@torch.inference_mode()
def test_what_moves_multipliers_and_bounds_them_is_the_same(address: str) -> None:
    dual = {"alpha": 0.5, "unit": "share", "lambda_start": 0.1, "lambda_max": 0.2}
    controller, scenario = untrained(address, dual=dual), resolve_district(address)
    task = scenario.task()
    rollout = fused(address, controller, chunk=48)
    controller.reset(RolloutStart(task.spec, scenario.network(), 1, torch.Generator()))
    step = task.reset(1, torch.Generator(), start=START, horizon=HOURS)
    for _ in range(HOURS):
        step = task.step(controller.act(step))
        controller.feedback(step)
        rollout.step()
    ledger, same = controller.ledger(), rollout.ledger()
    assert ledger is not None
    assert same is not None
    assert ledger.cut.max() > 0.1
    for term in ("level", "cut", "lifted", "talk"):
        torch.testing.assert_close(getattr(same, term), getattr(ledger, term), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(rollout.disagreement_bound(), controller.disagreement_bound(), rtol=1e-3, atol=1e-5)


@torch.inference_mode()
def test_chunks_change_nothing() -> None:
    address = "synthetic_100/regular-4/average-0.3"
    controller = untrained(address)
    rollouts = [fused(address, controller, chunk) for chunk in (100, 32)]
    for rollout in rollouts:
        for _ in range(3):
            rollout.step()
    one, other = (rollout.state for rollout in rollouts)
    assert torch.equal(other.lam, one.lam)
    assert torch.equal(other.waiting, one.waiting)


def test_a_million_agents_keep_less_than_half_a_kibibyte_each() -> None:
    for budget, most in (("average-0.3", 80), ("hourly-0.35", 180)):
        address = f"synthetic_100/regular-4/{budget}"
        assert fused(address, untrained(address)).state.bytes_per_agent <= most


@pytest.mark.parametrize(
    ("address", "settings", "message"),
    [
        ("homes_17/ring/feeder-0.3", {}, "budgets of some of the agents"),
        ("homes_17/ring/average-0.3", {"dual": {"mixing": "chebyshev"}}, "rounds other than plain ones"),
        ("homes_17/ring/average-0.3", {"rule": "primal_dual"}, "rules other than gossip, broadcast, independent"),
        ("homes_17/ring/average-0.3", {"dual": {"step_rule": "pi"}}, "other than constant ones"),
    ],
)
def test_what_is_not_fused_says_so(address: str, settings: dict, message: str) -> None:
    with pytest.raises(NotFusedError, match=f"homes_17: .*{message}.* cannot be rolled out in chunks"):
        fused(address, untrained(address, **settings))


@torch.inference_mode()
def test_energy_is_conserved() -> None:
    address, sample = "synthetic_5000/regular-4/average-0.3", torch.arange(0, 5000, 20)
    rollout, district = fused(address, untrained(address), chunk=2048), resolve_district(address).district.take(sample)
    hours = 7 * 24
    demand, solar = district.demand(START, hours), district.solar(START, hours)  # float64
    efficiency, power, capacity = district.efficiency, district.battery_kw, district.battery_kwh
    waiting, stored = torch.zeros(2, len(sample), dtype=torch.float64)
    served = torch.zeros_like(waiting)
    for t in range(hours):
        rollout.step()
        imported, waits, stores = (
            getattr(rollout.state, name)[sample].double() for name in ("imported", "waiting", "stored")
        )
        battery = waiting + demand[:, t] - imported - waits  # what came and was not bought or left waiting
        charged = torch.minimum(torch.minimum(efficiency * solar[:, t], power), capacity - stored)
        torch.testing.assert_close(stored + charged - battery / efficiency, stores, rtol=0, atol=1e-4)
        waiting, stored, served = waits, stores, served + battery
    assert served.sum() > 100  # kWh
