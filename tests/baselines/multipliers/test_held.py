"""Multipliers of learners on the whole task: what holds them, and what belongs to execution alone."""

from typing import Any

import pytest
from helpers.training import train

from accord.baselines import make_method
from accord.baselines.multipliers.held import ConstraintConfig, HeldMultipliers
from accord.envs import make
from accord.envs.errors import UsageError

AVERAGE = "paper_seven/ring/average-0.27"
TINY = {"lanes": 14, "ppo": {"hidden": [8], "minibatch": 168}}


def test_multipliers_of_other_agents_are_refused() -> None:
    held = HeldMultipliers(make(AVERAGE).spec, "lagrangian", ConstraintConfig(), own=True)
    with pytest.raises(UsageError, match="multipliers of 7 agents do not fit a task with 50"):
        held.expand(1, 50)
    shared = HeldMultipliers(make(AVERAGE).spec, "lagrangian", ConstraintConfig(), own=False)
    assert shared.expand(2, 50)[0].shape == (2, 50, 1)


@pytest.mark.parametrize(("handling", "price"), [("penalty", 0.7), ("none", 0.0)])
def test_a_penalty_does_not_move(handling: str, price: float) -> None:
    name = "mappo" if handling == "none" else f"mappo-{handling}"
    controller, rows = train(name, AVERAGE, TINY | {"constraints": {"price": 0.7}}, 2_000)
    assert controller.last.held.lam.flatten().tolist() == pytest.approx([price])  # type: ignore[attr-defined]
    assert "lambda_mean" not in rows[-1]


@pytest.mark.parametrize("name", ["mappo-lagrangian", "qmix-augmented"])
def test_settings_of_execution_alone_leave_a_training_as_it_is(name: str) -> None:
    def key(**settings: Any) -> dict[str, Any]:
        return make_method(name, settings).config.training_key()

    assert key() == key(iterate="last", constraints={"dual": {"alpha": 0.9}})
    assert key() != key(constraints={"lr": 0.9})
    assert key() == (key(actions="sampled") if name.startswith("mappo") else key(evaluation_epsilon=0.1))


@pytest.mark.parametrize("trunk", ["ippo", "mappo", "iql", "vdn", "qmix"])
def test_drawn_multipliers_serve_every_budget_and_held_ones_a_single_one(trunk: str) -> None:
    assert make_method(f"{trunk}-augmented").training_scope == "population"
    assert {make_method(f"{trunk}-{h}").training_scope for h in ("penalty", "lagrangian")} == {"scenario"}
