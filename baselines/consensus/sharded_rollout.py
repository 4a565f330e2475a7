"""The consensus method on a district over several processes: each holds some of the buildings and their multipliers.

A shard is a `FusedConsensus` of its own buildings. In an hour it tells other shards the multipliers of those that are
linked with theirs, once a round, and nothing else; so every number of a building is the same to the last bit as in one
process on the same kind of processor, see `envs.network.shards`. What is added up over the district, such as the
ledger, is added up in another order, in float64. How the processes are started and reach each other is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, Protocol

import torch
from torch import Tensor

from accord.baselines.base import Ledger
from accord.baselines.consensus.chunked_rollout import FusedConsensus
from accord.baselines.multipliers.moving import DualConfig
from accord.baselines.training.actors import StochasticActor
from accord.envs.demand_response import DemandResponse
from accord.envs.demand_response.scenario import DistrictScenario
from accord.envs.districts.district import District
from accord.envs.errors import UsageError
from accord.envs.network.shards import Part, ShardNetwork, Swap, Traffic, partition, parts
from accord.envs.task import Budget


class Workers(Protocol):
    """Processes that hold an object each, are called all together and exchange tensors; see `benchmark.launch.workers`.

    An error in one of them, or its end, is an error of the call, after which there are no workers any more.
    """

    def __len__(self) -> int:
        """How many."""

    def begin(self, make: Callable[[Any, Swap], Any], shares: Iterable[Any]) -> None:
        """Have each make its object, of its own share and of how it exchanges with the others."""

    def call(self, method: str, *arguments: Any) -> list[Any]:
        """What a method of each object returns."""


@dataclass(frozen=True)
class Share:
    """What a shard is made of.

    Attributes:
        part: Its part of the network.
        district: Its own buildings.
        budgets: Of the whole district.
        agents: N of the whole district.
        policy: Shared by all agents.
        dual: Steps of the multipliers.
    """

    part: Part
    district: District
    budgets: tuple[Budget, ...]
    agents: int
    policy: StochasticActor
    dual: DualConfig


class Shard:
    """Some of the buildings, in the process that holds them; its methods are called in all shards together."""

    def __init__(self, share: Share, swap: Swap) -> None:
        """Set up.

        Args:
            share: What it is made of.
            swap: How it exchanges with the other shards.

        Raises:
            NotFusedError: see `FusedConsensus`.
        """
        self.network = ShardNetwork(share.part, swap)
        task = DemandResponse(share.district, share.budgets)
        self.rollout = FusedConsensus(task, self.network, share.policy, share.dual, agents=share.agents)

    @torch.inference_mode()
    def reset(self, start: int) -> None:
        """See `ShardedConsensus.reset`."""
        self.rollout.reset(start)
        self.network.reset_counters()

    @torch.inference_mode()
    def run(self, hours: int) -> None:
        """See `ShardedConsensus.run`."""
        for _ in range(hours):
            self.rollout.step()

    def state(self, name: str) -> Tensor:
        """See `ShardedConsensus.gather`."""
        values: Tensor = getattr(self.rollout.state, name)
        return values

    def traffic(self) -> Traffic:
        """What its agents were sent since the last reset."""
        return self.network.traffic

    def ledger(self) -> Ledger | None:
        """What its agents add to the terms of all."""
        return self.rollout.ledger()


class ShardedConsensus:
    """Gossip with one shared policy on a district that is spread over workers; see `FusedConsensus`."""

    def __init__(
        self,
        scenario: DistrictScenario,
        policy: StochasticActor,
        dual: DualConfig,
        workers: Workers,
        *,
        by: str = "order",
        shard: type[Shard] = Shard,
    ) -> None:
        """Set up. The whole district is cut up here; afterwards each worker holds its own buildings and links alone.

        Args:
            scenario: District, network and budget.
            policy: Shared by all agents.
            dual: Steps of the multipliers.
            workers: One for each shard.
            by: Whose agents are whose: one of `envs.network.shards.PARTITIONS`.
            shard: What each worker holds.

        Raises:
            UsageError: something that cannot be spread, see the message.
        """
        if scenario.trained_on is not scenario:
            raise UsageError(
                f"scenario '{scenario.address}': shards know no faults and no change in the middle; "
                f"allowed: {scenario.trained_on.address}"
            )
        self._workers, self._agents = workers, scenario.n_agents
        owner = partition(scenario.links, scenario.n_agents, len(workers), by)
        self._owner = owner
        budgets = scenario.budgets()

        def share(part: Part) -> Share:
            return Share(part, scenario.district.take(part.own), budgets, scenario.n_agents, policy, dual)

        workers.begin(shard, map(share, parts(scenario.links, owner)))

    def reset(self, start: int) -> None:
        """Put the plant at rest at an hour of the calendar and counters at zero; multipliers stay."""
        self._workers.call("reset", start)

    def run(self, hours: int) -> None:
        """So many hours of every agent, messages included."""
        self._workers.call("run", hours)

    def gather(self, name: str) -> Tensor:
        """What is kept of all agents, brought here: `waiting`, `stored`, `imported`, `nu` [N] or `lam` [N, m]."""
        found = self._workers.call("state", name)
        whole: Tensor = found[0].new_empty(self._agents, *found[0].shape[1:])
        for shard, values in enumerate(found):
            whole[self._owner == shard] = values
        return whole

    def traffic(self) -> Traffic:
        """What was sent since the last reset, by all agents."""
        return reduce(add, self._workers.call("traffic"))

    def ledger(self) -> Ledger | None:
        """See `Rollout`."""
        found: list[Ledger | None] = self._workers.call("ledger")
        known = [one for one in found if one is not None]
        if not known:
            return None
        level, cut, lifted, talk = (
            torch.stack([getattr(one, term) for one in known]).sum(0) for term in ("level", "cut", "lifted", "talk")
        )
        return Ledger(level, cut, lifted, talk, known[0].aimed)
