import pytest

from accord.baselines.control.oracle import Oracle
from accord.envs.catalogue import resolve
from accord.envs.scenario import Bound, Infeasible


def test_a_scenario_that_can_be_met_has_a_bound_over_its_measured_hours() -> None:
    scenario = resolve("campus_seven/two_groups/hourly-0.35")
    bound = Oracle().solve(scenario)
    assert isinstance(bound, Bound)
    assert bound.objective == pytest.approx(5.327, abs=1e-3)
    assert 0 < bound.cost < bound.objective  # delay has a price here
    assert bound.imports.shape == (2160,)
    assert bound.multipliers.shape == (24,)
    assert bound.multipliers.argmax() == 20  # the first cheap hour


def test_cost_is_the_objective_where_delay_is_free() -> None:
    bound = Oracle().solve(resolve("paper_seven/ring/average-0.21"))
    assert isinstance(bound, Bound)
    assert bound.cost == bound.objective
    assert bound.multipliers.tolist() == [0.0]


@pytest.mark.parametrize(("network", "budget", "m"), [("ring", "average-0.2", 1), ("complete", "hourly-0.2", 24)])
def test_a_scenario_that_cannot_be_met_comes_with_a_proof(network: str, budget: str, m: int) -> None:
    found = Oracle().solve(resolve(f"paper_seven/{network}/{budget}"))
    assert isinstance(found, Infeasible)
    assert found.smallest_level == pytest.approx(0.2063, abs=1e-4)
    assert found.weights.shape == (m,)
    assert float(found.weights.sum()) == pytest.approx(1)
    assert found.excess == pytest.approx(3.24, abs=0.01)


def test_a_level_just_above_the_smallest_is_feasible_and_costs_more() -> None:
    tight = Oracle().solve(resolve("campus_seven/ring/average-x1.01"))
    loose = Oracle().solve(resolve("campus_seven/ring/average-x1.5"))
    assert isinstance(tight, Bound)
    assert isinstance(loose, Bound)
    assert float(tight.multipliers[0]) > 0
    assert float(loose.multipliers[0]) == 0
    assert tight.objective > loose.objective
