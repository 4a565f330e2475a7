"""Parametric MPC of coupled linear systems, as value functions: V(s), Q(s, a) and how they depend on the parameters.

Agent i predicts x⁺ = A_i·x + B_i·u + b_i over N stages and minimises, discounted by γ a stage,

    .1·‖x‖² + .1·u² + f_i·(x, u) + 100·(how far the position is outside [low + lb_i, high + ub_i])

and V0_i, all but the last stage with an input in [−1, 1]. Coupled agents pay 10·(x_i − x_j − d)² together in every
stage: equalities with slack, for hard ones cannot be met from most states and their multipliers diverge. Q(s, a) fixes
the first input. Esfahani and Gros, eqs. (8) to (11), with the coupling term of (32).

By the envelope theorem the derivatives of V and Q are those of the Lagrangian, eq. (28), at the central optimum as much
as at multipliers that agents found among themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import clarabel
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from accord.envs.toy.coupled_linear import (
    AGENTS,
    BOUNDS,
    COUPLING_WEIGHT,
    COUPLINGS,
    DISTURBANCE,
    DYNAMICS,
    INPUT_WEIGHT,
    INPUTS,
    PENALTY,
    STATE_WEIGHT,
)

Array = NDArray[np.float64]
MODEL = (((1.0, 0.25), (0.0, 1.0)), (0.0312, 0.25))  # A and B that everybody begins with, eq. (31)
STAGES, GAMMA = 10, 0.9
BACK_OFF = 0.06  # of the first agent's lower bound, where the model is known
# Columns of a stage of an agent: position, velocity, input, and what the bounds are passed by, below and above.
POSITION, VELOCITY, INPUT, BELOW, ABOVE = range(5)
WIDTH = 5


@dataclass(frozen=True)
class Parameters:
    """What is learned, of all agents.

    Attributes:
        a: Dynamics, [3, 2, 2].
        b: Effect of the input, [3, 2].
        drift: b_i of the module, [3, 2].
        cost: f_i: linear costs of position, velocity and input, [3, 3].
        value: V0_i, [3].
        low: lb_i: how far the lower bound is held back, [3].
        high: ub_i, [3].
    """

    a: Array
    b: Array
    drift: Array
    cost: Array
    value: Array
    low: Array
    high: Array

    @classmethod
    def unlearned(cls) -> Parameters:
        """The imperfect model of eq. (31), without back-off."""
        a, b = (np.repeat(np.array(part)[None], AGENTS, 0) for part in MODEL)
        zeros = [np.zeros((AGENTS, 2)), np.zeros((AGENTS, 3)), *np.zeros((3, AGENTS))]
        return cls(a, b, *zeros)

    @classmethod
    def true(cls) -> Parameters:
        """The systems' own model, the mean of the push, and a bound that is held back for what it varies by."""
        start = cls.unlearned()
        drift, low = np.zeros_like(start.drift), np.zeros_like(start.low)
        drift[0, 0], low[0] = -DISTURBANCE / 2, BACK_OFF
        return replace(start, a=np.array(DYNAMICS), b=np.array(INPUTS), drift=drift, low=low)

    @property
    def vector(self) -> Array:
        """All numbers of agent 0, then of 1 and 2, [3·14]."""
        return np.concatenate([getattr(self, f.name).reshape(AGENTS, -1) for f in fields(self)], 1).ravel()

    def with_vector(self, vector: Array) -> Parameters:
        """The parameters of these numbers; see `vector`."""
        rows, parts, at = vector.reshape(AGENTS, -1), {}, 0
        for f in fields(self):
            old = getattr(self, f.name)
            width = old.size // AGENTS
            parts[f.name] = rows[:, at : at + width].reshape(old.shape)
            at += width
        return replace(self, **parts)

    def with_back_off(self, most: float) -> Parameters:
        """Bounds are held back, by at most so much, and not let out."""
        return replace(self, low=self.low.clip(0.0, most), high=self.high.clip(-most, 0.0))


@dataclass(frozen=True)
class Solution:
    """An optimum.

    Attributes:
        value: V or Q.
        plan: Every variable, [3, N + 1, 5], see `POSITION` to `ABOVE`.
        dynamics: Dual values of the rows x⁺ − A·x − B·u = b, [3, N, 2].
        below: Of the lower bounds, [3, N + 1].
        above: Of the upper bounds, [3, N + 1].
    """

    value: float
    plan: Array
    dynamics: Array
    below: Array
    above: Array

    @property
    def action(self) -> Array:
        """First inputs, [3]."""
        return self.plan[:, 0, INPUT]

    @property
    def couplings(self) -> Array:
        """x_i − x_j − d of every stage, [N + 1, 3]."""
        position = self.plan[..., POSITION]
        return np.stack([position[i] - position[j] - d for i, j, d in COUPLINGS], -1)

    def gradient(self, gamma: float) -> Array:
        """Derivative of the value by `Parameters.vector`, eq. (28)."""
        plan, rows = self.plan[:, :-1], self.dynamics
        states, inputs = plan[..., [POSITION, VELOCITY]], plan[..., INPUT]
        discount = gamma ** np.arange(plan.shape[1])
        parts = [
            -np.einsum("itm,itn->imn", rows, states).reshape(len(plan), -1),
            -np.einsum("itm,it->im", rows, inputs),
            -rows.sum(1),
            np.einsum("t,itk->ik", discount, plan[..., [POSITION, VELOCITY, INPUT]]),
            np.ones((len(plan), 1)),
            self.below.sum(1, keepdims=True),
            -self.above.sum(1, keepdims=True),
        ]
        return np.concatenate(parts, 1).ravel()


class CoupledMpc:
    """The central optimum of all agents, for states, for states and actions, and any parameters."""

    def __init__(self, parameters: Parameters, *, stages: int = STAGES, gamma: float = GAMMA) -> None:
        """Set up."""
        self.stages, self.gamma, self.parameters = stages, gamma, parameters
        self._solvers: dict[bool, Solver] = {}

    def value(self, state: Array) -> Solution:
        """V(s) and its plan, whose first inputs are the policy; state [3, 2]."""
        return self._solve(state, None)

    def action_value(self, state: Array, action: Array) -> Solution:
        """Q(s, a); state [3, 2], action [3]."""
        return self._solve(state, action)

    def _solve(self, state: Array, action: Array | None) -> Solution:
        given = action is not None
        if given not in self._solvers:
            self._solvers[given] = Solver(range(AGENTS), self.stages, self.gamma, given=given, coupled=True)
        return self._solvers[given].solve(self.parameters, state, action)


class Solver:
    """A quadratic programme of some agents, kept between calls: what changes are its numbers alone."""

    def __init__(
        self, agents: Sequence[int], stages: int, gamma: float, *, given: bool, coupled: bool, weight: float = 0.0
    ) -> None:
        """Set up.

        Args:
            agents: Who is planned for.
            stages: N.
            gamma: Discount per stage.
            given: First inputs are given.
            coupled: All agents pay for their couplings.
            weight: Of positions' squares on top, as negotiations by ADMM ask for: w/2·‖·‖².
        """
        self._agents, self._stages, self._given = list(agents), stages, given
        n, t = len(self._agents), stages + 1
        self._discount = gamma ** np.arange(t)
        self._index = np.arange(n * t * WIDTH).reshape(n, t, WIDTH)
        self._rows_of(n, t)
        quadratic, self._cost, self._constant = self._costs(coupled=coupled, weight=weight)
        settings = clarabel.DefaultSettings()
        settings.verbose = settings.presolve_enable = False
        settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-10
        matrix, right = self._numbers(Parameters.unlearned(), np.zeros((n, 2)), np.zeros(n))
        cones = [clarabel.ZeroConeT(self._equal), clarabel.NonnegativeConeT(len(right) - self._equal)]
        self._solver = clarabel.DefaultSolver(quadratic, self._cost, matrix, right, cones, settings)

    def solve(
        self, parameters: Parameters, state: Array, action: Array | None = None, prices: Array | None = None
    ) -> Solution:
        """The optimum.

        Args:
            parameters: Of all agents.
            state: Of those that are planned for, [n, 2].
            action: Their first inputs, [n]; None where these are free.
            prices: Linear costs of their positions, [n, N + 1]; None for none.

        Raises:
            RuntimeError: the solver did not find it.
        """
        own = self._agents
        cost, last = self._cost.copy(), self._discount[:-1]
        for column, k in ((POSITION, 0), (VELOCITY, 1), (INPUT, 2)):
            np.add.at(cost, self._index[:, :-1, column], parameters.cost[own, k, None] * last)
        if prices is not None:
            np.add.at(cost, self._index[..., POSITION], prices)
        matrix, right = self._numbers(parameters, state, action)
        self._solver.update(q=cost, A=matrix.data, b=right)
        found = self._solver.solve()
        if found.status != clarabel.SolverStatus.Solved:
            raise RuntimeError(f"coupled MPC: Clarabel ended with {found.status}")
        duals, n, t = np.array(found.z), len(own), self._stages + 1
        bounds = duals[self._equal : self._equal + 2 * n * t].reshape(2, n, t)
        return Solution(
            found.obj_val + self._constant + float(parameters.value[own].sum()),
            np.array(found.x).reshape(n, t, WIDTH),
            duals[2 * n : 2 * n + 2 * n * self._stages].reshape(n, self._stages, 2),
            *bounds,
        )

    def _rows_of(self, n: int, t: int) -> None:
        """Which entry stands where: begin, dynamics, given inputs; then bounds, signs, inputs."""
        index, entries, self._equal = self._index, list[tuple[NDArray[np.intp], NDArray[np.intp], Array]](), 0
        row = 0

        def add(count: int, *terms: tuple[NDArray[np.intp], float]) -> None:
            nonlocal row
            for columns, value in terms:
                entries.append((row + np.arange(count), columns.ravel(), np.full(count, value)))
            row += count

        states = index[..., [POSITION, VELOCITY]]
        add(2 * n, (states[:, 0], 1.0))
        begin, steps = row, self._stages
        add(2 * n * steps, (states[:, 1:], 1.0))
        # −A by row and column, then −B: their numbers come with the parameters.
        cells = begin + np.arange(2 * n * steps).reshape(n, steps, 2)
        model_rows = np.concatenate([np.repeat(cells.ravel(), 2), cells.ravel()])
        before = np.repeat(states[:, :-1, None], 2, 2).ravel()
        inputs = np.repeat(index[:, :-1, [INPUT]], 2, 2).ravel()
        self._model = len(model_rows)
        if self._given:
            add(n, (index[:, 0, INPUT], 1.0))
        self._equal = row
        position, below, above = (index[..., k] for k in (POSITION, BELOW, ABOVE))
        add(n * t, (position, -1.0), (below, -1.0))
        add(n * t, (position, 1.0), (above, -1.0))
        add(n * t, (below, -1.0))
        add(n * t, (above, -1.0))
        add(n * steps, (index[:, :-1, INPUT], 1.0))
        add(n * steps, (index[:, :-1, INPUT], -1.0))
        rows = np.concatenate([model_rows, *(r for r, _, _ in entries)])
        columns = np.concatenate([before, inputs, *(c for _, c, _ in entries)])
        self._fixed = np.concatenate([v for _, _, v in entries])
        # Where each entry goes in the compressed matrix; zeros of the model are entries too.
        order = sparse.csc_array((np.arange(len(rows)), (rows, columns)), shape=(row, index.size))
        self._matrix, self._order = order, order.data.astype(np.intp)

    def _costs(self, *, coupled: bool, weight: float) -> tuple[sparse.csc_matrix, Array, float]:
        """Quadratic costs, upper triangle; linear ones; and what no variable changes."""
        index, discount, constant = self._index, self._discount, 0.0
        size = index.size
        quadratic, cost = sparse.lil_array((size, size)), np.zeros(size)
        for column, own in ((POSITION, STATE_WEIGHT), (VELOCITY, STATE_WEIGHT), (INPUT, INPUT_WEIGHT)):
            for k in index[..., column]:
                quadratic[k, k] = 2 * own * discount + weight * (column == POSITION)
        for column in (BELOW, ABOVE):
            cost[index[..., column]] = PENALTY * discount
        for i, j, d in COUPLINGS if coupled else ():
            one, other, shared = index[i, :, POSITION], index[j, :, POSITION], 2 * COUPLING_WEIGHT * discount
            quadratic[one, one] = quadratic[one, one] + shared
            quadratic[other, other] = quadratic[other, other] + shared
            quadratic[one, other] = -shared  # i < j: above the diagonal
            cost[one] -= shared * d
            cost[other] += shared * d
            constant += float((COUPLING_WEIGHT * discount * d**2).sum())
        return sparse.csc_matrix(sparse.triu(quadratic)), cost, constant

    def _numbers(self, parameters: Parameters, state: Array, action: Array | None) -> tuple[sparse.csc_matrix, Array]:
        """The rows and their right sides."""
        own, t = self._agents, self._stages + 1
        steps = self._stages
        a = np.repeat(parameters.a[own][:, None], steps, 1).ravel()
        b = np.repeat(parameters.b[own][:, None], steps, 1).ravel()
        matrix = sparse.csc_matrix(
            (np.concatenate([-a, -b, self._fixed])[self._order], self._matrix.indices, self._matrix.indptr),
            shape=self._matrix.shape,
        )
        low, high = np.array(BOUNDS)[own].T
        right = [state.ravel(), np.repeat(parameters.drift[own][:, None], steps, 1).ravel()]
        right += [] if action is None or not self._given else [action]
        n = len(own)
        right += [np.repeat(-(low + parameters.low[own]), t), np.repeat(high + parameters.high[own], t)]
        right += [np.zeros(2 * n * t), np.ones(2 * n * steps)]
        return matrix, np.concatenate(right)
