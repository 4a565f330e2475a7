"""Q-learning of plans of demand response: it stays in its ranges, goes on after a stop, and begins as plain plans."""

import numpy as np
import pytest
import torch

from accord.baselines.base import Effort, Training
from accord.baselines.control.demand_q import Learned
from accord.baselines.control.plan_values import ALLOWED
from accord.baselines.registry import make_method
from accord.baselines.rollout import begin, roll_out
from accord.envs.catalogue import resolve
from accord.envs.demand_response.scenario import resolve_district
from accord.envs.errors import UsageError

from .test_dmpc_q import Kept

SMALL = "synthetic_3-week/ring/hourly-0.3"
SHORT = {"horizon": 24, "batch": 6}


def trained(hours: int, kept: Kept | None = None) -> Learned:
    scenario, generator = resolve_district(SMALL), torch.Generator().manual_seed(0)
    training = Training(Effort(3 * hours, 3_600.0), generator, checkpoint=kept or Kept())
    controller = make_method("dmpc_q-demand_response", SHORT).train(scenario.task(), scenario.network(), training)
    assert isinstance(controller, Learned)
    return controller


def test_what_is_learned_stays_within_its_range_and_a_stopped_training_goes_on_bit_for_bit() -> None:
    whole, kept = trained(24), Kept()
    trained(12, kept)
    resumed = trained(24, kept)
    assert torch.equal(whole.state_dict()["parameters"], resumed.state_dict()["parameters"])
    learned = whole.learned
    assert (learned.vector != 1.0).any()
    for name, (low, high) in ALLOWED.items():
        part = getattr(learned, name)
        assert ((part >= low) & (part <= high)).all()


def imported(controller: Learned, hours: int = 10) -> np.ndarray:
    scenario, generator = resolve_district(SMALL), torch.Generator().manual_seed(0)
    task, network = scenario.task(), scenario.network()
    begin(task, controller, network, 1, generator)
    first = task.reset(1, generator, start=100, horizon=hours)
    return np.stack([step.usage.numpy() for step in roll_out(task, controller, network, first, hours)])


def test_before_learning_it_does_what_distributed_mpc_does_and_afterwards_not() -> None:
    task = resolve_district(SMALL).task()
    plain = make_method("distributed_mpc", {"horizon": 24, "gamma": 0.999}).build(task, torch.Generator())
    learned = make_method("dmpc_q-demand_response", SHORT).build(task, torch.Generator())
    assert isinstance(learned, Learned)
    before = imported(learned)
    assert np.array_equal(before, imported(plain))
    learned.load_state_dict({"parameters": 0.9 * torch.ones(learned.parameters)})
    assert not np.array_equal(before, imported(learned))


def test_how_neighbours_negotiate_asks_for_no_other_training() -> None:
    first, second = (make_method("dmpc_q-demand_response", {"rounds": n, "rho": 0.02 * n}) for n in (1, 2))
    assert first.config.training_key() == second.config.training_key()
    other = make_method("dmpc_q-demand_response", {"carry": 3.0})
    assert other.config.training_key() != first.config.training_key()


def test_it_is_for_demand_response_alone() -> None:
    with pytest.raises(UsageError, match="is not demand response"):
        make_method("dmpc_q-demand_response").build(resolve("games/climbing").task(), torch.Generator())
