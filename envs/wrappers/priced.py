"""A constrained task whose reward pays for its constraints: for learners that know rewards alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, TypeGuard

import numpy as np
import torch
from torch import Tensor

from accord.envs.errors import UsageError, quoted
from accord.envs.multipliers import MultiplierDraw, equal_shares, lagrangian
from accord.envs.task import Field, Initial, Step, Task

Price = float | Mapping[str, float] | Literal["drawn"]
HIGHEST = 1e9  # mean prices; rewards are float32
DRAWN, SHORTFALL = "drawn", "shortfall"
SHOWN = {"budget_prices": (0.0, math.inf), "shortfall_price": (-math.inf, math.inf)}  # fields and their bounds


class PricedTask(Task):
    """The same task with its constraints paid for in each agent's reward.

        r0 − price_scale · (Σ_k λ_k · counted_k · (u_k − c_k/N_k) + π · s)

    u_k is the agent's use of budget k's resource in a step, c_k/N_k its equal share of the limit among the N_k agents
    of the budget (0 for the others), s its shortfall. λ_k ≥ 0 and π are prices in mean prices (`TaskSpec.price_scale`,
    $ per unit), so rewards stay in the task's currency. π is −ν of the methods here: above 0, postponing costs. Summed
    over agents and steps it is the Lagrangian of the task. Rewards have one part.

    Prices are held: given once, or drawn at every reset as the state-augmented methods draw them in training, λ once
    per copy and π once per agent. Drawn ones are appended to observations, as the fields `budget_prices` [m] and
    `shortfall_price` [1], and to states, λ [m] and π [N].
    """

    def __init__(self, task: Task, price: Price, draw: MultiplierDraw | None = None) -> None:
        """Wrap a task.

        Args:
            task: With budgets.
            price: λ of every budget; or λ by name of the budget, and `shortfall` for π, 0 for those left out; or
                `drawn`.
            draw: From what prices are drawn; None for what the methods here draw from by default.

        Raises:
            UsageError: the task has no budgets, or the price names something else, or is no number.
        """
        spec = task.spec
        self._task, self._price, self._draw = task, price, draw or MultiplierDraw()
        self.device = task.device
        if not spec.budgets:
            raise UsageError(f"price: task '{spec.name}' has no budgets; leave price out")
        self._is_drawn, self._is_held = isinstance(price, str) and price == DRAWN, False
        self._lam, self._due = self._prices({} if self._is_drawn else price)  # [B or 1, 1, m], [B or 1, N or 1]
        self._share = equal_shares(spec)
        self.spec = replace(
            spec,
            obs_fields={**spec.obs_fields, **self._fields()},
            state_dim=spec.state_dim + self._is_drawn * (len(spec.budgets) + spec.n_agents),
            reward_parts=(),
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
        """See `Task.reset`; prices are drawn first."""
        if self._is_drawn and not self._is_held:
            lam, nu = self._draw.draw(self._task.spec, (batch, self.spec.n_agents), generator)
            self._lam, self._due = lam[:, :1].to(self.device), -nu.to(self.device)
        step = self._task.reset(batch, generator, start=start, horizon=horizon, initial=initial)
        if step.shortfall is None and not self._is_drawn and bool(self._due.any()):
            raise UsageError(f"price of '{SHORTFALL}': task '{self.spec.name}' has no {SHORTFALL}; leave it out")
        return self._shown(replace(step, reward_parts=None))

    def step(self, actions: Tensor) -> Step:
        """Advance, and pay."""
        spec, step = self._task.spec, self._task.step(actions)
        allowed = (self._lam * step.counted[:, None] * self._share).sum(-1)
        reward = lagrangian(spec, step, self._lam, -self._due) + spec.price_scale * allowed
        return self._shown(replace(step, reward=reward, reward_parts=None))

    def charge(self, price: float | Mapping[str, float]) -> None:
        """Hold these prices from the next step on, in place of drawn ones: for a trained policy's dual updates.

        Args:
            price: As in the class.

        Raises:
            UsageError: it names something else, or is no number.
        """
        self._lam, self._due = self._prices(price)
        self._is_held = True

    def state(self) -> Tensor:
        """The task's state, then the prices where they are drawn, [B, S]."""
        state = self._task.state()
        if not self._is_drawn:
            return state
        prices = torch.cat([self._lam[:, 0], self._due.expand(len(self._due), self.spec.n_agents)], -1)
        return torch.cat([state, prices.expand(len(state), -1)], -1)

    def state_bounds(self) -> tuple[Tensor, Tensor]:
        """See `Task.state_bounds`."""
        low, high = self._task.state_bounds()
        added = self.spec.state_dim - len(low)
        unknown = torch.full((added,), math.inf)
        return torch.cat([low, -unknown]), torch.cat([high, unknown])

    def active(self, ahead: int) -> Tensor:
        """See `Task.active`."""
        return self._task.active(ahead)

    def coming_prices(self, ahead: int) -> Tensor | None:
        """See `Task.coming_prices`."""
        return self._task.coming_prices(ahead)

    def guide(self, on: bool) -> None:
        """See `Task.guide`."""
        self._task.guide(on)

    def take(self, agents: Tensor) -> PricedTask:
        """See `Task.take`."""
        return PricedTask(self._task.take(agents), self._price, self._draw)

    def _fields(self) -> dict[str, Field]:
        if not self._is_drawn:
            return {}
        start, m = self._task.spec.obs_dim, len(self._task.spec.budgets)
        wheres = (slice(start, start + m), slice(start + m, start + m + 1))
        return {
            name: Field(where, "$ per unit", "mean price", low=low, high=high)
            for where, (name, (low, high)) in zip(wheres, SHOWN.items(), strict=True)
        }

    def _shown(self, step: Step) -> Step:
        if not self._is_drawn:
            return step
        shape = step.reward.shape
        prices = torch.cat([self._lam.expand(*shape, -1), self._due.expand(shape)[..., None]], -1)
        return replace(step, obs=torch.cat([step.obs, prices.to(step.obs)], -1))

    def _prices(self, price: object) -> tuple[Tensor, Tensor]:
        """λ [1, 1, m] and π [1, 1] of prices as they are typed.

        Raises:
            UsageError: see the class.
        """
        budgets = [budget.name for budget in self._task.spec.budgets]
        words = (
            f"a number from 0 to {HIGHEST:.0f}, '{DRAWN}', or numbers by name of {', '.join(budgets)} or {SHORTFALL}"
        )
        if not (isinstance(price, Mapping) or (_is_number(price) and price >= 0)):
            raise UsageError(f"price {quoted(price)}; allowed: {words}")
        named: Mapping[Any, Any] = price if isinstance(price, Mapping) else dict.fromkeys(budgets, price)
        for name, value in named.items():
            if name not in (*budgets, SHORTFALL):
                raise UsageError(f"price of {quoted(name)}: unknown name; allowed: {words}")
            if not (_is_number(value) and (value >= 0 or name == SHORTFALL)):
                raise UsageError(f"price of '{name}' is {quoted(value)}; allowed: {words}, which alone may be below 0")
        lam = [float(named.get(name, 0.0)) for name in budgets]
        due = float(named.get(SHORTFALL, 0.0))
        return torch.tensor([[lam]], device=self.device), torch.tensor([[due]], device=self.device)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and bool(np.abs(value) <= HIGHEST)
