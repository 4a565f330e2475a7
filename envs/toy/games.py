"""Matrix games for two agents whose right answers are known.

    games/two_step    Rashid et al., "QMIX: Monotonic Value Function Factorisation", 2018, section 6
    games/qtran       Son et al., "QTRAN", 2019: one step of a payoff that no monotonic mixer can represent
    games/climbing    Claus and Boutilier, "The Dynamics of Reinforcement Learning in Cooperative
    games/penalty_K   Multiagent Systems", 1998, each played 25 times over; K is the penalty, 0 or more

Each agent's reward is half of the payoff, so that the sum over agents is the payoff.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from accord.envs.checks import check_actions, check_reset, plant_of
from accord.envs.errors import UsageError
from accord.envs.scenario import EpisodicScenario, Family
from accord.envs.spelling import number_of
from accord.envs.task import Discrete, Field, Initial, Step, Task, TaskSpec

ROUNDS = 25  # of the repeated games
CLIMBING = ((11.0, -30.0, 0.0), (-30.0, 7.0, 0.0), (0.0, 6.0, 5.0))
QTRAN = ((8.0, -12.0, -12.0), (-12.0, 0.0, 0.0), (-12.0, 0.0, 0.0))
ALLOWED = "two_step, qtran, climbing, penalty_K with K a number from 0, like penalty_25"


@dataclass(frozen=True)
class Rules:
    """A game of two agents, n actions each, over S states; it begins in state 0.

    Attributes:
        name: The game's name.
        payoff: [S, n, n], shared by the agents: rows are agent 0's actions, columns agent 1's.
        follows: [S, n, n], the next state.
        steps: Length of an episode.
        ends: The game itself is over after `steps`; else a time limit cuts it.
    """

    name: str
    payoff: Tensor
    follows: Tensor
    steps: int
    ends: bool


class MatrixGame(Task):
    """`B` copies of a game; actions [B, 2, 1]. Both agents see the state, one-hot, and earn half the payoff.

    After its end a copy shows zero rewards and nobody alive.
    """

    def __init__(self, rules: Rules, device: torch.device | str = "cpu") -> None:
        """Set the game up on a device."""
        states, n_actions, _ = rules.payoff.shape
        self.device = torch.device(device)
        self._rules = rules
        self._payoff, self._follows = rules.payoff.to(self.device), rules.follows.to(self.device)
        self._one_hot = torch.eye(states, device=self.device)
        self.spec = TaskSpec(
            name=rules.name,
            n_agents=2,
            obs_fields={"state": Field(slice(0, states), "-", "1; one column per state", low=0.0, high=1.0)},
            action=Discrete(n_actions),
            state_dim=states,
            horizon=rules.steps,
            agent_scale=torch.ones(2, device=self.device),
            agent_types=torch.arange(2),
            device=self.device,
        )

    def reset(
        self,
        batch: int,
        generator: torch.Generator,
        *,
        start: int | None = None,
        horizon: int | None = None,
        initial: Initial = "zero",
    ) -> Step:
        """Begin `batch` games in state 0; nothing is drawn, and `start` and the words of `initial` have no meaning."""
        check_reset(self.spec, batch, horizon)
        plant_of(self.spec, initial, batch)
        self._horizon = self.spec.horizon if horizon is None else horizon
        self._elapsed = 0
        self._state = torch.zeros(batch, dtype=torch.long, device=self.device)
        return self._show(torch.zeros(batch, device=self.device))

    def step(self, actions: Tensor) -> Step:
        """Play `actions` [B, 2, 1] and pay both agents half of the payoff.

        Raises:
            UsageError: an action is not one of the game's.
        """
        check_actions(self.spec, actions, len(self._state) if hasattr(self, "_state") else None)
        first, second = actions[..., 0].long().unbind(-1)
        n_actions = self._payoff.shape[-1]
        if not bool(((actions >= 0) & (actions < n_actions)).all()):
            raise UsageError(f"game '{self.spec.name}': an action is out of range; allowed: 0 to {n_actions - 1}")
        over = self._terminated or self._truncated
        payoff = self._payoff[self._state, first, second] * (not over)
        if not over:
            self._state = self._follows[self._state, first, second]
            self._elapsed += 1
        return self._show(payoff, alive=not over and not self._terminated)

    def state(self) -> Tensor:
        """The state, one-hot, [B, S]."""
        return self._one_hot[self._state]

    def state_bounds(self) -> tuple[Tensor, Tensor]:
        """A state is what an agent sees, two of [S]."""
        return self.spec.obs_bounds

    def active(self, ahead: int) -> Tensor:
        """There are no budgets, [B, ahead, 0]."""
        return torch.zeros(len(self._state), ahead, 0, device=self.device)

    @property
    def _terminated(self) -> bool:
        return self._rules.ends and self._elapsed >= self._rules.steps

    @property
    def _truncated(self) -> bool:
        return not self._terminated and self._elapsed >= self._horizon

    def _show(self, payoff: Tensor, alive: bool = True) -> Step:
        batch = len(payoff)

        def all_copies(value: bool) -> Tensor:
            return torch.full((batch,), value, device=self.device)

        return Step(
            obs=self.state()[:, None].repeat(1, 2, 1),
            reward=(payoff / 2)[:, None].repeat(1, 2),
            usage=torch.zeros(batch, 2, 0, device=self.device),
            shortfall=None,
            active=self.active(self.spec.ahead),
            counted=torch.zeros(batch, 0, device=self.device),
            measures={},
            terminated=all_copies(self._terminated),
            truncated=all_copies(self._truncated),
            alive=all_copies(alive)[:, None].repeat(1, 2),
        )


def two_step() -> Rules:
    """Agent 0's first action leads to state 1, where every choice pays 7, or to state 2, where two must agree on 8."""
    nothing, sure, risky = torch.zeros(2, 2), torch.full((2, 2), 7.0), torch.tensor([[0.0, 1.0], [1.0, 8.0]])
    follows = torch.tensor([[[1, 1], [2, 2]], [[1, 1], [1, 1]], [[2, 2], [2, 2]]])
    return Rules("two_step", torch.stack([nothing, sure, risky]), follows, steps=2, ends=True)


def qtran() -> Rules:
    """One step; 8 for the first action of both, -12 where only one takes it, else 0."""
    return Rules("qtran", torch.tensor([QTRAN]), torch.zeros(1, 3, 3, dtype=torch.long), steps=1, ends=True)


def climbing() -> Rules:
    """11 lies between two payoffs of -30."""
    return _repeated("climbing", torch.tensor(CLIMBING))


def penalty(k: float) -> Rules:
    """Two ways to 10, and -k for those who choose different ones; 2 is safe."""
    return _repeated(f"penalty_{k:g}", torch.tensor([[-k, 0.0, 10.0], [0.0, 2.0, 0.0], [10.0, 0.0, -k]]))


def resolve_game(address: str) -> EpisodicScenario:
    """The scenario of an address `games/NAME`.

    Raises:
        UsageError: no such game.
    """
    name = address.partition("/")[2]
    named = {"two_step": two_step, "qtran": qtran, "climbing": climbing}
    word, _, given = name.partition("_")
    k = number_of(given, f"game '{name}'") if word == "penalty" else None
    if name in named:
        rules = named[name]()
    elif k is not None and k >= 0:
        rules = penalty(k)
    else:
        raise UsageError(f"address '{address}': unknown game '{name}'; allowed: {ALLOWED}")
    return EpisodicScenario(address, lambda device: MatrixGame(rules, device), _known_returns(rules))


def _repeated(name: str, payoff: Tensor) -> Rules:
    return Rules(name, payoff[None], torch.zeros(1, 3, 3, dtype=torch.long), steps=ROUNDS, ends=False)


def _known_returns(rules: Rules) -> dict[str, float]:
    """Returns of uniform actions and of the best ones, by going backwards from the end."""
    random = best = torch.zeros(len(rules.payoff))
    for _ in range(rules.steps):
        random = (rules.payoff + random[rules.follows]).mean((1, 2))
        best = (rules.payoff + best[rules.follows]).amax((1, 2))
    return {"random": float(random[0]), "optimum": float(best[0])}


GAMES = Family(
    resolve_game,
    lambda: [(f"games/{ALLOWED}", "matrix games whose right answers are known")],
    ("games/two_step", "games/qtran", "games/climbing", "games/penalty_25"),
    episodic=True,
)
