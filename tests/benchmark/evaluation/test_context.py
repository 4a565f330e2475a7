"""Shares of an optimum that is below zero, or near it."""

from dataclasses import replace

import pytest

from accord.benchmark.evaluation.context import Context, relative_change

CONTEXT = Context(oracle_objective=8.0, serve_now_objective=20.0)


@pytest.mark.parametrize(
    ("value", "base", "change"),
    [(12.0, 8.0, 0.5), (8.0, 8.0, 0.0), (-4.0, -8.0, 0.5), (-8.0, -8.0, 0.0), (-12.0, -8.0, -0.5), (4.0, -8.0, 1.5)],
)
def test_a_change_is_a_share_of_the_size_whatever_the_sign(value: float, base: float, change: float) -> None:
    found = relative_change(value, base)
    assert found == change
    assert str(found) != "-0.0"


@pytest.mark.parametrize("optimum", [0.0, 0.001, -0.001])
def test_a_gap_to_an_optimum_near_zero_is_blank(optimum: float) -> None:
    context = replace(CONTEXT, oracle_objective=optimum)
    # The second is as near to zero as the optimum: what no control costs says how little that is.
    assert [context.above_optimum(value) for value in (12.0, 0.002, optimum)] == [None, None, None]
    assert context.below_serve_now(5.0) == 0.75


def test_savings_against_nothing_are_blank() -> None:
    context = replace(CONTEXT, oracle_objective=-8.0, serve_now_objective=0.05)
    assert context.below_serve_now(-4.0) is None
    assert context.above_optimum(-4.0) == 0.5


def test_what_is_not_known_is_blank() -> None:
    assert (Context().above_optimum(1.0), Context().below_serve_now(1.0)) == (None, None)
    assert (CONTEXT.above_optimum(None), CONTEXT.below_serve_now("feasible")) == (None, None)
