"""DrIGM-QMIX: without doubt it is QMIX, unshaped a shorter discount, and its returns have a known fixed point."""

from typing import Any

import pytest
import torch
from helpers.training import train

from accord.baselines import make_method
from accord.baselines.learners.robust_value_decomposition import RobustValueConfig
from accord.baselines.testing import differences
from accord.baselines.training.environment import Shapes
from accord.baselines.training.q_learning import TeamValue, _Learner
from accord.envs.errors import UsageError
from accord.envs.task import Discrete

HOURLY, GAME = "campus_seven/ring/hourly-0.35", "games/two_step"
SMALL = {"lanes": 14, "hidden": [8], "mixer_width": 4, "hyper_width": 8, "batch": 2, "updates": 2, "target_update": 3}


def trained(name: str, address: str = HOURLY, steps: int = 8_000, **settings: Any) -> dict[str, Any]:
    return train(name, address, {**SMALL, **settings}, steps)[0].state_dict()


def test_without_doubt_it_is_qmix_bit_for_bit() -> None:
    qmix, sure = trained("qmix-lagrangian"), trained("drigm_qmix-lagrangian", rho=0.0)
    assert differences(qmix, sure) == []
    assert differences(qmix, trained("drigm_qmix-lagrangian", rho=0.3)) != []


def test_where_rewards_are_as_they_are_doubt_shortens_the_discount() -> None:
    robust = trained("drigm_qmix", GAME, 400, gamma=0.96, rho=0.25)
    assert differences(robust, trained("qmix", GAME, 400, gamma=0.96 * 0.75)) == []


def test_where_they_are_shaped_it_does_not() -> None:
    """Only what is bootstrapped is doubted: waiting load keeps its worth, at the discount of the settings."""
    robust = trained("drigm_qmix-penalty", steps=1_000, gamma=0.96, rho=0.25)
    assert differences(robust, trained("qmix-penalty", steps=1_000, gamma=0.96 * 0.75)) != []
    plain = trained("drigm_qmix-penalty", steps=1_000, gamma=0.96, rho=0.25, shaping=False)
    assert differences(plain, trained("qmix-penalty", steps=1_000, gamma=0.96 * 0.75, shaping=False)) == []


@pytest.mark.parametrize(("rho", "td_lambda"), [(0.25, 0.0), (0.25, 1.0), (0.1, 0.5)])
def test_values_of_a_contaminated_task_are_those_of_its_fixed_point(rho: float, td_lambda: float) -> None:
    """A reward of 1 for ever is worth 1 / (1 - γ(1 - ρ)) if nature may end it all at each step."""
    config = RobustValueConfig(rho=rho, gamma=0.9, td_lambda=td_lambda, mixer="sum", normalise=False, hidden=(8,))
    generator = torch.Generator().manual_seed(0)
    learner = _Learner(TeamValue(Shapes(1, 1, Discrete(2)), 1, config, generator), config)
    worth = 1 / (1 - 0.9 * (1 - rho))
    layer = learner._target.agent.body.layers[-1]
    with torch.no_grad():
        layer.weight.zero_()  # type: ignore[union-attr]
        layer.bias.fill_(worth)  # type: ignore[union-attr]
    batch = {
        "obs": torch.ones(6, 1, 1, 1),
        "state": torch.zeros(6, 1, 1),
        "reward": torch.ones(5, 1, 1),
        "ended": torch.zeros(5, 1, 1, dtype=torch.bool),
    }
    got, _ = learner._returns(batch, torch.zeros(6, 1, 1, 2), None)
    torch.testing.assert_close(got, torch.full_like(got, worth))


def test_settings_say_what_is_allowed_and_decide_on_the_training() -> None:
    for rho in (-0.1, 1.0):
        with pytest.raises(UsageError, match=rf"'drigm_qmix': key 'rho': input should be .*, got {rho}"):
            make_method("drigm_qmix", {"rho": rho})
    keys = [make_method("drigm_qmix", {"rho": rho}).config.training_key() for rho in (0.1, 0.2)]
    assert keys[0] != keys[1]
    assert "rho" not in make_method("qmix").config.training_key()


def test_a_task_without_budgets_hears_the_name_that_was_asked_for() -> None:
    with pytest.raises(UsageError, match=r"method drigm_qmix-lagrangian: .* has no budgets"):
        trained("drigm_qmix-lagrangian", GAME, 100)
