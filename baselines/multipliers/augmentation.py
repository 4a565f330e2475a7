"""State augmentation: multipliers become part of what a policy sees (Calvo-Fullana et al., 2023).

A policy is trained for every price at once: per episode multipliers λ (one per budget) and ν (of the
local equality) are drawn and held, and the policy maximises r0 − λ·u + ν·s. The constant λ·c/N is left
out, so that one policy serves every budget level.
"""

from __future__ import annotations

import torch
from torch import Tensor

from accord.envs.multipliers import lagrangian
from accord.envs.task import Step, TaskSpec

EXTRA = 4  # ν, the marginal price of serving now, the gain of waiting, the gain of holding stored energy


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
    own = multipliers * spec.members  # an agent pays only for the budgets that count it
    ahead = torch.matmul(own, step.active.transpose(1, 2))
    if spec.price_field is not None:
        ahead = ahead + step.obs[..., spec.obs_fields[spec.price_field].where]
    return ahead


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
    local = step.obs
    if spec.price_field is not None:
        columns = spec.obs_fields[spec.price_field].where
        local = torch.cat([step.obs[..., : columns.start], step.obs[..., columns.stop :]], -1)
    due = load_prices(spec, prices)
    now = prices[..., 0]
    extra = torch.stack([nu, now + nu, now - due[..., 0], due.amax(-1) - due[..., 0]], -1)
    return torch.cat([local, compress(prices), compress(extra)], -1)


def load_prices(spec: TaskSpec, prices: Tensor) -> Tensor:
    """What a unit of load costs that arrives now or in a coming hour and waits for its best hour, [B, N, ahead].

    The cheapest of price + w·wait from its hour on; after the known hours the same day comes again.
    """
    hours = spec.delay_price * torch.arange(2 * spec.ahead, device=prices.device, dtype=prices.dtype)
    twice = torch.cat([prices, prices], -1) + hours
    best = twice.flip(-1).cummin(-1).values.flip(-1) - hours
    return best[..., : spec.ahead]


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
    """Near-linear around zero, logarithmic far out: prices of 0.1 and of 15 both stay readable."""
    return torch.asinh(x)


SHAPED_BY = {"waiting_load", "servable", "demand"}  # measures


class Priced:
    """An episode at held multipliers: what agents see and what they are rewarded with.

    With shaping, reward is counted from the best that the grid alone could do: r + γ·Φ' − Φ − (U + ν)·d,
    Φ = U·q + V·b the worth of the waiting load (`waiting_value`) and of the energy that the battery can
    serve (the dearest coming `load_prices`). Potential-based shaping (Ng, Harada and Russell, 1999) and a
    term that no action changes: the optimal policy stays, most of the variance goes. A task that does not measure
    `SHAPED_BY` has no such worth, and rewards there are as they are.
    """

    def __init__(
        self, spec: TaskSpec, multipliers: Tensor, nu: Tensor, shaping_gamma: float | None = None, by_size: bool = False
    ) -> None:
        """Set up.

        Args:
            spec: The task's.
            multipliers: λ [B, N or 1, m] in mean prices.
            nu: ν [B, N] in mean prices.
            shaping_gamma: The learner's discount; None for no shaping.
            by_size: Divide rewards by the size of the multipliers: held multipliers only rescale an episode,
                and over a wide range no price drowns the others.
        """
        self._spec, self._gamma = spec, shaping_gamma if spec.units.keys() >= SHAPED_BY else None
        self._multipliers, self._nu = multipliers.expand(*nu.shape, -1), nu
        self._scale = spec.usage_scale * spec.agent_scale.to(nu.device).expand(nu.shape)
        if by_size:
            self._scale = self._scale * (1.0 + self._multipliers.mean(-1) + nu.abs())

    def see(self, step: Step) -> Tensor:
        """Augmented observations, [B, N, augmented_dim]."""
        prices = effective_prices(self._spec, step, self._multipliers)
        if self._gamma is not None:
            waiting = waiting_value(self._spec, prices, self._nu, self._gamma)
            stored = load_prices(self._spec, prices).amax(-1) * step.measures["servable"]
            self._potential = (waiting * step.measures["waiting_load"] + stored) / self._scale
            self._arrival_price = waiting + self._nu
        return augment(self._spec, step, prices, self._nu)

    def advance(self, step: Step) -> tuple[Tensor, Tensor]:
        """The next observations, and each agent's own Lagrangian in mean prices per own size, [B, N]."""
        reward = lagrangian(self._spec, step, self._multipliers, self._nu) / self._spec.price_scale / self._scale
        if self._gamma is None:
            return self.see(step), reward
        arrived = self._arrival_price * step.measures["demand"] / self._scale
        reward = reward - self._potential - arrived
        obs = self.see(step)
        return obs, reward + self._gamma * self._potential
