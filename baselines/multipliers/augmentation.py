"""State augmentation: multipliers become part of what a policy sees (Calvo-Fullana et al., 2023).

A policy is trained for every price at once: per episode multipliers λ (one per budget) and ν (of the
local equality) are drawn and held, and the policy maximises r0 − λ·u + ν·s. The constant λ·c/N is left
out, so that one policy serves every budget level.
"""

from __future__ import annotations

import torch
from torch import Tensor

from accord.envs.multipliers import lagrangian
from accord.envs.task import Step, Task, TaskSpec

EXTRA = 4  # ν, the marginal price of serving now, the gain of waiting, the gain of holding stored energy
AT_ONCE = 2**15  # most steps of agents that are worked out together


def augmented_dim(spec: TaskSpec) -> int:
    """Width of `augment`'s result."""
    priced = spec.price_field is not None
    return spec.obs_dim + (0 if priced else spec.ahead) + EXTRA


def effective_prices(spec: TaskSpec, step: Step, multipliers: Tensor) -> Tensor:
    """P + λ of the coming hours in mean prices, the present first, [B, N, ahead]; λ alone without a tariff.

    Args:
        spec: The task's.
        step: Observation [B, N, O] and active budgets [B, ahead, m].
        multipliers: λ [B, N, m] in mean prices.
    """
    tariff = None if spec.price_field is None else step.obs[..., spec.obs_fields[spec.price_field].where]
    return _effective(spec, step.active, tariff, multipliers)


def _effective(spec: TaskSpec, active: Tensor, tariff: Tensor | None, multipliers: Tensor) -> Tensor:
    own = multipliers * spec.members  # an agent pays only for the budgets that count it
    ahead = torch.matmul(own, active.transpose(1, 2))
    return ahead if tariff is None else ahead + tariff


def augment(spec: TaskSpec, step: Step, prices: Tensor, nu: Tensor) -> Tensor:
    """An observation with its multipliers, [B, N, augmented_dim].

    Multipliers enter as effective prices of the coming hours, rolled to now, in place of the tariff. Two
    combinations are added because the best decision turns on them: p + λ + ν now, the marginal price of
    serving one unit, and the most that waiting for a cheaper hour saves, delay paid.

    Args:
        spec: The task's.
        step: Observation [B, N, O].
        prices: What `effective_prices` gives, [B, N, ahead].
        nu: ν [B, N] in mean prices.
    """
    return _join(spec, step.obs, _price_columns(compress(prices), prices, load_prices(spec, prices), nu))


def _price_columns(compressed: Tensor, prices: Tensor, due: Tensor, nu: Tensor) -> Tensor:
    now = prices[..., 0]
    extra = torch.stack([nu, now + nu, now - due[..., 0], due.amax(-1) - due[..., 0]], -1)
    return torch.cat([compressed, compress(extra)], -1)


def _join(spec: TaskSpec, obs: Tensor, prices: Tensor) -> Tensor:
    """Price columns in place of the tariff's."""
    if spec.price_field is None:
        return torch.cat([obs, prices], -1)
    tariff = spec.obs_fields[spec.price_field].where
    before, behind = obs[..., : tariff.start], obs[..., tariff.stop :]
    return torch.cat([before, behind, prices], -1)


def load_prices(spec: TaskSpec, prices: Tensor) -> Tensor:
    """What a unit of load costs that arrives now or in a coming hour and waits for its best hour, [B, N, ahead].

    The cheapest of price + w·wait from its hour on; after the known hours the same day comes again.
    """
    waits = spec.delay_price * torch.arange(spec.ahead, device=prices.device, dtype=prices.dtype)
    best = (prices + waits).flip(-1).cummin(-1).values.flip(-1)  # of this day's hours from each on
    return torch.minimum(best, best[..., :1] + spec.delay_price * spec.ahead) - waits


def waiting_value(spec: TaskSpec, prices: Tensor, nu: Tensor, gamma: float) -> Tensor:
    """Discounted worth of one unit of waiting load to its agent, served from the grid at the best coming hour, [B, N].

    Serving at k hours from now earns −ν − price_k then, and waiting costs w in each hour before; never
    serving costs w for ever.
    """
    hours = torch.arange(spec.ahead, device=prices.device, dtype=prices.dtype)
    discount = gamma**hours
    if gamma < 1:
        waited, never = (1 - discount) / (1 - gamma), 1 / (1 - gamma)
    else:
        waited, never = hours, torch.inf
    best = (discount * (-nu[..., None] - prices) - spec.delay_price * waited).amax(-1)
    return torch.clamp_min(best, -spec.delay_price * never) if spec.delay_price > 0 else best.clamp_min(0.0)


def compress(x: Tensor) -> Tensor:
    """Inverse hyperbolic sine: near-linear around zero, logarithmic far out, so that 0.1 and 15 both stay readable.

    To float32's rounding of numbers near 1; torch's own takes several times as long as what it is made of.
    """
    size = x.abs()
    return torch.copysign((size.square() + 1.0).sqrt_().add_(size).log_(), x)


SHAPED_BY = {"waiting_load", "servable", "demand"}  # measures


class Priced:
    """An episode at held multipliers: what agents see and what they are rewarded with.

    With shaping, reward is counted from the best that the grid alone could do: r + γ·Φ' − Φ − (U + ν)·d,
    Φ = U·q + V·b the worth of the waiting load (`waiting_value`) and of the energy that the battery can
    serve (the dearest coming `load_prices`). Potential-based shaping (Ng, Harada and Russell, 1999) and a
    term that no action changes: the optimal policy stays, most of the variance goes. A task that does not measure
    `SHAPED_BY` has no such worth, and rewards there are as they are.

    Where a task knows its prices ahead (`Task.coming_prices`), those of many steps are worked out together.
    """

    def __init__(
        self, task: Task, multipliers: Tensor, nu: Tensor, shaping_gamma: float | None = None, by_size: bool = False
    ) -> None:
        """Set up.

        Args:
            task: What is priced; `see` is called where it stands, once for each of its steps.
            multipliers: λ [B, N or 1, m] in mean prices.
            nu: ν [B, N] in mean prices.
            shaping_gamma: The learner's discount; None for no shaping.
            by_size: Divide rewards by the size of the multipliers: held multipliers only rescale an episode,
                and over a wide range no price drowns the others.
        """
        spec = task.spec
        self._task, self._spec = task, spec
        self._gamma = shaping_gamma if spec.units.keys() >= SHAPED_BY else None
        self._multipliers, self._nu = multipliers.expand(*nu.shape, -1), nu
        self._scale = spec.usage_scale * spec.agent_scale.to(nu.device).expand(nu.shape)
        if by_size:
            self._scale = self._scale * (1.0 + self._multipliers.mean(-1) + nu.abs())
        self._coming: list[tuple[Tensor, ...]] = []
        self._row = 0

    def see(self, step: Step) -> Tensor:
        """Augmented observations, [B, N, augmented_dim]."""
        if self._row == len(self._coming):
            self._coming, self._row = self._look_ahead(step), 0
        columns, *worth = self._coming[self._row]
        self._row += 1
        if worth:
            waiting, dearest, self._arrival_price = worth
            stored = dearest * step.measures["servable"]
            self._potential = (waiting * step.measures["waiting_load"] + stored) / self._scale
        return _join(self._spec, step.obs, columns)

    def advance(self, step: Step) -> tuple[Tensor, Tensor]:
        """The next observations, and each agent's own Lagrangian in mean prices per own size, [B, N]."""
        reward = lagrangian(self._spec, step, self._multipliers, self._nu) / self._spec.price_scale / self._scale
        if self._gamma is None:
            return self.see(step), reward
        arrived = self._arrival_price * step.measures["demand"] / self._scale
        reward = reward - self._potential - arrived
        obs = self.see(step)
        return obs, reward + self._gamma * self._potential

    def _look_ahead(self, step: Step) -> list[tuple[Tensor, ...]]:
        """Of this step and those after it: price columns and, with shaping, worth of load, of energy and of arrivals.

        A day and the step after it at most, so that a rollout of a day needs one call.
        """
        spec, nu = self._spec, self._nu
        steps = max(1, min(spec.ahead + 1, AT_ONCE // nu.numel()))
        tariff = self._task.coming_prices(steps + spec.ahead - 1)
        if tariff is None:
            prices = effective_prices(spec, step, self._multipliers)
        else:
            active = self._task.active(steps + spec.ahead - 1)
            prices = _effective(spec, active, tariff, self._multipliers)
        # Both are views [steps, B, N, ahead] of numbers that were worked out once.
        windows, compressed = (row.unfold(-1, spec.ahead, 1).movedim(2, 0) for row in (prices, compress(prices)))
        due = load_prices(spec, windows)
        found = [_price_columns(compressed, windows, due, nu.expand(windows.shape[:-1]))]
        if self._gamma is not None:
            waiting = waiting_value(spec, windows, nu, self._gamma)
            found += [waiting, due.amax(-1), waiting + nu]
        return list(zip(*(part.unbind() for part in found), strict=True))
