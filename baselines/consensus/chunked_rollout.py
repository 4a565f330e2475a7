"""The consensus method on demand response at any size: an hour of every agent, chunk by chunk, nothing kept between.

The equations are those of `envs.demand_response.dynamics`, `baselines.multipliers.augmentation` and
`baselines.multipliers.moving`, fused: a chunk's observations are one buffer with a row per input of the policy, coming
hours that no agent can tell apart are one row, what all agents share is part of the first layer's bias, and profiles
are read from tables by hour of the day. Results are the same up to float32's rounding. An hour reads and writes
`chunked_state.CrowdState` of an agent, and its messages.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter

import torch
from torch import Tensor, nn

from accord.baselines.base import Ledger
from accord.baselines.consensus.chunked_multipliers import RULES, CrowdMultipliers
from accord.baselines.consensus.chunked_state import at_rest, by_hour, weekdays
from accord.baselines.multipliers.augmentation import compress, load_prices
from accord.baselines.multipliers.moving import DualConfig, Rule
from accord.baselines.training.actors import GaussianActor, StochasticActor
from accord.baselines.training.models import Body
from accord.envs.demand_response import DemandResponse
from accord.envs.demand_response.observations import DAYS
from accord.envs.districts.district import HOURS
from accord.envs.errors import UsageError
from accord.envs.network import Network
from accord.envs.network.shards import ShardNetwork
from accord.envs.task import Step

STAGES = ("observe", "policy", "dynamics", "dual")
# Agents at a time: operations long enough that calling them costs little, and enough to fill an accelerator.
CHUNK, DEVICE_CHUNK = 2**14, 2**18
# Products with a multiple of so many columns give an agent the same numbers wherever it stands; others, at their end,
# some that differ in the last bit.
WHOLE = 16
# Inputs of the policy that differ between agents, in the order of the buffer's rows; prices and their sums follow.
OWN = ("waiting_load", "demand", "soc", "solar", "demand_past_day", "solar_past_day")
PARAMETERS = ("demand_scale", "pv", "battery", "connection")


class NotFusedError(UsageError):
    """A task, a policy or multipliers that only the plain rollout knows."""


@dataclass(frozen=True)
class Hour:
    """What all agents share in an hour.

    Attributes:
        profiles: Demand, solar and their past days at this hour of the day, each [profiles · days].
        week: Day of the week at this hour of the day, one column per day of the calendar, [7, days].
        day: Of the calendar.
        price: $/kWh now.
        levels: [K] tariff of the coming hours in mean prices, each once where λ is the same for all of them.
        now: Which of them is the present one.
        active: [K, m] which budgets count in them.
        weights: The policy's layers, the first one on the buffer's rows.
        counted: [m] which budgets count now.
        counting: Indices of those.
    """

    profiles: tuple[Tensor, Tensor, Tensor, Tensor]
    week: Tensor
    day: int
    price: float
    levels: Tensor
    now: int
    active: Tensor
    weights: list[tuple[Tensor, Tensor]]
    counted: Tensor
    counting: slice | list[int]


class FusedConsensus:
    """A `Rollout` of one copy of a demand-response task under consensus with one shared policy.

    Attributes:
        state: What is kept of the agents.
        chunk: Agents at a time.
        clock: Tells the time between stages; one that waits for an accelerator tells where its time goes.
        seconds: Spent so far in each of `STAGES` and on `messages`.
    """

    def __init__(
        self,
        task: DemandResponse,
        network: Network | ShardNetwork,
        policy: StochasticActor,
        dual: DualConfig,
        rule: Rule = "gossip",
        *,
        agents: int | None = None,
        chunk: int | None = None,
    ) -> None:
        """Set up.

        Args:
            task: Buildings and budgets.
            network: Who talks to whom.
            policy: Shared by all agents.
            dual: Steps of the multipliers.
            rule: How they are agreed on: one of `RULES`.
            agents: That share the budgets, where the task has some of them alone; by default its own.
            chunk: Most agents at a time; by default what suits the task's device.

        Raises:
            NotFusedError: see `_check`.
        """
        _check(task, network, policy, dual, rule)
        spec, district, self._device = task.spec, task.district, task.device
        self._task = task
        self.state = at_rest(task, dual).to(self._device)
        n = spec.n_agents
        self._duals = CrowdMultipliers(replace(spec, n_agents=agents or n), network, dual, rule, self.state)
        self._tables = tuple(table.to(self._device) for table in by_hour(district))
        self._week = weekdays(district).to(self._device)
        self._efficiency = float(district.efficiency[0])
        (weight, bias), *rest = ((layer.weight.detach(), layer.bias.detach()[:, None]) for layer in _linear(policy))
        self._first = weight.cpu(), bias.cpu()  # what all agents share is worked out beside the device
        self._rest = [(weight.to(self._device), bias.to(self._device)) for weight, bias in rest]
        self.chunk = min(n, chunk or (CHUNK if self._device.type == "cpu" else DEVICE_CHUNK))
        count = -(-n // self.chunk)  # of equal size: a rest of a few would be slow, and rounded otherwise
        self._chunks = [slice(n * i // count, n * (i + 1) // count) for i in range(count)]
        self.clock: Callable[[], float] = perf_counter
        self.seconds = dict.fromkeys((*STAGES, "messages"), 0.0)

    def reset(self, start: int) -> None:
        """Put the plant at rest at an hour of the calendar; multipliers stay."""
        self._column = start
        for values in (self.state.waiting, self.state.stored, self.state.imported):
            values.zero_()

    @torch.inference_mode()
    def step(self) -> None:
        """One hour of every agent, then their messages."""
        began = self.clock()
        hour = self.look_up()
        self.seconds["observe"] += self.clock() - began
        self._duals.begin()
        laps = [self._advance(hour, rows) for rows in self._chunks]
        for name, spent in zip(STAGES, map(sum, zip(*laps, strict=True)), strict=True):
            self.seconds[name] += spent
        self._duals.before_talk()
        began = self.clock()
        self._duals.talk()
        self.seconds["messages"] += self.clock() - began
        self._duals.after_talk()
        self._column = (self._column + 1) % self._task.district.hours

    @property
    def multipliers(self) -> Tensor:
        """λ [N, m]."""
        return self.state.lam

    def outcome(self) -> Step:
        """What the last hour left; see `Rollout`."""
        task, state, district, spec, device = self._task, self.state, self._task.district, self._task.spec, self._device
        column = (self._column - 1) % district.hours
        day, hour = divmod(column, HOURS)
        rows = state.demand_row + (state.shift + day) % self._week.shape[2]
        demand = self._tables[0][hour].index_select(0, rows) * state.demand_scale
        price = torch.full((1,), float(district.price[column]), device=device)
        measures = {
            "import_kwh": state.imported[None],
            "waiting_load": state.waiting[None],
            "demand": demand[None],
            "price": price,
        }
        if district.carbon is not None:
            measures["carbon"] = torch.full((1,), float(district.carbon[column]), device=device)
        reward = -price * state.imported - spec.delay_price * spec.price_scale * state.waiting
        never = torch.zeros(1, dtype=torch.bool, device=device)
        return Step(
            obs=torch.empty(1, spec.n_agents, 0, device=device),
            reward=reward[None],
            usage=state.imported[None, :, None],
            shortfall=None,
            active=torch.empty(1, 0, len(spec.budgets), device=device),
            counted=task.counted_at(column)[None],
            measures=measures,
            terminated=never,
            truncated=never,
            alive=torch.ones(1, spec.n_agents, dtype=torch.bool, device=device),
        )

    def ledger(self) -> Ledger | None:
        """See `Rollout`."""
        return self._duals.ledger()

    def disagreement_bound(self) -> Tensor | None:
        """See `Rollout`."""
        return self._duals.disagreement_bound()

    def look_up(self) -> Hour:
        """What all agents share in the coming hour, the first layer included; nothing is read back from a device."""
        (weight, bias), levels, level_of, active = self._shared()
        district, spec, device = self._task.district, self._task.spec, self._device
        day, hour = divmod(self._column, HOURS)
        first = (weight.to(device, non_blocking=True), bias.to(device, non_blocking=True))
        return Hour(
            profiles=tuple(table[hour] for table in self._tables),  # type: ignore[arg-type]
            week=self._week[hour],
            day=day,
            price=float(district.price[self._column]),
            levels=levels.to(device, non_blocking=True),
            now=int(level_of[0]),
            active=active.to(device, non_blocking=True),
            weights=[first, *self._rest],
            counted=self._task.counted_at(self._column),
            counting=_indices([bool(budget.hours[district.hour[self._column]]) for budget in spec.budgets]),
        )

    def _shared(self) -> tuple[tuple[Tensor, Tensor], Tensor, Tensor, Tensor]:
        """First layer on the buffer's rows, levels of the tariff, which of them an hour has, budgets that count."""
        district, spec = self._task.district, self._task.spec
        coming = (self._column + torch.arange(HOURS)) % district.hours
        tariff = (district.price[coming] / district.mean_price).float()
        active = torch.stack([budget.hours for budget in spec.budgets], -1)[district.hour[coming]].float()  # [24, m]
        inputs, angle = self._first[0], 2 * math.pi * float(district.hour[self._column]) / HOURS
        columns = {name: part.where for name, part in spec.obs_fields.items() if name != "tariff"}
        # As `augment` puts them: the tariff's columns go, prices and their sums come last.
        prices, sums = inputs[:, -HOURS - 4 : -4], inputs[:, -4:]

        def of(*names: str) -> Tensor:
            return torch.cat([inputs[:, columns[name]] for name in names], 1)

        known = torch.tensor([[float(tariff[0])], [math.sin(angle)], [math.cos(angle)]])
        bias = self._first[1] + of("price", "hour_sin", "hour_cos") @ known
        if bool((active == active[0]).all()):
            # λ adds the same to every coming hour: hours of one tariff are one, and what waiting saves is known.
            due = load_prices(spec, tariff)
            saved = torch.stack([tariff[0] - due[0], due.max() - due[0]])
            bias = bias + sums[:, 2:] @ compress(saved)[:, None]
            levels, level_of = tariff.unique(return_inverse=True)
            merged = torch.zeros(len(inputs), len(levels)).index_add_(1, level_of, prices)
            first = torch.cat([of(*OWN, *PARAMETERS, "weekday"), merged, sums[:, :2]], 1)
            active = active[:1].expand(len(levels), -1)
        else:
            levels, level_of = tariff, torch.arange(HOURS)
            first = torch.cat([of(*OWN, *PARAMETERS, "weekday"), prices, sums], 1)
        return (first, bias), levels, level_of, active

    def _advance(self, hour: Hour, rows: slice) -> tuple[float, float, float, float]:
        """One chunk's hour without its messages; seconds of each of `STAGES`."""
        state, began = self.state, self.clock()
        day = state.shift[rows] + hour.day
        day = torch.where(day >= hour.week.shape[1], day - hour.week.shape[1], day)
        demand_at, solar_at = state.demand_row[rows] + day, state.solar_row[rows] + day
        demand_now, solar_now, demand_past, solar_past = hour.profiles
        demand = demand_now.index_select(0, demand_at) * state.demand_scale[rows]
        solar = solar_now.index_select(0, solar_at) * state.pv[rows]
        lam, nu = state.lam[rows].T, state.nu[rows]  # [m, n], [n]
        padded = torch.empty(hour.weights[0][0].shape[1], -(-len(nu) // WHOLE) * WHOLE, device=nu.device)
        padded[:, len(nu) :] = 0.0
        seen = padded[:, : len(nu)]
        unit = 1 / state.own_peak[rows]
        torch.mul(state.waiting[rows], unit, out=seen[0]).log1p_()
        torch.mul(demand, unit, out=seen[1])
        torch.div(state.stored[rows], state.capacity[rows].clamp_min(1e-9), out=seen[2])
        torch.mul(solar, unit, out=seen[3])
        torch.mul(demand_past.index_select(0, demand_at) * state.demand_scale[rows], unit, out=seen[4])
        torch.mul(solar_past.index_select(0, solar_at) * state.pv[rows], unit, out=seen[5])
        at = len(OWN) + len(PARAMETERS)
        seen[len(OWN) : at] = state.parameters[:, rows]
        seen[at : at + DAYS] = hour.week.index_select(1, day)
        self._see_prices(hour, lam, nu, seen[at + DAYS :])
        observed = self.clock()
        (weight, bias), *rest = hour.weights
        x = torch.addmm(bias, weight, padded)
        for weight, bias in rest:
            x = torch.addmm(bias, weight, x.relu_())
        share = x[:, : len(nu)].add_(1.0).mul_(0.5).clamp_(0.0, 1.0)  # [2, n]
        decided = self.clock()
        load, power, capacity = demand + state.waiting[rows], state.power[rows], state.capacity[rows]
        charged = torch.minimum(torch.minimum(self._efficiency * solar, power), capacity - state.stored[rows])
        stored = state.stored[rows] + charged
        battery = torch.minimum(torch.minimum(share[0] * load, self._efficiency * stored), power)
        rest_of_load = load - battery
        imported = torch.minimum(share[1] * rest_of_load, state.connection[rows])
        torch.sub(rest_of_load, imported, out=state.waiting[rows])
        torch.sub(stored, battery, alpha=1 / self._efficiency, out=state.stored[rows]).clamp_min_(0.0)
        state.imported[rows] = imported
        acted = self.clock()
        noted = self._duals.move(rows, imported, demand - imported - battery, hour.counted, hour.counting)
        ended = self.clock()
        self._duals.count(noted, hour.counting)  # bookkeeping, which no agent has to do
        return observed - began, decided - observed, acted - decided, ended - acted

    def _see_prices(self, hour: Hour, lam: Tensor, nu: Tensor, out: Tensor) -> None:
        """Write what the policy sees of λ [m, n] and ν [n]; see `augmentation.augment`."""
        prices, sums = out[: len(hour.levels)], out[len(hour.levels) :]
        torch.addmm(hour.levels[:, None], hour.active, lam, out=prices)
        now = prices[hour.now]
        sums[0] = nu
        torch.add(now, nu, out=sums[1])
        if len(sums) > 2:  # hours that λ tells apart: see `augmentation.load_prices`
            wait = self._task.spec.delay_price
            costs = prices + wait * torch.arange(float(HOURS), device=prices.device)[:, None]
            best = costs.amin(0).add_(wait * HOURS)
            dearest = torch.full_like(best, -math.inf)
            for ahead in reversed(range(HOURS)):
                torch.minimum(best, costs[ahead], out=best)
                torch.maximum(dearest, best - wait * ahead, out=dearest)
            torch.sub(now, best, out=sums[2])
            torch.sub(dearest, best, out=sums[3])
        # `compress`: torch's asinh is several times slower than what it is made of.
        size = out.abs()
        torch.copysign(size.square().add_(1.0).sqrt_().add_(size).log_(), out, out=out)


def _indices(chosen: list[bool]) -> slice | list[int]:
    return slice(None) if all(chosen) else [index for index, one in enumerate(chosen) if one]


def _linear(policy: StochasticActor) -> list[nn.Linear]:
    assert isinstance(policy.body, Body)
    return [layer for layer in policy.body.layers if isinstance(layer, nn.Linear)]


def _check(
    task: DemandResponse, network: Network | ShardNetwork, policy: StochasticActor, dual: DualConfig, rule: Rule
) -> None:
    """Only what large districts use is fused.

    Raises:
        NotFusedError: something else.
    """
    spec, district, body = task.spec, task.district, policy.body
    wrong = {
        "policies with memory or one per type": not isinstance(body, Body) or body.gru is not None,
        "policies without a Gaussian": not isinstance(policy, GaussianActor),
        "tasks without budgets or the tariff ahead": not spec.budgets or spec.price_field is None,
        "budgets of some of the agents": any(budget.agents is not None for budget in spec.budgets),
        "batteries of different efficiency": bool((district.efficiency != district.efficiency[0]).any()),
        "a calendar without whole days": district.hours % HOURS != 0,
        f"rules other than {', '.join(RULES)}": rule not in RULES,
        "networks with faults": not network.exact,
        "rounds other than plain ones": dual.mixing != "plain" or dual.mix_active_only,
        "steps of multipliers other than constant ones": dual.step_rule != "constant" or dual.share != "equal",
    }
    for what, found in wrong.items():
        if found:
            raise NotFusedError(f"{spec.name}: {what} cannot be rolled out in chunks")
