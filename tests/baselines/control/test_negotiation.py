"""Prices that agents find among themselves: bounds, sums of values, rounds, and what does not converge."""

from dataclasses import replace
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


def test_prices_that_move_with_the_parameters_change_no_value() -> None:
    """The terms of the chain rule in eqs. (23) and (26) vanish: at the best prices D is flat in them."""
    parameters = perturbed()
    central, agents = CoupledMpc(parameters), Negotiation(parameters)
    for state in states(3):
        prices = 2 * agents.weights * central.value(state).couplings
        flat = agents.at(prices, state).errors - prices / (2 * agents.weights)
        assert np.abs(flat).max() < 1e-6
        rng, h = np.random.default_rng(0), 1e-3
        direction = rng.normal(0, 1, prices.shape)
        above, below = (agents.at(prices + sign * h * direction, state).value for sign in (1, -1))
        assert abs(above - below) / (2 * h) < 1e-3 * np.abs(direction).sum()


def test_prices_move_with_the_drift_as_the_implicit_function_theorem_says() -> None:
    """Eq. (29): dz/dθ = −(∂κ/∂z)⁻¹·∂κ/∂θ on the rows that hold, where it is clear which do."""
    parameters, clear, h = perturbed(), 0, 1e-5
    central, weights = CoupledMpc(parameters), Negotiation(parameters).weights
    for state in states(12):
        moved = {sign: _moved(parameters, sign * h) for sign in (1, -1)}
        whole = central.value(state)
        solver = central._solvers[False]
        matrix, right = solver._numbers(parameters, state, None)
        x, rows = whole.plan.ravel(), matrix.toarray()
        slack, duals = right - rows @ x, np.array(solver._solver.solve().z)
        held = np.arange(len(right)) < solver._equal
        if np.maximum(slack, duals)[~held].min() < 1e-2:
            continue
        clear += 1
        active = held | (duals > slack)
        quadratic, _, _ = solver._costs(coupled=True, weight=0.0)
        upper = quadratic.toarray()
        hessian = upper + np.triu(upper, 1).T
        kkt = np.block([[hessian, rows[active].T], [rows[active], np.zeros((active.sum(),) * 2)]])
        change = np.zeros(len(right))
        change[6:66].reshape(3, 10, 2)[1, :, 0] = 1.0  # the drift of agent 1's position
        predicted = np.linalg.lstsq(kkt, np.concatenate([np.zeros(x.size), change[active]]), rcond=None)[0][: x.size]
        found = {}
        for sign, other in moved.items():
            central.parameters = other
            found[sign] = central.value(state)
        central.parameters = parameters
        seen = weights * (found[1].couplings - found[-1].couplings) / h
        position = predicted.reshape(whole.plan.shape)[..., 0]
        told = 2 * weights * np.stack([position[i] - position[j] for i, j, _ in COUPLINGS], -1)
        assert np.abs(seen - told).max() < 1e-4 * max(1.0, np.abs(told).max())
    assert clear >= 3


def _moved(parameters: Parameters, by: float) -> Parameters:
    drift = parameters.drift.copy()
    drift[1, 0] += by
    return replace(parameters, drift=drift)
