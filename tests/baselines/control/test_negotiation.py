"""Prices that agents find among themselves: bounds, sums of values, rounds, and what does not converge."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import linprog

from accord.baselines.control.coupled_mpc import MODEL, CoupledMpc, Parameters
from accord.baselines.control.negotiation import Negotiation
from accord.envs.toy.coupled_linear import BOUNDS, COUPLINGS

from .test_coupled_mpc import perturbed, states

GAP = 1e-3  # of the value


@pytest.mark.parametrize("given", [False, True])
def test_values_and_sensitivities_are_sums_over_agents_at_the_central_prices(given: bool) -> None:
    parameters = perturbed()
    central, agents = CoupledMpc(parameters), Negotiation(parameters)
    for state in states(3):
        action = np.array([0.3, -0.2, 0.1]) if given else None
        whole = central.value(state) if action is None else central.action_value(state, action)
        parts = agents.at(2 * agents.weights * whole.couplings, state, action)
        assert parts.value == pytest.approx(whole.value, rel=1e-8)
        assert np.allclose(parts.gradient(0.9), whole.gradient(0.9), rtol=1e-4, atol=1e-2)


def test_without_the_terms_of_the_slack_the_sum_is_far_from_the_value() -> None:
    central, agents = CoupledMpc(Parameters.unlearned()), Negotiation(Parameters.unlearned())
    state = states(1)[0]
    whole = central.value(state)
    parts = agents.at(2 * agents.weights * whole.couplings, state)
    assert abs(sum(plan.value for plan in parts.plans) - whole.value) > 0.5 * whole.value


def test_everybodys_best_action_at_the_prices_of_v_is_that_of_the_centre() -> None:
    central, agents = CoupledMpc(Parameters.unlearned()), Negotiation(Parameters.unlearned())
    for state in states(3):
        best = central.value(state)
        prices = 2 * agents.weights * best.couplings
        assert np.allclose(agents.at(prices, state).action, best.action, atol=1e-6)
        # Prices of V see only a part of what another action costs: those of Q see all of it.
        other = np.clip(best.action + 0.5, -1, 1)
        true = central.action_value(state, other)
        seen = agents.at(prices, state, other).value
        assert seen < true.value - 1e-6
        assert agents.at(2 * agents.weights * true.couplings, state, other).value == pytest.approx(true.value, rel=1e-8)


@pytest.mark.parametrize(("way", "rounds"), [("accelerated", 80), ("admm", 30)])
def test_rounds_come_close_to_the_central_value(way: str, rounds: int) -> None:
    central, agents = CoupledMpc(Parameters.unlearned()), Negotiation(Parameters.unlearned())
    for state in states(4):
        value = central.value(state).value
        found = agents.rounds(way, rounds, state)[-1]  # type: ignore[arg-type]
        assert abs(agents.at(found.prices, state).value - value) < GAP * value


def test_plain_steps_climb_below_the_value_and_take_many_rounds() -> None:
    central, agents = CoupledMpc(Parameters.unlearned()), Negotiation(Parameters.unlearned())
    state = states(1)[0]
    value = central.value(state).value
    bounds = [found.value for found in agents.rounds("gradient", 200, state)]
    assert all(later >= earlier - 1e-9 for earlier, later in pairwise(bounds))
    assert bounds[-1] < value * (1 - GAP)
    assert agents.rounds("accelerated", 200, state)[-1].value <= value + 1e-6


def test_hard_couplings_cannot_be_met_from_fresh_states() -> None:
    (a, b), stages = MODEL, 10
    for state in states(3):
        # Least largest coupling error of stages 1 to N, by linear programme over the inputs.
        reach = np.zeros((stages + 1, stages))
        free = np.zeros((stages + 1, 3))
        power = np.eye(2)
        for stage in range(stages + 1):
            free[stage] = (power @ state.T)[0]
            for k in range(stage):
                reach[stage, k] = (np.linalg.matrix_power(np.array(a), stage - 1 - k) @ np.array(b))[0]
            power = np.array(a) @ power
        rows, right = [], []
        for i, j, d in COUPLINGS:
            for stage in range(1, stages + 1):
                row = np.zeros(3 * stages + 1)
                row[i * stages : (i + 1) * stages], row[j * stages : (j + 1) * stages] = reach[stage], -reach[stage]
                off = free[stage, i] - free[stage, j] - d
                for sign in (1, -1):
                    rows.append(np.append(sign * row[:-1], -1.0))
                    right.append(-sign * off)
        bounds = [(-1, 1)] * (3 * stages) + [(0, None)]
        least = linprog(np.eye(1, 3 * stages + 1, 3 * stages)[0], rows, right, bounds=bounds)
        assert least.fun > 0.1
    assert BOUNDS[0][1] < -COUPLINGS[0][2]
