"""Plans as value functions: their derivatives, what Q and V have to do with each other, and sums over buildings."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from accord.baselines.control.demand_q import DemandQConfig, TrainingEpisode
from accord.baselines.control.mpc import HELD_SHARE, MpcConfig, own_program
from accord.baselines.control.plan_learning import Array
from accord.baselines.control.plan_values import ALLOWED, PlanValues
from accord.envs.demand_response.scenario import resolve_district
from accord.envs.optimum.sparse_program import BLOCKS, GRID

TIGHT = "campus_seven/two_groups/hourly-0.3"
FEEDER = "campus_seven/two_groups/feeder-0.4"


def beginning(seed: int, address: str = TIGHT, **settings: float) -> tuple[PlanValues, TrainingEpisode]:
    """Values of a district whose budgets bind, and an episode."""
    task = resolve_district(address).task()
    config = DemandQConfig.model_validate({"horizon": 24, "batch": 24} | settings)
    episode = TrainingEpisode(task, config, torch.Generator().manual_seed(seed))
    return PlanValues(config, task.district, task.spec), episode


def none(count: int) -> Array:
    return np.zeros(count)


@pytest.mark.parametrize("given", [False, True])
def test_derivatives_are_those_of_finite_differences(given: bool) -> None:
    values, episode = beginning(1)
    for _ in range(3):
        episode.step(values.best(episode.state), none)
    state = episode.state
    action = 0.9 * values.best(state).action if given else None
    start, gradient, step = values.vector, values.best(state, action).gradient, 1e-5
    assert (gradient != 0).sum() > 14  # budgets bind

    def at(k: int, by: float) -> float:
        vector = start.copy()
        vector[k] += by
        # Aims may not exceed one in learning; derivatives there are of the programme itself.
        fields, ends = list(ALLOWED), np.cumsum([7, 7])
        parts = dict(zip(fields, np.split(vector, ends), strict=True))
        values.parameters = replace(values.parameters, **parts)
        return values.best(state, action).value

    here = at(0, 0.0)
    for k in range(len(start)):
        sides = (here - at(k, -step)) / step, (at(k, step) - here) / step
        # A linear programme has kinks: there a derivative lies between those of both sides.
        assert min(sides) - 1e-3 <= gradient[k] <= max(sides) + 1e-3


def test_q_of_the_plans_own_action_is_v_and_of_any_other_no_less() -> None:
    values, episode = beginning(2)
    best = values.best(episode.state)
    assert values.best(episode.state, best.action).value == pytest.approx(best.value, rel=1e-5)
    for share in (0.0, 0.5, 0.8):
        assert values.best(episode.state, share * best.action).value >= best.value - 1e-6 * abs(best.value)


def test_at_the_budgets_prices_the_value_is_a_sum_over_buildings() -> None:
    values, episode = beginning(3)
    state, task = episode._now, episode._task
    best = values.best(state.vector)
    assert best.prices.max() > 0.05
    members = task.spec.members.double().expand(task.spec.n_agents, -1).numpy()
    total = 0.0
    for i in range(task.spec.n_agents):
        held = (float(state.later[i]), HELD_SHARE * float(state.later[i]))
        now = float(state.waiting[i]), float(state.stored[i])
        own = own_program(task.district, i, state.coming.of(i), values._config.gamma, held, *now)
        cost = own.cost.reshape(BLOCKS, -1).copy()
        cost[GRID] += (members[i] * best.prices) @ state.active
        total += replace(own, cost=cost.ravel()).solve()[0]
    room = state.account + task.spec.limits.double().numpy() * state.active.sum(1)
    assert total - float(best.prices @ room) == pytest.approx(best.value, rel=1e-8)


def test_load_that_waits_after_the_plan_costs_the_prices_of_the_budgets_that_count_it() -> None:
    _, episode = beginning(6, FEEDER)
    task = episode._task
    plain = episode._now.later
    episode._prices = np.array([0.0, 5.0, 0.0])
    episode._see(task.step(torch.ones(1, task.spec.n_agents, 2)))
    outside = task.spec.members.double().expand(task.spec.n_agents, -1)[:, 1].numpy() == 0
    assert 0 < outside.sum() < len(outside)
    assert (episode._now.later[outside] <= plain[outside].max() + 1e-9).all()
    assert (episode._now.later[~outside] >= 5).all()


def test_where_forecasts_are_true_there_is_no_temporal_difference() -> None:
    """Also for actions that are not the plan's; only what was expected wrongly is an error."""
    values, episode = beginning(4, carry=1e6)
    episode._expect = MpcConfig(forecast="perfect", horizon=24)
    episode._see(episode._task.reset(1, torch.Generator().manual_seed(4), start=2000, horizon=24))
    noise = np.random.default_rng(0)
    for _ in range(6):
        state = episode.state
        action, cost, following = episode.step(values.best(state), lambda count: 0.1 * noise.standard_normal(count))
        q, v = values.best(state, action).value, values.best(following).value
        # Costs of a plan are discounted by hours from its own beginning.
        assert cost + values.discount * v == pytest.approx(q, rel=1e-4)


def test_plans_aim_at_the_configured_share_of_the_budgets_and_at_what_was_learned_of_it() -> None:
    whole, episode = beginning(5)
    configured, _ = beginning(5, aim=0.9)
    learned, _ = beginning(5)
    learned.parameters = replace(learned.parameters, aim=0.9 * learned.parameters.aim)
    at, configured_at, learned_at = (values.best(episode.state).value for values in (whole, configured, learned))
    assert configured_at == pytest.approx(learned_at, rel=1e-9)
    assert configured_at > at * (1 + 1e-4)


def test_where_delay_is_free_later_hours_cost_more_in_learning_as_in_plans() -> None:
    task = resolve_district("paper_seven/two_groups/average-0.27").task()
    config = DemandQConfig.model_validate({"horizon": 24, "batch": 24, "gamma": 0.99})
    assert PlanValues(config, task.district, task.spec).discount == pytest.approx(1 / 0.99)
    assert beginning(0, gamma=0.99)[0].discount == pytest.approx(0.99)
