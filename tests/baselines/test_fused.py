"""Fused execution against the task, the policy and the multipliers that it fuses."""

import pytest
import torch

from baselines.consensus import ConsensusController
from baselines.fused import CHUNK, FusedConsensus
from baselines.registry import make_method
from envs.catalogue import resolve_district
from envs.errors import UsageError

START, HOURS = 1000, 30
SETTINGS = {"ppo": {"hidden": (16, 16)}}
COMPARED = (("waiting_load", "waiting"), ("soc", "stored"), ("import_kwh", "imported"))


def untrained(address: str, **settings: object) -> ConsensusController:
    """With a last layer of ordinary size, so that actions differ between agents."""
    task = resolve_district(address).task()
    generator = torch.Generator().manual_seed(0)
    controller = make_method("consensus-gossip", SETTINGS | settings).build(task, generator)
    assert isinstance(controller, ConsensusController)
    torch.nn.init.orthogonal_(controller.models[0].actor.body.layers[-1].weight, 1.0, generator=generator)
    return controller


def fused(address: str, controller: ConsensusController, chunk: int = CHUNK, threads: int = 1) -> FusedConsensus:
    scenario = resolve_district(address)
    task, network, dual = scenario.task(), scenario.network(), controller.config.dual
    rollout = FusedConsensus(task, network, controller.models[0].actor, dual, chunk=chunk, threads=threads)
    rollout.reset(START)
    return rollout


@pytest.mark.parametrize(
    "address",
    [
        "paper_seven/two_groups/average-0.27",
        "homes_17/ring/hourly-0.27",
        "homes_17/star/window-17_21-0.3",
        "synthetic_100/regular-4/average-0.3",
        "synthetic_100/regular-4/hourly-0.35",
    ],
)
@torch.inference_mode()
def test_equals_the_task_the_policy_and_the_multipliers(address: str) -> None:
    controller, scenario = untrained(address), resolve_district(address)
    task, network = scenario.task(), scenario.network()
    rollout = fused(address, controller, chunk=48)
    controller.reset(task.spec, network, 1, torch.Generator())
    step = task.reset(1, torch.Generator(), start=START, horizon=HOURS)
    for _ in range(HOURS):
        step = task.step(controller.act(step))
        controller.feedback(step)
        rollout.step()
        # What rounding differs by grows from hour to hour where a policy is steep: each hour begins alike.
        for measure, name in COMPARED:
            torch.testing.assert_close(getattr(rollout.state, name), step.measures[measure][0], rtol=1e-4, atol=1e-3)
        torch.testing.assert_close(rollout.state.lam, controller.multipliers.lam[0], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(rollout.state.nu, controller.multipliers.nu[0], rtol=1e-4, atol=1e-4)
        rollout.state.waiting.copy_(step.measures["waiting_load"][0])
        rollout.state.stored.copy_(step.measures["soc"][0])
        rollout.state.lam.copy_(controller.multipliers.lam[0])
        rollout.state.nu.copy_(controller.multipliers.nu[0])
    assert rollout.state.waiting.std() > 0


@torch.inference_mode()
def test_chunks_and_threads_change_nothing() -> None:
    address = "synthetic_100/regular-4/average-0.3"
    controller = untrained(address)
    rollouts = [fused(address, controller, chunk, threads) for chunk, threads in ((100, 1), (32, 1), (32, 2))]
    for rollout in rollouts:
        for _ in range(3):
            rollout.step()
    for other in rollouts[1:]:
        torch.testing.assert_close(other.state.lam, rollouts[0].state.lam)
        torch.testing.assert_close(other.state.waiting, rollouts[0].state.waiting)


def test_a_million_agents_keep_less_than_half_a_kibibyte_each() -> None:
    for budget, most in (("average-0.3", 80), ("hourly-0.35", 180)):
        address = f"synthetic_100/regular-4/{budget}"
        assert fused(address, untrained(address)).state.bytes_per_agent <= most


@pytest.mark.parametrize(
    ("address", "settings", "message"),
    [
        ("homes_17/ring/feeder-0.3", {}, "budgets of some of the agents"),
        ("homes_17/ring/average-0.3", {"dual": {"mixing": "chebyshev"}}, "multipliers other than plain gossip's"),
        ("homes_17/ring/average-0.3", {"dual": {"step_rule": "pi"}}, "other than constant ones"),
    ],
)
def test_what_is_not_fused_says_so(address: str, settings: dict, message: str) -> None:
    with pytest.raises(UsageError, match=f"homes_17: .*{message}.* cannot be rolled out in chunks"):
        fused(address, untrained(address, **settings))
