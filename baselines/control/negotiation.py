"""Agents that find the prices of their couplings among themselves: each solves its own MPC, none sees another's model.

With the coupling errors ε = C·x − d priced by μ [N + 1, 3] and paid by w·ε², w = 10γ^l in stage l, the dual function is

    D(μ) = Σ_i V_i(s_i, μ) − μᵀd − Σ μ²/4w,        ∇D = C·x − d − μ/2w

with V_i the least of agent i's own cost + μᵀC_i·x_i. Its maximum is the central V: without the last two terms the sum
of V_i is far from it. Any μ gives a lower bound, eq. (14). The same holds of Q at given first inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from accord.baselines.control.coupled_mpc import (
    GAMMA,
    POSITION,
    STAGES,
    Parameters,
    Solution,
    Solver,
)
from accord.envs.toy.coupled_linear import AGENTS, COUPLING_WEIGHT, COUPLINGS, INPUT_WEIGHT, STATE_WEIGHT

Array = NDArray[np.float64]
Way = Literal["gradient", "accelerated", "admm"]

# Which position counts how in which coupling, [couplings, agents], and the distances.
SIGNS = np.array([[(k == i) - float(k == j) for k in range(AGENTS)] for i, j, _ in COUPLINGS])
DISTANCES = np.array([d for *_, d in COUPLINGS])
PAIR = 2  # agents of a coupling


@dataclass(frozen=True)
class Agreement:
    """What a negotiation came to.

    Attributes:
        prices: μ, [N + 1, 3].
        value: D(μ): a lower bound on the central optimum, but of ADMM, whose plans are not those at its prices.
        plans: Of each agent.
        errors: C·x − d, [N + 1, 3].
    """

    prices: Array
    value: float
    plans: tuple[Solution, ...]
    errors: Array

    @property
    def action(self) -> Array:
        """First inputs, [3]."""
        return np.concatenate([plan.action for plan in self.plans])

    def gradient(self, gamma: float) -> Array:
        """Derivative of D by the parameters, agent by agent; that of the best prices adds nothing."""
        return np.concatenate([plan.gradient(gamma) for plan in self.plans])


class Negotiation:
    """Local MPCs of three agents, and rounds of talk about prices."""

    def __init__(
        self, parameters: Parameters, *, stages: int = STAGES, gamma: float = GAMMA, rho: float = 10.0
    ) -> None:
        """Set up.

        Args:
            parameters: Of all agents; each uses its own.
            stages: N.
            gamma: Discount per stage.
            rho: Of ADMM.
        """
        self.parameters, self._stages, self._gamma, self._rho = parameters, stages, gamma, rho
        self.weights = COUPLING_WEIGHT * gamma ** np.arange(stages + 1)[:, None]  # w, [N + 1, 1]
        self._solvers: dict[tuple[int, bool, bool], Solver] = {}

    def at(self, prices: Array, state: Array, action: Array | None = None) -> Agreement:
        """Everybody's plan at prices [N + 1, 3]."""
        plans = tuple(
            self._solver(i, action is not None, admm=False).solve(
                self.parameters, state[[i]], None if action is None else action[[i]], (prices @ SIGNS[:, i])[None]
            )
            for i in range(AGENTS)
        )
        value = sum(plan.value for plan in plans) - float((prices * DISTANCES + prices**2 / (4 * self.weights)).sum())
        return Agreement(prices, value, plans, _errors(plans))

    def rounds(self, way: Way, count: int, state: Array, action: Array | None = None) -> list[Agreement]:
        """What each of some rounds comes to, from prices of zero on.

        Args:
            way: gradient: μ + ∇D/L, L what bounds D's curvature. accelerated: Nesterov's, each price by a step of its
                own, 1/Σ_j |K_ij|. admm: sharing.
            count: Of rounds.
            state: [3, 2].
            action: First inputs, [3]; None where they are free.
        """
        if way == "admm":
            return self._share(count, state, action)
        curvature = self._curvature()
        if way == "gradient":
            step = np.full(curvature.shape[0], 1 / np.linalg.eigvalsh(curvature)[-1])
        else:
            step = 1 / np.abs(curvature).sum(1)
        return self._climb(step.reshape(-1, len(COUPLINGS)), count, state, action, accelerated=way == "accelerated")

    def _climb(
        self, step: Array, count: int, state: Array, action: Array | None, *, accelerated: bool
    ) -> list[Agreement]:
        """Projected gradients need no projection here: couplings are equalities."""
        found, momentum = list[Agreement](), 1.0
        before = ahead = np.zeros_like(step)
        for _ in range(count):
            here = self.at(ahead, state, action)
            prices = ahead + step * (here.errors - ahead / (2 * self.weights))
            found.append(here)
            following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
            ahead = prices + (momentum - 1) / following * (prices - before) if accelerated else prices
            before, momentum = prices, following
        return found

    def _share(self, count: int, state: Array, action: Array | None) -> list[Agreement]:
        """ADMM: z is what each coupling wants of the mean share of its two agents, u its scaled price."""
        rho, found = self._rho, list[Agreement]()
        u = np.zeros((self._stages + 1, len(COUPLINGS)))
        share = np.zeros((AGENTS, *u.shape))
        for i in range(AGENTS):
            share[i] = state[i, 0] * SIGNS[:, i]
        mean = share.sum(0) / PAIR
        z = self._wanted(mean + u)
        for _ in range(count):
            plans = []
            for i in range(AGENTS):
                wanted = share[i] - mean + z - u
                solver = self._solver(i, action is not None, admm=True)
                given = None if action is None else action[[i]]
                plan = solver.solve(self.parameters, state[[i]], given, -rho * (wanted @ SIGNS[:, i])[None])
                share[i] = plan.plan[0, :, [POSITION]].T * SIGNS[:, i]
                plans.append(plan)
            mean = share.sum(0) / PAIR
            z = self._wanted(mean + u)
            u = u + mean - z
            found.append(Agreement(rho * u, float("nan"), tuple(plans), _errors(plans)))
        return found

    def _wanted(self, q: Array) -> Array:
        """argmin_z of w·(2z − d)² + 2ρ/2·(z − q)²."""
        return (2 * self.weights * DISTANCES + self._rho * q) / (2 * PAIR * self.weights + self._rho)

    def _solver(self, i: int, given: bool, *, admm: bool) -> Solver:
        key = i, given, admm
        if key not in self._solvers:
            weight = self._rho * float(np.abs(SIGNS[:, i]).sum()) if admm else 0.0
            self._solvers[key] = Solver([i], self._stages, self._gamma, given=given, coupled=False, weight=weight)
        return self._solvers[key]

    def _curvature(self) -> Array:
        """K: D is nowhere more curved, [3(N + 1), 3(N + 1)]. Bounds that hold an agent only flatten it."""
        size, couplings = self._stages + 1, len(COUPLINGS)
        curvature = np.diag(np.repeat(1 / (2 * self.weights[:, 0]), couplings))
        for i in range(AGENTS):
            response = _response(self.parameters, i, self._stages, self._gamma)
            curvature += np.einsum("st,c,d->sctd", response, SIGNS[:, i], SIGNS[:, i]).reshape(2 * [size * couplings])
        return curvature


def _response(parameters: Parameters, i: int, stages: int, gamma: float) -> Array:
    """How positions give way to their prices where nothing holds them, [N + 1, N + 1]."""
    a, b = parameters.a[i], parameters.b[i]
    states = np.zeros((stages + 1, 2, stages))  # by inputs
    for stage in range(stages):
        states[stage + 1] = a @ states[stage]
        states[stage + 1][:, stage] += b
    discount = gamma ** np.arange(stages + 1)
    hessian = 2 * STATE_WEIGHT * np.einsum("t,tka,tkb->ab", discount, states, states)
    hessian += 2 * INPUT_WEIGHT * np.diag(discount[:-1])
    return np.asarray(states[:, 0] @ np.linalg.solve(hessian, states[:, 0].T))


def _errors(plans: tuple[Solution, ...] | list[Solution]) -> Array:
    position = np.stack([plan.plan[0, :, POSITION] for plan in plans], -1)  # [N + 1, 3]
    return position @ SIGNS.T - DISTANCES
