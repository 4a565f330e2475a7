"""Parts of a graph against the whole of it."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from operator import add
from queue import SimpleQueue

import pytest
import torch
from torch import Tensor

from accord.envs.errors import UsageError
from accord.envs.network import Network
from accord.envs.network.shards import PARTITIONS, ShardNetwork, Swap, Traffic, partition, parts
from accord.envs.network.topologies import build_edges

ROUNDS, WIDTH = 3, 2


def cut(edges: Tensor, owner: Tensor) -> int:
    return int((owner[edges[:, 0]] != owner[edges[:, 1]]).sum())


@pytest.mark.parametrize("by", PARTITIONS)
@pytest.mark.parametrize(("n_agents", "shards"), [(100, 3), (7, 7), (50, 1)])
def test_every_agent_is_in_one_shard_and_shards_are_of_equal_size(n_agents: int, shards: int, by: str) -> None:
    edges = build_edges("ring", n_agents)
    owner = partition(edges, n_agents, shards, by)
    sizes = owner.bincount()
    assert len(sizes) == shards
    assert sizes.max() - sizes.min() <= 1
    own = torch.cat([part.own for part in parts(edges, owner)])
    assert sorted(own.tolist()) == list(range(n_agents))


def test_by_order_shards_are_slices_and_by_graph_fewer_links_are_cut() -> None:
    names = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    shuffled = names[build_edges("ring", 300)]
    in_order, by_graph = (partition(shuffled, 300, 3, by) for by in ("order", "graph"))
    assert torch.equal(in_order, in_order.sort().values)
    assert cut(shuffled, in_order) > 100
    assert cut(shuffled, by_graph) <= 4  # two ends of a chain on each side of two cuts
    ring = build_edges("ring", 300)
    assert cut(ring, partition(ring, 300, 3, "graph")) == 3  # the order that is there is better


def test_what_has_no_meaning_is_refused() -> None:
    edges = build_edges("ring", 5)
    with pytest.raises(UsageError, match="partition: 'grph' is unknown; allowed: order, graph"):
        partition(edges, 5, 2, "grph")
    for shards in (0, 6):
        with pytest.raises(UsageError, match=f"shards: {shards} for 5 agents; allowed: 1 to 5"):
            partition(edges, 5, shards, "order")


def mailboxes(shards: int) -> list[Swap]:
    """Exchange between threads."""
    boxes = {(a, b): SimpleQueue[Tensor]() for a in range(shards) for b in range(shards)}

    def swap_of(shard: int) -> Swap:
        def swap(told: Mapping[int, Tensor], heard: Mapping[int, Tensor]) -> None:
            for other, tensor in told.items():
                boxes[shard, other].put(tensor)
            for other, tensor in heard.items():
                tensor.copy_(boxes[other, shard].get(timeout=60))

        return swap

    return [swap_of(shard) for shard in range(shards)]


@pytest.mark.parametrize("by", PARTITIONS)
@pytest.mark.parametrize("name", ["ring", "star", "regular-4", "small_world-4-0.2", "erdos_renyi-0.1", "complete"])
def test_rounds_are_those_of_the_whole_network_and_what_crosses_is_counted(name: str, by: str) -> None:
    n_agents, shards = 100, 3
    whole, generator = Network.build(name, n_agents), torch.Generator().manual_seed(0)
    x = torch.rand(1, n_agents, WIDTH, generator=generator)
    expected, owner = whole.mix(x, ROUNDS), partition(whole.edges, n_agents, shards, by)
    cuts = list(parts(whole.edges, owner))
    networks = [ShardNetwork(part, swap) for part, swap in zip(cuts, mailboxes(shards), strict=True)]
    with ThreadPoolExecutor(shards) as pool:
        mixed = list(pool.map(lambda network, part: network.mix(x[:, part.own], ROUNDS), networks, cuts))
    for part, own in zip(cuts, mixed, strict=True):
        assert torch.equal(own, expected[:, part.own])
    traffic = reduce(add, (network.traffic for network in networks))
    crossing = [(a, b) for pair in whole.edges.tolist() for a, b in (pair, pair[::-1]) if owner[a] != owner[b]]
    copies = {(a, int(owner[b])) for a, b in crossing}  # an agent's numbers once for each shard that hears them
    size = WIDTH * x.element_size()
    assert traffic == Traffic(whole.messages, whole.bytes, ROUNDS * len(crossing), ROUNDS * len(copies) * size)
