"""Values of coupled MPC: sensitivities against differences, and the Bellman equations that they fulfil."""

import numpy as np
import pytest
from numpy.typing import NDArray

from accord.baselines.control.coupled_mpc import ABOVE, BELOW, INPUT, POSITION, CoupledMpc, Parameters
from accord.envs.toy.coupled_linear import BOUNDS, COUPLINGS

Array = NDArray[np.float64]
LOW, HIGH = np.array(BOUNDS).T


def states(count: int, seed: int = 0) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [np.stack([LOW + rng.random(3) * (HIGH - LOW), rng.uniform(-0.3, 0.3, 3)], 1) for _ in range(count)]


def perturbed(seed: int = 0) -> Parameters:
    start = Parameters.unlearned()
    return start.with_vector(start.vector + np.random.default_rng(seed).normal(0, 0.02, start.vector.size))


def test_parameters_are_told_apart_agent_by_agent() -> None:
    vector = np.arange(3 * 14.0)
    parameters = Parameters.unlearned().with_vector(vector)
    assert np.array_equal(parameters.vector, vector)
    assert parameters.a[1].ravel().tolist() == [14.0, 15.0, 16.0, 17.0]
    assert parameters.high.tolist() == [13.0, 27.0, 41.0]
    held = parameters.with_back_off(0.2)
    assert held.low.tolist() == [0.2] * 3
    assert held.high.tolist() == [0.0] * 3


@pytest.mark.parametrize("given", [False, True])
def test_sensitivities_are_those_of_differences_where_the_value_is_smooth(given: bool) -> None:
    parameters, rng, smooth, h = perturbed(), np.random.default_rng(1), 0, 1e-5
    mpc = CoupledMpc(parameters)
    for state in states(2):
        action = rng.uniform(-1, 1, 3) if given else None

        def value(vector: Array, state: Array = state, action: Array | None = action) -> float:
            mpc.parameters = parameters.with_vector(vector)
            return (mpc.value(state) if action is None else mpc.action_value(state, action)).value

        here, theta = value(parameters.vector), parameters.vector
        found = mpc.value(state) if action is None else mpc.action_value(state, action)
        gradient = found.gradient(mpc.gamma)
        for k in range(len(theta)):
            bump = np.zeros_like(theta)
            bump[k] = h
            right, left = (value(theta + bump) - here) / h, (here - value(theta - bump)) / h
            if abs(right - left) > 1e-2 * max(1.0, abs(right)):
                continue  # an input saturates or a penalty sets in: there the value has a kink
            smooth += 1
            assert gradient[k] == pytest.approx((right + left) / 2, rel=1e-5, abs=1e-4)
    assert smooth > 70


def test_the_policy_is_the_best_action_and_v_its_value() -> None:
    mpc = CoupledMpc(Parameters.unlearned())
    for state in states(3):
        best = mpc.value(state)
        assert mpc.action_value(state, best.action).value == pytest.approx(best.value, abs=1e-6)
        for other in np.clip(best.action + np.random.default_rng(0).normal(0, 0.3, (4, 3)), -1, 1):
            assert mpc.action_value(state, other).value >= best.value - 1e-6


def test_the_value_is_what_its_plan_costs() -> None:
    state = states(1)[0]
    mpc = CoupledMpc(Parameters.unlearned())
    found = mpc.value(state)
    discount = mpc.gamma ** np.arange(mpc.stages + 1)
    plan = found.plan
    own = 0.1 * (plan[..., : INPUT + 1] ** 2).sum((0, 2)) + 100 * plan[..., [BELOW, ABOVE]].sum((0, 2))
    coupled = 10 * sum((plan[i, :, POSITION] - plan[j, :, POSITION] - d) ** 2 for i, j, d in COUPLINGS)
    assert float((discount * (own + coupled)).sum()) == pytest.approx(found.value, rel=1e-8)
    assert np.allclose(plan[:, 0, :INPUT], state)
    a, b = mpc.parameters.a[0], mpc.parameters.b[0]
    assert np.allclose(plan[0, 1, :INPUT], a @ state[0] + b * plan[0, 0, INPUT], atol=1e-8)
