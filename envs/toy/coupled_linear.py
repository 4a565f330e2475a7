"""Three linear systems that keep their distance: the example of Esfahani and Gros' cooperative Q-learning, eqs. 30–32.

Agent i moves x_i = (position, velocity) by x⁺ = A_i·x + B_i·u, |u| ≤ 1; the first is disturbed by up to −.1 a step. All
minimise the sum of

    L = 10·‖coupling errors‖² + Σ_i (.1·‖x_i‖² + .1·u_i²) + 100·Σ_i how far position i is outside its bounds

Couplings are differences of positions: x1 − x2 = −2, x1 − x3 = 2 and x2 − x3 = 4. As printed, the first is 2, which the
bounds on x1 and x2 exclude. The third is the difference of the other two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from accord.envs.checks import check_actions, check_plant, check_reset, plant_of
from accord.envs.errors import UsageError
from accord.envs.scenario import EpisodicScenario, Family
from accord.envs.task import Box, Field, Initial, Step, Task, TaskSpec

# A and B of each agent, eq. (30).
DYNAMICS = (((0.9, 0.35), (0.0, 1.1)), ((0.91, 0.33), (0.0, 0.98)), ((0.88, 0.3), (0.0, 1.1)))
INPUTS = ((0.0813, 0.2), (0.0611, 0.23), (0.0837, 0.21))
DISTURBANCE = 0.1  # most that the first position is pushed down by, in each step
BOUNDS = ((0.0, 0.5), (0.0, 2.5), (-2.5, 0.0))  # of positions
COUPLINGS = ((0, 1, -2.0), (0, 2, 2.0), (1, 2, 4.0))  # agents i and j, and x_i − x_j
COUPLING_WEIGHT, STATE_WEIGHT, INPUT_WEIGHT, PENALTY = 10.0, 0.1, 0.1, 100.0
VELOCITY = 0.3  # most at the start
STEPS = 100  # of an episode
SETTLED, BEGUN = 50, 20  # steps after which distances, and positions outside their bounds, are counted
SIZE = 3.0  # what states are divided by in observations
AGENTS = len(DYNAMICS)
ADDRESS = "coupled/three"


class CoupledLinear(Task):
    """`B` copies of the three systems; actions [B, 3, 1] in [−1, 1], states [B, 6].

    An agent sees its own position and velocity. Its reward is its own part of −L and a third of the couplings' part, at
    the state and the action that it was in. Measures are of agents, and of couplings in the order of `COUPLINGS`.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        """Set the systems up on a device."""
        self.device = torch.device(device)
        self._dynamics, self._inputs, bounds, couplings = (
            torch.tensor(values, device=self.device) for values in (DYNAMICS, INPUTS, BOUNDS, COUPLINGS)
        )
        self._low, self._high = bounds.unbind(-1)
        self._one, self._other, self._distance = couplings[:, 0].long(), couplings[:, 1].long(), couplings[:, 2]
        self.spec = TaskSpec(
            name="coupled_linear",
            n_agents=AGENTS,
            obs_fields={
                "position": Field(slice(0, 1), "m", f"{SIZE:g}"),
                "velocity": Field(slice(1, 2), "m/step", f"{SIZE:g}"),
            },
            action=Box(1, -1.0, 1.0),
            state_dim=2 * AGENTS,
            horizon=STEPS,
            agent_scale=torch.ones(AGENTS, device=self.device),
            agent_types=torch.arange(AGENTS),
            device=self.device,
            units={"position": "m", "velocity": "m/step", "settled_distance": "m", "outside_share": "-"},
            plant=("position", "velocity"),
        )

    def reset(
        self,
        batch: int,
        generator: torch.Generator,
        *,
        start: int | None = None,
        horizon: int | None = None,
        initial: Initial = "random",
    ) -> Step:
        """Begin `batch` copies: positions drawn within their bounds and velocities up to ±.3, or as given.

        Raises:
            UsageError: only one of position and velocity is given.
        """
        check_reset(self.spec, batch, horizon)
        plant = plant_of(self.spec, initial, batch)
        self._generator, self._elapsed = generator, 0
        self._horizon = self.spec.horizon if horizon is None else horizon
        if plant is None:
            share, speed = torch.rand(2, batch, AGENTS, generator=generator, device=generator.device).to(self.device)
            position, velocity = self._low + share * (self._high - self._low), VELOCITY * (2 * speed - 1)
        else:
            position, velocity = (plant[name] for name in self.spec.plant)
        self._x = torch.stack([position, velocity], -1).float()  # [B, 3, 2]
        return self._show(torch.zeros(batch, AGENTS, device=self.device))

    def step(self, actions: Tensor) -> Step:
        """Pay for the present state and `actions` [B, 3, 1], clipped to ±1, and move."""
        check_actions(self.spec, actions, len(self._x) if hasattr(self, "_x") else None)
        over = self._elapsed >= self._horizon
        u = actions.to(self.device).clamp(-1.0, 1.0)
        cost = self._cost(u[..., 0]) * (not over)
        if not over:
            pushed = DISTURBANCE * torch.rand(len(u), generator=self._generator, device=self._generator.device)
            self._x = (self._dynamics @ self._x[..., None])[..., 0] + self._inputs * u
            self._x[:, 0, 0] -= pushed.to(self.device)
            self._elapsed += 1
            check_plant(self.spec, self._x, self._elapsed, self._horizon)
        return self._show(-cost, alive=not over)

    def state(self) -> Tensor:
        """Position and velocity of all agents, scaled, [B, 6]."""
        return self._x.flatten(1) / SIZE

    def active(self, ahead: int) -> Tensor:
        """There are no budgets, [B, ahead, 0]."""
        return torch.zeros(len(self._x), ahead, 0, device=self.device)

    def coupling_errors(self) -> Tensor:
        """x_i − x_j less its distance, [B, 3]."""
        position = self._x[..., 0]
        return position[:, self._one] - position[:, self._other] - self._distance

    def _late(self, after: int) -> float:
        """1 by the number of such steps, where more than `after` were taken."""
        return (self._elapsed > after) / max(1, self._horizon - after)

    def _outside(self) -> Tensor:
        """How far positions are outside their bounds, [B, 3]."""
        position = self._x[..., 0]
        return (self._low - position).clamp_min(0.0) + (position - self._high).clamp_min(0.0)

    def _cost(self, u: Tensor) -> Tensor:
        """Each agent's part of the stage cost, [B, 3]."""
        own = STATE_WEIGHT * self._x.square().sum(-1) + INPUT_WEIGHT * u.square() + PENALTY * self._outside()
        return own + COUPLING_WEIGHT * self.coupling_errors().square().sum(-1, keepdim=True) / AGENTS

    def _show(self, reward: Tensor, alive: bool = True) -> Step:
        batch = len(reward)
        everybody = torch.ones(batch, dtype=torch.bool, device=self.device)
        return Step(
            obs=self._x / SIZE,
            reward=reward,
            usage=torch.zeros(batch, AGENTS, 0, device=self.device),
            shortfall=None,
            active=self.active(self.spec.ahead),
            counted=torch.zeros(batch, 0, device=self.device),
            measures={
                "position": self._x[..., 0],
                "velocity": self._x[..., 1],
                # Of a whole episode these add up to means over its later steps.
                "settled_distance": (self.coupling_errors() + self._distance) * self._late(SETTLED),
                "outside_share": (self._outside() > 0).float() * self._late(BEGUN),
            },
            terminated=~everybody,
            truncated=everybody & (self._elapsed >= self._horizon),
            alive=(everybody & alive)[:, None].expand(batch, AGENTS),
        )


@dataclass(frozen=True)
class CoupledScenario(EpisodicScenario):
    """The example, whose methods are for it alone."""

    audited_at: ClassVar[str] = ADDRESS


def resolve_coupled(address: str) -> CoupledScenario:
    """The scenario of `coupled/three`.

    Raises:
        UsageError: another word.
    """
    if address != ADDRESS:
        raise UsageError(f"address '{address}': unknown example; allowed: {ADDRESS}")
    return CoupledScenario(address, CoupledLinear)


COUPLED = Family(
    resolve_coupled,
    lambda: [(ADDRESS, "three linear systems that keep their distance")],
    (ADDRESS,),
    episodic=True,
)
