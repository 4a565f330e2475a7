"""Multi-resource allocation: agents that carry resources fly to the consumers that need them.

The task of "Decentralized Reinforcement Learning for Multi-Agent Multi-Resource Allocation via Dynamic Cluster
Agreements" (arXiv 2503.02437), which gives its parts but neither code nor numbers. The numbers below are ours, and so
is that a part of the reward for serving goes to who hands over: it tells sub-teams apart and leaves sums what they are.

N agents in the square [-1, 1]² choose velocities. Agent i carries r_i of W resources; M consumers at random places
need D_j of them. Within `REACH` of a consumer an agent hands over up to `RATE`·dt of each resource to the nearest one.
Agents sense the two nearest others, and talk to those closer than C: the graph moves with them.

    reward_i = SERVED · GLOBAL · (demand met in this step / demand of the episode) / N   the same for all
             + SERVED · (1 − GLOBAL) · (what i hands over / demand of the episode)
             − COLLISION · others closer than `CLEARANCE`
             + DONE / agents at a consumer that this step completes, for each of them, whatever it carries

so that the sum over agents of an episode's rewards is at most `SERVED` plus `DONE` per consumer, less where agents have
stopped: they are not rewarded. Measures are `served` (share of the episode's demand, [B]), `completed` (share of the
consumers, [B]) and `collisions` (others too close, [B, N]). What else guides agents in training, a measure `approach`
of their way towards the consumer that an assignment gives them, is not in the reward.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from accord.envs.allocation.assignment import assign
from accord.envs.checks import check_actions, check_plant, check_reset, plant_of
from accord.envs.task import Box, Field, Initial, Step, Task, TaskSpec

Variant = Literal["steady", "jumps", "discharging", "failures"]
DT, STEPS = 0.1, 200  # seconds, and steps of an episode
SPEED = 0.4  # half squares per second
REACH = 0.15
RATE = 0.12  # units of each resource per second
CLEARANCE = 0.05
SENSED, SENSING = 2, 0.3  # nearest others that an agent senses, and from how far
WAY_THERE = 3  # columns of a consumer before what it needs
ASKED = 0.9  # demand of all consumers, as a share of what the agents carry
SERVED, DONE, COLLISION = 5.0, 0.1, 0.02
GLOBAL = 0.5  # share of the reward for serving that all agents get alike
CARRIED = (0.5, 1.5)  # of each resource that an agent has
HELD = (0.0, CARRIED[1])  # of each resource, by any agent at any time
PLACES = 0.8  # consumers lie in the square of this half width
JUMPS = ((4.0, 8.0), (10.0, 14.0))  # seconds between which demand moves on to other consumers, once in each
FAILURES, FAILING = 0.2, (4.0, 14.0)  # share of the agents that stop, and when
HALF_LIFE = 15.0  # seconds in which carried resources decay to a half, where they do
REASSIGNED = 10  # steps between two assignments
EMPTY = 1e-4  # of a unit: nothing
ROUNDING = 1e-4  # by which float32 may pass the bound of a distance


@dataclass(frozen=True)
class Allocation:
    """What an address says.

    Attributes:
        n_agents: N.
        resources: W.
        radius: C, how far agents can talk.
        variant: steady; demand `jumps` between consumers; resources decay (discharging); agents stop (failures).
    """

    n_agents: int
    resources: int
    radius: float
    variant: Variant

    @property
    def consumers(self) -> int:
        """M: one for three agents."""
        return math.ceil(self.n_agents / 3)

    @property
    def name(self) -> str:
        """First word of the address."""
        return f"allocation_{self.n_agents}x{self.resources}"


class ResourceAllocation(Task):
    """`B` copies; actions [B, N, 2] are velocities in units of `SPEED`, each in [-1, 1].

    Guided, it assigns agents to consumers every `REASSIGNED` steps, which costs time.
    """

    _guided = False

    def __init__(self, setting: Allocation, device: torch.device | str = "cpu") -> None:
        """Set up on a device."""
        self.device = torch.device(device)
        self.setting = setting
        n, w, m = setting.n_agents, setting.resources, setting.consumers
        self.spec = TaskSpec(
            name=setting.name,
            n_agents=n,
            obs_fields=_fields(n, w, m),
            action=Box(2, -1.0, 1.0),
            state_dim=n * (3 + w) + m * (2 + w) + 1,
            horizon=STEPS,
            agent_scale=torch.ones(n),
            agent_types=torch.zeros(n, dtype=torch.long),
            reward_parts=("served", "collisions", "completed"),
            units={"served": "-", "collisions": "-", "completed": "-", "approach": "-"},
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
        """Draw places, resources, demands and what will change; `start` and the words of `initial` have no meaning."""
        check_reset(self.spec, batch, horizon)
        plant_of(self.spec, initial, batch)
        setting, n, w, m = self.setting, self.setting.n_agents, self.setting.resources, self.setting.consumers

        def uniform(*shape: int) -> Tensor:
            return torch.rand(batch, *shape, generator=generator, device=generator.device).to(self.device)

        self._horizon, self._elapsed = STEPS if horizon is None else horizon, 0
        self.places = 2 * uniform(n, 2) - 1
        self.consumers = PLACES * (2 * uniform(m, 2) - 1)
        low, high = CARRIED
        # An agent carries one resource, or, with even chances where there are several, all of them.
        kind = (uniform(n) * w).long().clamp_max(w - 1)
        own = torch.nn.functional.one_hot(kind, w).float()
        carries = torch.where(uniform(n)[..., None] < 0.5, own, torch.ones_like(own))
        self.carried = carries * (low + (high - low) * uniform(n, w))
        parts = uniform(m, w) + 0.1
        self.demand = ASKED * self.carried.sum(1, keepdim=True) * parts / parts.sum(1, keepdim=True)
        self._asked = self.demand.sum((1, 2))
        self.alive = torch.ones(batch, n, dtype=torch.bool, device=self.device)
        never = torch.full((batch, 1), torch.inf, device=self.device)
        spans = [low + (high - low) * uniform(1) for low, high in JUMPS]
        self._jumps = torch.cat(spans, 1) if setting.variant == "jumps" else never
        low, high = FAILING
        stops = torch.where(uniform(n) < FAILURES, low + (high - low) * uniform(n), torch.inf)
        self._stops = stops if setting.variant == "failures" else never.expand(batch, n)
        self._reassign()
        nothing = torch.zeros(batch, n, device=self.device)
        measures = dict.fromkeys(("collisions", "approach"), nothing)
        measures |= dict.fromkeys(("served", "completed"), nothing[:, 0])
        return self._show(nothing[..., None].expand(-1, -1, len(self.spec.reward_parts)), measures)

    def step(self, actions: Tensor) -> Step:
        """Move, hand over, and change what changes."""
        check_actions(self.spec, actions, len(self.places) if hasattr(self, "places") else None)
        before = self._way()
        velocity = SPEED * actions.clamp(-1.0, 1.0) * self.alive[..., None]
        self.places = (self.places + DT * velocity).clamp(-1.0, 1.0)
        approach = (before - self._way()) / (SPEED * DT)
        given, done = self._hand_over()
        alive, own = self.alive, given / self._asked[:, None]  # [B, N]
        served = own.sum(1)  # [B]
        close = self._close(CLEARANCE).sum(-1).float()
        worth = SERVED * (GLOBAL * served[:, None] / self.spec.n_agents + (1 - GLOBAL) * own)
        parts = torch.stack([worth, -COLLISION * close, DONE * done], -1) * alive[..., None]
        self._elapsed += 1
        check_plant(self.spec, self.places, self._elapsed, self._horizon)
        self._change()
        if self._elapsed % REASSIGNED == 0:
            self._reassign()
        measures = {"served": served, "collisions": close, "approach": approach * alive}
        return self._show(parts, measures | {"completed": done.sum(-1) / self.setting.consumers})

    def state(self) -> Tensor:
        """Everything that changes, [B, S]."""
        clock = torch.full((len(self.places), 1), self._elapsed / STEPS, device=self.device)
        own = torch.cat([self.places, self.carried, self.alive[..., None].float()], -1)
        return torch.cat([own.flatten(1), torch.cat([self.consumers, self.demand], -1).flatten(1), clock], 1)

    def state_bounds(self) -> tuple[Tensor, Tensor]:
        """What no state lies below and above, two of [S]."""
        setting, place, some = self.setting, (-1.0, 1.0), (0.0, math.inf)
        own = [place, place, *[HELD] * setting.resources, (0.0, 1.0)]
        there = [place, place, *[some] * setting.resources]
        low, high = torch.tensor([*own * setting.n_agents, *there * setting.consumers, some]).unbind(1)
        return low, high

    def active(self, ahead: int) -> Tensor:
        """There are no budgets, [B, ahead, 0]."""
        return torch.zeros(len(self.places), ahead, 0, device=self.device)

    def guide(self, on: bool) -> None:
        """See `Task.guide`."""
        self._guided = on

    def changes(self) -> Tensor:
        """When something changes by itself in this episode: jumps of demand or agents that stop, s, [B, K]."""
        return torch.cat([self._jumps, self._stops], 1)

    def links(self) -> Tensor:
        """Who can talk to whom now, bool [B, N, N]."""
        return self._close(self.setting.radius)

    def _close(self, radius: float) -> Tensor:
        """Pairs of living agents nearer than a radius, nobody with itself, bool [B, N, N]."""
        near = torch.cdist(self.places, self.places) < radius
        near &= self.alive[:, :, None] & self.alive[:, None]
        return near & ~torch.eye(near.shape[1], dtype=torch.bool, device=self.device)

    def _hand_over(self) -> tuple[Tensor, Tensor]:
        """Agents serve the consumer next to them: units that each gives, and its part of completions, [B, N]."""
        distance, nearest = torch.cdist(self.places, self.consumers).min(-1)
        there = (distance < REACH) & self.alive
        at = torch.nn.functional.one_hot(nearest, self.consumers.shape[1]) * there[..., None]  # [B, N, M]
        at = at.to(self.demand.dtype)
        offered = self.carried.clamp_max(RATE * DT)  # [B, N, W]
        arriving = torch.einsum("bnm,bnw->bmw", at, offered)
        taken = torch.minimum(arriving, self.demand)
        part = torch.einsum("bnm,bmw->bnw", at, taken / arriving.clamp_min(EMPTY))
        waiting = self.demand.sum(-1) > EMPTY
        given = offered * part
        self.carried = self.carried - given
        self.demand = (self.demand - taken).clamp_min(0.0)
        completed = waiting & (self.demand.sum(-1) <= EMPTY)  # [B, M]
        done = torch.einsum("bnm,bm->bn", at, completed / at.sum(1).clamp_min(1.0))
        return given.sum(-1), done

    def _change(self) -> None:
        """Demands jump, batteries run down, agents stop."""
        now, variant = self._elapsed * DT, self.setting.variant
        if variant == "jumps":
            jumped = ((self._jumps > now - DT) & (self._jumps <= now)).any(1)
            self.demand = torch.where(jumped[:, None, None], self.demand.roll(1, 1), self.demand)
        elif variant == "discharging":
            self.carried = self.carried * 0.5 ** (DT / HALF_LIFE)
        elif variant == "failures":
            self.alive = self.alive & (self._stops > now)

    def _reassign(self) -> None:
        """To which consumer each agent is guided, [B, N]; -1 where there is no need of it."""
        if self._guided:
            self._goal = assign(self.places, self.carried * self.alive[..., None], self.consumers, self.demand)

    def _way(self) -> Tensor:
        """Distance that is left until an agent can serve the consumer that it is guided to, [B, N]."""
        if not self._guided:
            return torch.zeros(self.places.shape[:2], device=self.device)
        goal = self.consumers.gather(1, self._goal.clamp_min(0)[..., None].expand(-1, -1, 2))
        left = ((goal - self.places).norm(dim=-1) - REACH).clamp_min(0.0)
        return left * (self._goal >= 0)

    def _observe(self) -> Tensor:
        batch, n, _ = self.places.shape
        clock = torch.full((batch, n, 1), self._elapsed / STEPS, device=self.device)
        far = torch.cdist(self.places, self.places)
        far = torch.where(self._close(SENSING), far, torch.inf)
        distance, who = far.topk(min(SENSED, n), -1, largest=False)  # [B, N, 2]
        there = self.places[:, None].expand(-1, n, -1, -1).gather(2, who[..., None].expand(-1, -1, -1, 2))
        sensed = torch.where(distance[..., None] < SENSING, there - self.places[:, :, None], SENSING)
        ways = self.consumers[:, None] - self.places[:, :, None]
        long = ways.norm(dim=-1, keepdim=True)
        consumers = torch.cat([ways, long, self.demand[:, None].expand(-1, n, -1, -1)], -1)
        consumers = consumers.gather(2, long.argsort(2).expand_as(consumers))
        own = [self.places, self.carried, clock, sensed.flatten(2) / SENSING, consumers.flatten(2)]
        return torch.cat([*own, self.links().float()], -1)

    def _show(self, parts: Tensor, measures: dict[str, Tensor]) -> Step:
        batch, n, _ = parts.shape
        over = torch.full((batch,), self._elapsed >= self._horizon, device=self.device)
        return Step(
            obs=self._observe(),
            reward=parts.sum(-1),
            usage=torch.zeros(batch, n, 0, device=self.device),
            shortfall=None,
            active=self.active(self.spec.ahead),
            counted=torch.zeros(batch, 0, device=self.device),
            measures=measures,
            terminated=torch.zeros_like(over),
            truncated=over,
            alive=self.alive.clone(),
            links=self.links(),
            reward_parts=parts,
        )


def _fields(n_agents: int, resources: int, consumers: int) -> dict[str, Field]:
    place, some, offset = (-1.0, 1.0), (0.0, math.inf), (-1.0 - ROUNDING, 1.0 + ROUNDING)
    parts = {
        "place": (2, "half squares", "1", place),
        "carried": (resources, "units", "1", HELD),
        "clock": (1, "s", "length of an episode", some),
        "sensed": (
            2 * min(SENSED, n_agents),
            "half squares",
            f"{SENSING}; the nearest others, 1 where there is none",
            offset,
        ),
        "consumers": (
            consumers * (WAY_THERE + resources),
            "half squares, units",
            "1; of each, the nearest first: the way there, its length, what is needed",
            (-1.0 - PLACES - ROUNDING, math.inf),
        ),
        "links": (n_agents, "-", "1 for each agent that can be talked to", (0.0, 1.0)),
    }
    fields, at = {}, 0
    for name, (width, unit, scale, (low, high)) in parts.items():
        fields[name] = Field(slice(at, at + width), unit, scale, low=low, high=high)
        at += width
    return fields
