"""Controllers of learners on the whole task: mixtures of late policies, multipliers that move in execution."""

from typing import Any

import pytest
import torch
from torch import Tensor

from accord.baselines.base import Controller, RolloutStart
from accord.baselines.multipliers.held import ConstraintConfig, HeldMultipliers
from accord.baselines.registry import make_method
from accord.baselines.training.actors import make_actor
from accord.baselines.training.policy import HOURS, MIXTURE, Policy, PolicyController
from accord.envs import make
from accord.envs.errors import UsageError
from accord.envs.network import Network
from accord.envs.task import Box

ADDRESS = "paper_seven/ring/average-0.27"


def unchanged(action: Tensor) -> Tensor:
    return action


def mixed(count: int) -> PolicyController:
    """A controller whose last policy says -1 and whose kept ones say 0, 1, 2, ..."""
    task = make(ADDRESS)
    actor = make_actor(Box(2), task.spec.obs_dim + 4, (4,), torch.Generator().manual_seed(0), log_std=0.0)
    held = HeldMultipliers(task.spec, "lagrangian", ConstraintConfig(), own=False)
    controller = PolicyController(Policy(actor, held), unchanged, sees_multipliers=True, iterate="mixture")
    for k in [*range(count), -1]:
        with torch.no_grad():
            actor.body.layers[-1].weight.zero_()
            actor.body.layers[-1].bias.fill_(float(k))
            held.lam.fill_(float(abs(k)))
        if k >= 0:
            controller.keep(0.5 + 0.5 * (k + 1) / MIXTURE)
    assert len(controller.mixture) == count
    return controller


def said(controller: Controller, hours: int) -> list[float]:
    """What a controller does, hour by hour."""
    task = make(ADDRESS)
    generator = torch.Generator()
    with torch.no_grad():
        controller.reset(RolloutStart(task.spec, Network.build("ring", 7), 1, generator))
        step, actions = task.reset(1, generator, start=0, horizon=hours), []
        for _ in range(hours):
            actions.append(controller.act(step))
            step = task.step(actions[-1])
            controller.feedback(step)
    assert all(action.unique().numel() == 1 for action in actions)
    return [float(action[0, 0, 0]) for action in actions]


def test_policies_of_a_mixture_take_turns_a_day_each() -> None:
    hours = 2 * MIXTURE * HOURS
    assert said(mixed(MIXTURE), hours) == [float(t // HOURS % MIXTURE) for t in range(hours)]


def test_every_policy_of_a_mixture_meets_every_day_of_the_week() -> None:
    assert {(day % MIXTURE, day % 7) for day in range(7 * MIXTURE)} == {
        (k, d) for k in range(MIXTURE) for d in range(7)
    }


def test_without_a_mixture_the_last_policy_acts() -> None:
    assert set(said(mixed(0), 30)) == {-1.0}
    assert set(said(mixed(MIXTURE).greedy(), 30)) == {-1.0}


def test_a_mixture_survives_saving() -> None:
    controller, fresh = mixed(3), mixed(0)
    fresh.load_state_dict(controller.state_dict())
    assert said(fresh, 100) == said(controller, 100)
    assert [float(policy.held.lam) for policy in fresh.mixture] == [0.0, 1.0, 2.0]  # type: ignore[union-attr,arg-type]
    assert float(fresh.last.held.lam) == 1.0  # type: ignore[union-attr]


@pytest.mark.parametrize("updates", [8, 10, 40, 1000])
def test_policies_are_kept_at_even_shares_of_the_second_half(updates: int) -> None:
    controller, kept = mixed(0), []
    for done in range(1, updates + 1):
        before = len(controller.mixture)
        controller.keep(done / updates)
        kept += [done / updates] * (len(controller.mixture) - before)
    assert len(kept) == MIXTURE
    for number, fraction in enumerate(kept, 1):
        due = 0.5 + 0.5 * number / MIXTURE
        assert due - 1e-9 <= fraction < due + 1 / updates


@pytest.mark.parametrize(
    ("method", "settings"),
    [("vdn", {"hidden": (8,)}), ("vdn", {"hidden": (8,), "recurrent": True}), ("mappo", {"ppo": {"hidden": (8,)}})],
)
def test_a_share_of_the_actions_is_drawn_in_execution(method: str, settings: dict[str, Any]) -> None:
    """All of one's actions are random, or drawn from what is nearly uniform before training: nobody always says one."""
    task = make("games/climbing")

    def acted(**others: Any) -> Tensor:
        controller = make_method(method, settings | others).build(task, torch.Generator().manual_seed(0))
        with torch.no_grad():
            generator = torch.Generator().manual_seed(1)
            controller.reset(RolloutStart(task.spec, Network.build("path", 2), 3000, generator))
            return controller.act(task.reset(3000, torch.Generator())).squeeze(-1)  # [3000, 2]

    best = acted()
    assert (best == best[0]).all()
    for share in (0.3, 1.0) if method == "vdn" else (1.0,):
        given = acted(evaluation_epsilon=share) if method == "vdn" else acted(actions="sampled")
        assert given.unique().tolist() == [0, 1, 2]
        # Two thirds of the random ones are not the best.
        assert float((given != best).float().mean()) == pytest.approx(share * 2 / 3, abs=0.03)


def test_a_central_price_is_one_for_all_and_follows_the_mean() -> None:
    task = make("campus_seven/ring/hourly-0.35")
    spec, generator = task.spec, torch.Generator().manual_seed(0)
    dual = {"alpha": 0.7, "unit": "base_load", "tighten": 0.0, "lambda_max": 0.3, "lambda_start": 0.05}
    controller = make_method("mappo-augmented", {"constraints": {"dual": dual}}).build(task, generator)
    controller.reset(RolloutStart(spec, Network.build("ring", 7), 2, generator))
    expected = torch.full((2, 24), 0.05)
    step = task.reset(2, generator, start=0, horizon=72)
    seen: list[float] = []
    for _ in range(72):
        step = task.step(torch.rand(2, 7, 2, generator=generator))
        controller.feedback(step)
        excess = step.counted * (step.usage.sum(1) - spec.limits) / 7 / spec.usage_scale
        expected = (expected + 0.7 * excess).clamp(0.0, 0.3)
        lam = controller.diagnostics()["multipliers"]
        torch.testing.assert_close(lam, expected[:, None].expand(2, 7, 24))
        seen += [float(expected.min()), float(expected.max())]
    assert [min(seen), max(seen)] == pytest.approx([0.0, 0.3])
    assert not controller.decentralised


def test_independent_prices_are_the_agents_own() -> None:
    task, generator = make(ADDRESS), torch.Generator().manual_seed(0)
    settings = {"constraints": {"dual": {"lambda_start": 1.0, "alpha": 0.15, "unit": "base_load"}}}
    controller = make_method("ippo-augmented", settings).build(task, generator)
    controller.reset(RolloutStart(task.spec, Network.build("ring", 7), 1, generator))
    task.reset(1, generator, start=0)
    for _ in range(24):
        controller.feedback(task.step(torch.ones(1, 7, 2)))
    lam = controller.diagnostics()["multipliers"][0, :, 0]
    assert lam.unique().numel() > 1
    assert controller.decentralised


def test_learned_prices_that_move_start_where_training_left_them() -> None:
    task, generator, network = make(ADDRESS), torch.Generator().manual_seed(0), Network.build("ring", 7)
    spec = task.spec
    dual = {"alpha": 0.5, "unit": "base_load", "tighten": 0.0, "eta": 0.1}
    settings = {"constraints": {"dual": dual, "price": 0.7, "nu": -1.5}}
    controller = make_method("mappo-moving-gossip", settings).build(task, generator)
    controller.reset(RolloutStart(spec, network, 1, generator))
    task.reset(1, generator, start=0)
    step = task.step(torch.rand(1, 7, 2, generator=generator))
    controller.feedback(step)
    found = controller.diagnostics()
    excess = (step.usage - spec.limits / 7) / spec.usage_scale
    torch.testing.assert_close(found["multipliers"], network.mix(0.7 + 0.5 * excess))
    shortfall = step.shortfall
    assert shortfall is not None
    torch.testing.assert_close(found["local_multipliers"], -1.5 - 0.1 * shortfall / spec.usage_scale)
    assert found["multipliers"].std() > 0


def test_what_a_training_measures_does_not_move_in_execution() -> None:
    """The dual ascent probes the policy at the multipliers that it learns."""
    task, generator = make(ADDRESS), torch.Generator().manual_seed(0)
    controller = make_method("mappo-moving-central").build(task, generator)
    assert isinstance(controller, PolicyController)
    assert controller.greedy().multiplier_limit() is None
    assert controller.multiplier_limit() is not None


@pytest.mark.parametrize("algorithm", ["mappo", "ippo", "qmix", "vdn", "iql"])
@pytest.mark.parametrize("rule", ["central", "gossip", "primal_dual", "independent"])
def test_moving_and_held_multipliers_are_one_training(algorithm: str, rule: str) -> None:
    held, moving = (make_method(f"{algorithm}-{word}", tuned=False) for word in ("lagrangian", f"moving-{rule}"))
    assert held.config.training_key() == moving.config.training_key()


def test_only_learned_multipliers_can_go_on_moving() -> None:
    with pytest.raises(
        UsageError, match=r"^method 'mappo-penalty': `moving` goes with handling lagrangian, not with penalty$"
    ):
        make_method("mappo-penalty", {"moving": "gossip"})
