"""What a rollout leaves, added up while it runs: no metric needs the whole trajectory in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from accord.baselines.base import Ledger
from accord.baselines.rollout import Spent
from accord.envs.task import Step, TaskSpec

DAY = 24
MEASURES = ("import_kwh", "price", "carbon", "demand", "waiting_load")  # of which anything is worked out
TRACED_AGENTS = 1000  # full traces are kept up to this many agents


@dataclass
class Timings(Spent):
    """Seconds spent in execution, and what was sent."""

    messages: float = 0.0
    bytes: float = 0.0


@dataclass
class Slope:
    """Least-squares slope over time of a tensor that arrives value by value."""

    count: int = 0
    time_sum: float = 0.0
    time_square: float = 0.0
    value_sum: Tensor | float = 0.0
    product_sum: Tensor | float = 0.0

    def add(self, time: float, value: Tensor) -> None:
        """Take in one value."""
        self.count += 1
        self.time_sum += time
        self.time_square += time * time
        self.value_sum = self.value_sum + value.double()
        self.product_sum = self.product_sum + time * value.double()

    def per_time(self) -> Tensor | None:
        """Slope per unit of time; None with fewer than two values."""
        spread = self.count * self.time_square - self.time_sum**2
        if self.count < 2 or spread <= 0:
            return None
        return torch.as_tensor((self.count * self.product_sum - self.time_sum * self.value_sum) / spread)


@dataclass
class Trajectory:
    """Running sums over the measured hours of one copy of a task, in float64, on the processor wherever the task is.

    Attributes:
        spec: The task's.
        hours: T, measured hours.
        multiplier_limit: Where multipliers saturate, in mean prices; None without a limit.
        used: [m] Σ over counted hours and members of the usage.
        counted: [m] hours in which each budget counted.
        days: What `used` and `counted` were at the end of each day.
        hour_excess: Largest (use − limit)/scale of the budgets that count, of each hour in which one does.
        series: Named [T] arrays of the district: import_kwh, price, demand, waiting_load.
        sums: Named per-agent sums over the hours, [N]: bill, import_kwh, waiting_load, demand, carbon, reward. Of
            episodes their means: reward and collisions [N], served and completed [].
        backlog: Slope of the daily mean waiting load over the second half, per day, [N].
        drift: Slope of the multipliers over the second half, per hour, [N, m].
        saturated, disagreement, spread, multiplier_steps: Running sums over the second half, see the metrics.
        disagreement_bound: The same of theory's bound on the disagreement; None without one.
        ledger: What moved the multipliers over the hours; None where none move.
        final_waiting: Waiting load at the end, [N].
        traces: Named arrays for figures; empty above `TRACED_AGENTS` agents.
    """

    spec: TaskSpec
    hours: int
    multiplier_limit: float | None = None
    used: Tensor = field(init=False)
    counted: Tensor = field(init=False)
    days: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    hour_excess: list[float] = field(default_factory=list)
    series: dict[str, list[float]] = field(default_factory=dict)
    sums: dict[str, Tensor] = field(default_factory=dict)
    backlog: Slope = field(default_factory=Slope)
    drift: Slope = field(default_factory=Slope)
    saturated: float = 0.0
    disagreement: float = 0.0
    spread: float = 0.0
    multiplier_steps: int = 0
    disagreement_bound: float | None = None
    traces: dict[str, list[np.ndarray]] = field(default_factory=dict)
    ledger: Ledger | None = None
    final_waiting: Tensor | None = None
    _day: Tensor | float = 0.0

    def __post_init__(self) -> None:
        m = len(self.spec.budgets)
        self.used, self.counted = torch.zeros(m, dtype=torch.float64), torch.zeros(m, dtype=torch.float64)
        scales = [b.scale if b.scale > 0 else 1.0 for b in self.spec.budgets]
        self.scales = torch.tensor(scales, dtype=torch.float64)
        self.limits = self.spec.limits.double().cpu()
        self.members, self._resource = self.spec.members.cpu(), self.spec.resource_of.cpu()
        self._step = 0

    def add(self, step: Step, multipliers: Tensor | None = None, bound: Tensor | None = None) -> None:
        """Take in the outcome of one step, of one copy, multipliers [N, m] after it and the bound on them [m]."""
        usage = step.usage[0].cpu().double()  # [N, R]
        if len(self.limits):
            self._add_budgets(usage, step.counted[0].cpu().double())
            if (self._step + 1) % DAY == 0:
                self.days.append((self.used.clone(), self.counted.clone()))
        self._add_sum("reward", step.reward[0].cpu())
        measures = {name: step.measures[name][0].cpu() for name in MEASURES if name in step.measures}
        if "import_kwh" in measures and "price" in measures:
            self._add_sum("bill", measures["import_kwh"] * measures["price"])
        if "import_kwh" in measures and "carbon" in measures:
            self._add_sum("carbon", measures["import_kwh"] * measures["carbon"])
        for name in ("import_kwh", "demand", "waiting_load"):
            if name in measures:
                self._add_sum(name, measures[name])
                self.series.setdefault(name, []).append(float(measures[name].double().sum()))
        if "price" in measures:
            self.series.setdefault("price", []).append(float(measures["price"]))
        if "waiting_load" in measures:
            self._add_waiting(measures["waiting_load"])
        self._add_multipliers(None if multipliers is None else multipliers.cpu(), bound)
        if self.spec.n_agents <= TRACED_AGENTS:
            for name in ("import_kwh", "waiting_load"):
                if name in measures:
                    self.traces.setdefault(name, []).append(measures[name].numpy().copy())
        self._step += 1

    @property
    def finite(self) -> bool:
        """No sum went to infinity or to no number."""
        return all(bool(torch.isfinite(total).all()) for total in (self.used, *self.sums.values()))

    @property
    def second_half(self) -> bool:
        """The current step lies in the second half, in whole days."""
        return self._step >= self.hours // DAY // 2 * DAY

    def _add_budgets(self, usage: Tensor, counted: Tensor) -> None:
        resource, members = self._resource, self.members
        everybody = len(members) == 1  # then no number of N x m needs to be made
        total = usage.sum(0)[resource] if everybody else (usage[:, resource] * members).sum(0)
        self.used += counted * total
        self.counted += counted
        excess = ((total - self.limits) / self.scales)[counted > 0]
        if len(excess):
            self.hour_excess.append(float(excess.max()))

    def _add_sum(self, name: str, value: Tensor) -> None:
        if name in self.sums:
            self.sums[name] += value
        else:
            self.sums[name] = value.double().clone()

    def _add_waiting(self, waiting: Tensor) -> None:
        self.final_waiting = waiting.double().clone()
        self._day = self._day + waiting.double() / DAY
        if (self._step + 1) % DAY == 0:
            if self.second_half:
                self.backlog.add(self._step // DAY, torch.as_tensor(self._day))
            self._day = 0.0

    def _add_multipliers(self, lam: Tensor | None, bound: Tensor | None) -> None:
        if lam is None or not self.spec.budgets:
            return
        ends_day = (self._step + 1) % DAY == 0
        if ends_day and self.spec.n_agents <= TRACED_AGENTS:
            self.traces.setdefault("multipliers", []).append(lam.numpy().copy())
        if not self.second_half:
            return
        centred = (lam - lam.mean(0)).double()
        self.disagreement += float(centred.square().mean(0).sqrt().max())
        self.spread = max(self.spread, float((lam.amax(0) - lam.amin(0)).max()))
        if bound is not None:
            self.disagreement_bound = (self.disagreement_bound or 0.0) + float(bound.max())
        self.multiplier_steps += 1
        if ends_day:
            self.drift.add(self._step, lam)
        limit = self.multiplier_limit
        if limit is not None:
            self.saturated += float((lam >= limit * (1 - 1e-6)).double().mean())
