"""Every family of scenarios that is registered keeps the contract that outsiders are held to."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from accord.envs.catalogue import DISTRICTS, families
from accord.envs.task import Step, Task
from accord.envs.testing import check_scenario, check_task
from accord.envs.toy.games import MatrixGame, climbing


@pytest.mark.parametrize(
    "address", [address for family in (DISTRICTS, *families().values()) for address in family.examples]
)
def test_every_registered_family_keeps_the_contract(address: str) -> None:
    check_scenario(address)


class Drifting(MatrixGame):
    """Draws from a generator that nobody passed in."""

    def step(self, actions: torch.Tensor) -> Step:
        step = super().step(actions)
        step.reward.add_(torch.rand(()))
        return step


class Endless(MatrixGame):
    """Never ends."""

    @property
    def _truncated(self) -> bool:
        return False


class Gapped(MatrixGame):
    """Its state is wider than it shows."""

    def state(self) -> torch.Tensor:
        return super().state()[:, :0]


class Narrow(MatrixGame):
    """Shows numbers that it says it never shows."""

    def state(self) -> torch.Tensor:
        return 2 * super().state()


class Latecomer(MatrixGame):
    """Measures something from the first step on, and nothing at its reset."""

    def step(self, actions: torch.Tensor) -> Step:
        step = super().step(actions)
        return replace(step, measures={"paid": step.reward})


class Namesake(MatrixGame):
    """A measure has the name of something else in infos."""

    def _show(self, payoff: torch.Tensor, alive: bool = True) -> Step:
        return replace(super()._show(payoff, alive), measures={"shortfall": payoff})


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (Drifting, "one seed gave two trajectories"),
        (Endless, "goes on after"),
        (Gapped, "state has shape"),
        (Narrow, "a state passes its bounds"),
        (Latecomer, "measures that are not in every step, the first included: paid"),
        (Namesake, "measure 'shortfall': its name is taken"),
    ],
)
def test_a_task_that_breaks_the_contract_hears_how(broken: Callable[..., Task], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_task(lambda: broken(climbing()))
