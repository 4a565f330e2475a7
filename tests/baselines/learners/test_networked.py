"""The networked primal-dual actor-critic: who agrees on what, with whom, and what it comes to at both ends."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers.training import train
from torch import Tensor

from accord.baselines import make_method
from accord.baselines.base import Effort, Training
from accord.baselines.learners.networked import Agreement, OwnUnits
from accord.baselines.multipliers.ascent import DualAscent
from accord.baselines.testing import differences
from accord.baselines.training.joint_method import Parts
from accord.baselines.training.models import ValueNormaliser
from accord.baselines.training.ppo import ActorCritic
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError
from accord.envs.network import Network
from accord.envs.task import Task

COMPLETE, RING = "campus_seven/complete/hourly-0.35", "campus_seven/ring/hourly-0.35"
FEEDERS = "homes_17/ring/feeder-0.3"
PRICED = {"price": 2.0, "lr": 0.02}  # far enough from 0 that no projection holds a step up
SMALL: dict[str, Any] = {"lanes": 14, "ppo": {"hidden": [8], "minibatch": 168, "epochs": 1}, "constraints": PRICED}
ROLLOUT = 14 * 24 + 4 * 7 * 48  # agent-steps, those of the ascent included
Look = Callable[[Parts[ActorCritic], str], None]


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Callable[[Look], None]:
    """Call a function before and after every agreement."""

    def at(seen: Look) -> None:
        agree, begin = Agreement._agree, Agreement.__init__

        def remember(self: Any, task: Task, network: Network, parts: Parts[ActorCritic], *rest: Any) -> None:
            begin(self, task, network, parts, *rest)
            self.parts = parts

        def watched(self: Any) -> dict[str, float]:
            seen(self.parts, "before")
            numbers = agree(self)
            seen(self.parts, "after")
            return numbers

        monkeypatch.setattr(Agreement, "__init__", remember)
        monkeypatch.setattr(Agreement, "_agree", watched)

    return at


def told(parts: Parts[ActorCritic]) -> Tensor:
    """All that agents agree on, float64 [N, ·]: weights of critics, units of values, multipliers."""
    critic, units, held = parts.model.critic, parts.model.values, parts.controller.last.held
    assert held is not None
    weights = torch.stack([torch.cat([w.detach().flatten() for w in body.parameters()]) for body in critic.bodies])
    return torch.cat([weights, units.mean, units.square, held.lam], -1).double()


def actors(parts: Parts[ActorCritic]) -> Tensor:
    bodies = parts.model.actor.body.bodies  # type: ignore[union-attr]
    return torch.stack([torch.cat([w.detach().flatten() for w in body.parameters()]) for body in bodies])


def test_without_rounds_it_is_independent_ppo_bit_for_bit() -> None:
    """Of the policies and multipliers, those put by late in the training among them."""
    own = {**SMALL, "constraints": {**PRICED, "clip": 1.0}}
    # The settings of both, without what their searches found.
    alone, rows = train("ippo-lagrangian", RING, own | {"policies": "per_agent"}, 4 * ROLLOUT, tuned=False)
    silent, same = train("networked-primal_dual", RING, own | {"rounds": 0}, 4 * ROLLOUT, tuned=False)
    assert differences(alone.state_dict(), silent.state_dict()) == []
    assert [row["value_loss"] for row in rows] == [row["value_loss"] for row in same]
    assert len(silent.mixture) == 8  # type: ignore[attr-defined]
    talking, _ = train("networked-primal_dual", RING, own, 4 * ROLLOUT)
    assert differences(alone.state_dict(), talking.state_dict()) != []


def test_on_a_complete_graph_critics_and_multipliers_are_averaged_exactly(look: Callable[[Look], None]) -> None:
    seen: dict[str, list[Tensor]] = {"before": [], "after": []}
    look(lambda parts, when: seen[when].append(told(parts)))
    controller, _ = train("networked-primal_dual", COMPLETE, SMALL, 3 * ROLLOUT)
    assert len(seen["after"]) == 3
    kept = [policy.held.lam for policy in controller.mixture]  # type: ignore[attr-defined]
    assert len(kept) == 8
    assert all((lam - lam[0]).abs().max() < 1e-6 for lam in kept), "put by before they agreed"
    for before, after in zip(seen["before"], seen["after"], strict=True):
        assert (before - before.mean(0)).abs().max() > 1e-3, "they had nothing to agree on"
        torch.testing.assert_close(after, before.mean(0).expand_as(after), rtol=0.0, atol=1e-6)


@pytest.mark.parametrize("rounds", [1, 3])
def test_on_other_graphs_they_follow_the_metropolis_weights(rounds: int, look: Callable[[Look], None]) -> None:
    seen: dict[str, list[Tensor]] = {"before": [], "after": []}
    look(lambda parts, when: seen[when].append(told(parts)))
    _, rows = train("networked-primal_dual", RING, SMALL | {"rounds": rounds}, 2 * ROLLOUT)
    weights = torch.linalg.matrix_power(resolve(RING).network().mixing_matrix(), rounds)
    for before, after in zip(seen["before"], seen["after"], strict=True):
        torch.testing.assert_close(after, weights @ before, rtol=0.0, atol=1e-6)
        assert (after - after.mean(0)).abs().max() > 1e-3
    width = seen["after"][0].shape[1]
    assert [row["bytes"] for row in rows] == [rounds * 2 * 7 * width * 4.0] * 2  # a ring of 7, both ways, float32


def test_the_mean_multiplier_takes_the_step_of_one_on_the_use_of_all(
    look: Callable[[Look], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[Tensor] = []
    update = DualAscent.update

    def beside_a_central_one(self: DualAscent) -> dict[str, float]:
        """The step that one multiplier per budget would take, from the same draws and the same plant."""
        held, draws = self._held.lam.clone(), self._generator.get_state()
        plant = dict(self._plant)
        aim, scale, total = self._aim, self._scale, self._task.spec.limits[None]
        self._own, self._aim, self._scale = False, total * (1 - self._config.tighten), total
        update(self)
        steps.append((self._held.lam - held)[0].clone())
        self._held.lam.copy_(held)
        self._generator.set_state(draws)
        self._plant, self._own, self._aim, self._scale = plant, True, aim, scale
        return update(self)

    monkeypatch.setattr(DualAscent, "update", beside_a_central_one)
    means: list[Tensor] = [torch.full((24,), PRICED["price"])]

    def note(parts: Parts[ActorCritic], when: str) -> None:
        held = parts.controller.last.held
        assert held is not None
        if when == "after":
            means.append(held.lam.mean(0).clone())

    look(note)
    train("networked-primal_dual", RING, SMALL, 3 * ROLLOUT)
    for before, after, step in zip(means, means[1:], steps, strict=False):
        assert step.abs().max() > 1e-3
        torch.testing.assert_close(after - before, step, rtol=0.0, atol=1e-6)


def test_actors_stay_ones_own(look: Callable[[Look], None]) -> None:
    seen: dict[str, list[Tensor]] = {"before": [], "after": []}
    look(lambda parts, when: seen[when].append(actors(parts)))
    controller, _ = train("networked-primal_dual", COMPLETE, SMALL, 2 * ROLLOUT)
    for before, after in zip(seen["before"], seen["after"], strict=True):
        assert torch.equal(before, after)
    assert (seen["after"][-1].std(0) > 0).any()
    assert controller.decentralised


def test_whom_a_budget_does_not_count_passes_its_price_on_and_leaves_it_alone(look: Callable[[Look], None]) -> None:
    outside = resolve(FEEDERS).task().spec.members == 0
    assert outside.any()
    lams: list[Tensor] = []

    def note(parts: Parts[ActorCritic], when: str) -> None:
        assert parts.controller.last.held is not None
        if when == "before":
            lams.append(parts.controller.last.held.lam.clone())

    look(note)
    train("networked-primal_dual", FEEDERS, SMALL | {"lanes": 17}, 17 * 24)
    assert torch.equal(lams[0][outside], torch.full_like(lams[0][outside], PRICED["price"]))
    assert (lams[0][~outside] != PRICED["price"]).any()


def test_units_of_ones_own_average_to_those_of_all() -> None:
    own, pooled = OwnUnits(7), ValueNormaliser()
    for seed in range(3):
        returns = torch.randn(24, 2, 7, 1, generator=torch.Generator().manual_seed(seed)) + torch.arange(7.0)[:, None]
        for units in (own, pooled):
            units.update(returns.flatten(0, 2))
    torch.testing.assert_close(own.mean.mean(0), pooled.mean)
    torch.testing.assert_close(own.square.mean(0), pooled.square)
    values = own.normalise(returns)
    assert values.shape == returns.shape
    torch.testing.assert_close(own.denormalise(values), returns)
    assert (own.mean.diff(dim=0) > 0).all()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("allocation_4x1/radius-1/steady", "the links of task 'allocation_4x1' move; allowed: a network that stays"),
        ("games/two_step", "task 'two_step' has no budgets to price; allowed: tasks with budgets"),
    ],
)
def test_what_it_has_no_meaning_for_is_refused(address: str, said: str) -> None:
    with pytest.raises(UsageError, match="method networked-primal_dual: ") as caught:
        train("networked-primal_dual", address, SMALL, 100)
    assert said in str(caught.value)


def test_shares_that_no_average_would_enforce_are_refused() -> None:
    with pytest.raises(UsageError, match=r"key 'constraints.share': input should be 'equal', got 'own_peak'"):
        make_method("networked-primal_dual", {"constraints": {"share": "own_peak"}})


def test_agents_talk_over_the_network_that_they_are_given() -> None:
    scenario, network = resolve(RING), resolve(RING).network()
    training = Training(Effort(ROLLOUT, 1e9), torch.Generator().manual_seed(0))
    make_method("networked-primal_dual", SMALL | {"rounds": 2}).train(scenario.task(), network, training)
    assert network.messages == 2 * 14  # one each way over every link and round
