"""Returns, mixers and grids of the Q-learners against hand-computed examples."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from accord.baselines.training.actors import QNetwork
from accord.baselines.training.environment import Observation, Shapes
from accord.baselines.training.q_learning import Monotonic, TeamValue, ValueConfig, _epsilon, _Learner
from accord.envs.task import Discrete

ONLINE = [[0.0, 1.0], [5.0, 2.0], [0.0, 3.0], [1.0, 0.0]]  # by state: the best next actions are 0, 1, 0
TARGET = [[0.0, 0.0], [4.0, 9.0], [8.0, 6.0], [2.0, 7.0]]  # whose values are 4, 6, 2
REWARD = [1.0, 2.0, 3.0]
GAMMA, DECAY = 0.9, 0.5


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Table(nn.Module):
    """Values of two actions in four states; an observation is the state's number."""

    def __init__(self, values: list[list[float]]) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.tensor(values))

    def forward(self, own: Tensor, shared: Tensor | None = None, memory: Tensor | None = None) -> tuple[Tensor, None]:
        return self.values[own.squeeze(-1).long()], None


def returns(
    agents: int = 1,
    ended: tuple[int, ...] = (),
    over: tuple[int, ...] = (),
    **settings: Any,
) -> tuple[list[float], Tensor | None]:
    """The first return of each step from states 0, 1, 2, 3 in a row, and what counts.

    Args:
        agents: All of them see and earn the same.
        ended: Steps after which the task is over.
        over: Views in which the episode is over.
        settings: On top of IQL's with TD(0.5).
    """
    fixed = {"gamma": GAMMA, "td_lambda": DECAY, "normalise": False, "mixer": "none"}
    config = ValueConfig(**(fixed | settings))
    values = TeamValue(Shapes(1, 1, Discrete(2)), agents, config, seeded())
    values.agent = QNetwork(Table(TARGET))  # type: ignore[arg-type]
    learner = _Learner(values, config)
    values.agent.body.values.data = torch.tensor(ONLINE)
    batch = {
        "obs": torch.arange(4.0)[:, None, None, None].expand(4, 1, agents, 1),
        "state": torch.zeros(4, 1, 1),
        "reward": torch.tensor(REWARD)[:, None, None].expand(3, 1, agents),
        "ended": torch.tensor([t in ended for t in range(3)])[:, None, None].expand(3, 1, agents),
    }
    if over:
        batch["valid"] = torch.tensor([t not in over for t in range(4)])[:, None, None].expand(4, 1, agents)
    every, _ = values.agent.values(batch["obs"], None)
    got, counts = learner._returns(batch, every.detach(), None)
    return got[:, 0, 0].tolist(), counts


def blend(value: float, later: float) -> float:
    return (1 - DECAY) * value + DECAY * later


def test_returns_blend_double_q_values_with_what_came_later() -> None:
    last = 3 + GAMMA * 2
    middle = 2 + GAMMA * blend(6, last)
    expected = [1 + GAMMA * blend(4, middle), middle, last]
    assert returns()[0] == pytest.approx(expected)


def test_without_decay_returns_are_one_step_double_q() -> None:
    assert returns(td_lambda=0.0)[0] == pytest.approx([1 + GAMMA * 4, 2 + GAMMA * 6, 3 + GAMMA * 2])


def test_without_double_q_the_target_picks_its_own_best_action() -> None:
    got = returns(td_lambda=0.0, double=False)[0]
    assert got == pytest.approx([1 + GAMMA * 9, 2 + GAMMA * 8, 3 + GAMMA * 7])


def test_nothing_comes_after_an_end() -> None:
    got, counts = returns(ended=(1, 2), over=(2, 3))
    assert got[:2] == pytest.approx([1 + GAMMA * blend(4, 2.0), 2.0])
    assert counts is not None
    assert counts.flatten().tolist() == [True, True, False]


def test_a_time_limit_is_bootstrapped_and_hears_nothing_of_what_follows() -> None:
    middle = 2 + GAMMA * 6
    got, counts = returns(over=(2, 3))
    assert got[:2] == pytest.approx([1 + GAMMA * blend(4, middle), middle])
    assert counts is not None
    assert counts.flatten().tolist() == [True, True, False]


def test_vdn_adds_the_agents_values_up() -> None:
    got, _ = returns(agents=3, mixer="sum", td_lambda=0.0)
    assert got == pytest.approx([1 + GAMMA * 12, 2 + GAMMA * 18, 3 + GAMMA * 6])


def test_what_is_still_to_come_keeps_the_units_of_the_target() -> None:
    """In units that move with the returns, returns would feed on themselves until they are not finite."""
    config = ValueConfig(gamma=GAMMA, td_lambda=0.0, mixer="none", hidden=(8,), target_update=3)
    learner = _Learner(TeamValue(Shapes(1, 1, Discrete(2)), 1, config, seeded()), config)
    batch = {
        "obs": torch.ones(4, 1, 1, 1),
        "state": torch.zeros(4, 1, 1),
        "action": torch.zeros(3, 1, 1, 1, dtype=torch.long),
        "reward": torch.full((3, 1, 1), 100.0),
        "ended": torch.zeros(3, 1, 1, dtype=torch.bool),
    }
    first_is_best = torch.tensor([1.0, 0.0]).expand(4, 1, 1, 2)
    seen = []
    for _ in range(6):
        seen.append(learner._returns(batch, first_is_best, None)[0].flatten()[0].item())
        learner.update(batch)
    assert seen[:3] == pytest.approx([seen[0]] * 3)  # until the target is copied
    assert seen[3:] == pytest.approx([seen[3]] * 3)
    assert seen[3] > seen[0] + 50


def test_no_agents_gain_is_the_teams_loss() -> None:
    mixer = Monotonic(5, 4, 8, 16, seeded())
    chosen = torch.randn(50, 6, 4, generator=seeded(1)).requires_grad_()
    mixed = mixer(chosen, torch.randn(50, 6, 5, generator=seeded(2)))
    assert mixed.shape == (50, 6, 1)
    (slope,) = torch.autograd.grad(mixed.sum(), chosen)
    assert (slope >= 0).all()
    assert slope.std() > 0


def test_far_from_the_data_a_state_does_not_change_the_mixer_without_limit() -> None:
    mixer, state = Monotonic(5, 4, 8, 16, seeded()), torch.randn(1, 6, 5, generator=seeded(2))
    for part in (mixer.first, mixer.second, mixer.second_bias):
        torch.testing.assert_close(part(1e3 * state)[0], part(1e6 * state)[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("fraction", "epsilon"), [(0.0, 0.9), (0.2, 0.5), (0.4, 0.1), (1.0, 0.1)])
def test_the_share_of_random_actions_falls_and_stays(fraction: float, epsilon: float) -> None:
    config = ValueConfig(epsilon_start=0.9, epsilon_end=0.1, epsilon_share=0.4)
    assert _epsilon(config, fraction) == pytest.approx(epsilon)


def test_a_share_of_actions_is_random_and_none_is_forbidden() -> None:
    agent = QNetwork(Table([[0.0, 9.0, 5.0, 1.0]]))  # type: ignore[arg-type]
    obs, state = torch.zeros(2000, 3, 1), torch.zeros(2000, 0)
    mask = torch.tensor([True, False, True, True]).expand(2000, 3, 4)
    for epsilon, shares in ((0.0, [0, 0, 1, 0]), (0.6, [0.2, 0, 0.6, 0.2]), (1.0, [1 / 3, 0, 1 / 3, 1 / 3])):
        action, _ = agent.explore(Observation(obs, state, mask=mask), None, epsilon, seeded())
        assert (action.flatten().bincount(minlength=4) / 6000).tolist() == pytest.approx(shares, abs=0.03)
