"""A graph over several processes: whose agents are whose, and one shard's part of the mixing.

A shard holds some of the agents, and what the agents of other shards say that its own are linked with (its halo). The
sums of its rows are those of the whole network, in the same order, so that each number is the same to the last bit but
for networks of up to `DENSE_AGENTS`, whose rounds are one dense product there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import astuple, dataclass

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import reverse_cuthill_mckee
from torch import Tensor

from accord.envs.errors import UsageError
from accord.envs.network.weights import apply, metropolis, mixing_rows, sparse_tensor

PARTITIONS = ("order", "graph")

# How shards exchange: give each shard that the first names its tensor, and fill those of the second with what the
# shards that it names give.
Swap = Callable[[Mapping[int, Tensor], Mapping[int, Tensor]], None]


def partition(edges: Tensor, n_agents: int, shards: int, by: str) -> Tensor:
    """The shard of each agent, [N], long; all shards are of equal size, but for one agent.

    Args:
        edges: [E, 2], each undirected link once.
        n_agents: N.
        shards: How many.
        by: `order`: the first agents are in the first shard, and so on. `graph`: the same along the reversed order of
            Cuthill and McKee (1969), which keeps neighbours close, wherever that cuts fewer links.

    Raises:
        UsageError: another word, no shards, or more of them than agents.
    """
    if by not in PARTITIONS:
        raise UsageError(f"partition: '{by}' is unknown; allowed: {', '.join(PARTITIONS)}")
    if not 1 <= shards <= n_agents:
        raise UsageError(f"shards: {shards} for {n_agents} agents; allowed: 1 to {n_agents}")
    in_order = torch.arange(n_agents) * shards // n_agents
    if by == "order":
        return in_order
    first, second = edges.T.numpy()
    ends = np.concatenate([first, second]), np.concatenate([second, first])
    graph = csr_matrix((np.ones(len(ends[0]), np.int8), ends), (n_agents, n_agents))
    near = torch.empty_like(in_order)
    near[torch.from_numpy(reverse_cuthill_mckee(graph, symmetric_mode=True).astype(np.int64))] = in_order
    return min(in_order, near, key=lambda owner: int((owner[edges[:, 0]] != owner[edges[:, 1]]).sum()))


@dataclass(frozen=True)
class Part:
    """What one shard knows of a graph: its own agents and their neighbours.

    Attributes:
        shard: Its number.
        agents: Its own and those of its halo, ascending, [C].
        owner: The shard of each, [C].
        degree: How many neighbours each has, [C].
        links: Undirected links of its own agents, as places in `agents`, [L, 2].
    """

    shard: int
    agents: Tensor
    owner: Tensor
    degree: Tensor
    links: Tensor

    @property
    def own(self) -> Tensor:
        """Its own agents, ascending, [n]."""
        return self.agents[self.owner == self.shard]


def parts(edges: Tensor, owner: Tensor) -> Iterator[Part]:
    """The part of each shard, one after the other.

    Args:
        edges: [E, 2], each undirected link once.
        owner: The shard of each agent, [N].
    """
    degree = torch.bincount(edges.flatten(), minlength=len(owner))
    for shard in range(int(owner.max()) + 1):
        near = owner == shard
        links = edges[near[edges].any(1)]
        near[links.flatten()] = True
        agents, place = near.nonzero().flatten(), near.cumsum(0) - 1
        yield Part(shard, agents, owner[agents], degree[agents], place[links])


@dataclass(frozen=True)
class Traffic:
    """What was sent in one copy.

    Attributes:
        messages: One per directed link and round, as `Network` counts them.
        bytes: Of these.
        crossed_messages: Those between agents of different shards.
        crossed_bytes: What shards gave each other: an agent's numbers once for each other shard that hears them.
    """

    messages: int = 0
    bytes: int = 0
    crossed_messages: int = 0
    crossed_bytes: int = 0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


class ShardNetwork:
    """One shard's part of a `Network` without faults: plain rounds of its own agents.

    Attributes:
        exact: Every message arrives at once and as it was sent.
        traffic: What its agents were sent since the last `reset_counters`.
    """

    exact = True

    def __init__(self, part: Part, swap: Swap) -> None:
        """Set up.

        Args:
            part: Its part of the graph.
            swap: How it exchanges with the other shards.
        """
        mine = part.owner == part.shard
        own, degree = mine.nonzero().flatten(), part.degree.double().numpy()
        directed = torch.cat([part.links, part.links.flip(1)])
        directed = directed[mine[directed[:, 1]]]
        directed = directed[torch.argsort(directed[:, 1] * len(mine) + directed[:, 0])]
        sources, targets = directed.T
        rows = (mine.cumsum(0) - 1)[targets]
        values = metropolis(degree[sources.numpy()], degree[targets.numpy()])
        self._matrix = sparse_tensor(mixing_rows(values, rows.numpy(), sources.numpy(), own.numpy(), len(mine))).float()
        self._swap, self._own, self._columns = swap, _span(own), len(mine)
        cut = ~mine[sources]
        ends, beyond = rows[cut], part.owner[sources[cut]]
        others = beyond.unique().tolist()
        # Links go both ways: whoever hears a shard is heard by it. Both name the agents in ascending order.
        self._told = {shard: ends[beyond == shard].unique() for shard in others}
        self._heard = {shard: (part.owner == shard).nonzero().flatten() for shard in others}
        self._links, self._cut = len(sources), len(ends)
        self.reset_counters()

    def reset_counters(self) -> None:
        """Set `traffic` to zero."""
        self.traffic = Traffic()

    def mix(self, x: Tensor, rounds: int) -> Tensor:
        """Average with the neighbours for some plain rounds, see `Network.mix`; `x` float32 [1, n, k]."""
        for _ in range(rounds):
            x = apply(self._matrix, self._hear(x[0])[None])
        return x

    def _hear(self, x: Tensor) -> Tensor:
        """Numbers of its own agents [n, k], and those of its halo beside them: [C, k]."""
        told = {shard: x[rows] for shard, rows in self._told.items()}
        heard = {shard: x.new_empty(len(places), x.shape[1]) for shard, places in self._heard.items()}
        self._swap(told, heard)
        together = x.new_empty(self._columns, x.shape[1])
        together[self._own] = x
        for shard, places in self._heard.items():
            together[places] = heard[shard]
        size = x.shape[1] * x.element_size()
        crossed = sum(map(len, heard.values())) * size
        self.traffic += Traffic(self._links, self._links * size, self._cut, crossed)
        return together


def _span(places: Tensor) -> slice | Tensor:
    """The same places as a slice where they follow each other: copying is several times as fast."""
    first, last = int(places[0]), int(places[-1])
    return slice(first, last + 1) if last - first + 1 == len(places) else places
