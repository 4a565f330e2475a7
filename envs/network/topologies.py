"""Communication graphs by name: who is linked to whom."""

import hashlib
import math
import re
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from accord.envs.errors import UsageError
from accord.envs.network.edge_list import read_edges
from accord.envs.spelling import number_of

EDGES = "edges:"  # before the path of a graph of one's own
TOPOLOGIES = (
    "complete",
    "ring",
    "star",
    "path",
    "grid",
    "torus",
    "two_groups",
    "regular-D",
    "erdos_renyi-P",
    "small_world-K-P",
    f"{EDGES}FILE",
)

Pairs = NDArray[np.int64]  # [E, 2]
Sampler = Callable[[int], Pairs | None]  # seed -> pairs, or None where the draw failed

MOST_LINKS = 10_000_000  # of a graph that is drawn, which takes some gigabytes
_DRAWS = 20
_SWITCH_TRIES = 1000


def build_edges(name: str, n_agents: int) -> Tensor:
    """Build the connected, undirected graph that `name` means for `n_agents` nodes.

    `complete`, `ring`, `star` (hub 0), `path`; `grid` and `torus`, rows x columns as square as
    `n_agents` factorises; `two_groups`, seven nodes: ring 0-1-2-3, triangle 4-5-6, bridge 3-4;
    `regular-D`, a random D-regular graph; `erdos_renyi-P`, every link with probability P;
    `small_world-K-P`, Watts-Strogatz: a ring with K nearest neighbours, each link rewired with
    probability P; `edges:FILE`, two 0-based ids a line, see `envs.network.edge_list`.
    Random graphs depend on the name and `n_agents` alone, and are redrawn until connected.

    Args:
        name: The topology, with its parameters.
        n_agents: Number of nodes.

    Returns:
        Edges `[E, 2]`, long, each once with the lower id first, sorted.

    Raises:
        UsageError: The name, a parameter or the file is wrong, or the graph is not connected.
    """
    if n_agents < 1:
        raise UsageError(f"n_agents: {n_agents} is too few for topology '{name}'; allowed: 1 or more")
    kind, *parameters = name.split("-")
    if name.startswith(EDGES):
        path = Path(name.removeprefix(EDGES))
        return canonical_edges(torch.from_numpy(read_edges(path, n_agents)), n_agents, f"edge list {path}")
    if name == "complete":
        _check_size(name, n_agents, n_agents * (n_agents - 1) / 2)
    if name in _FIXED:
        pairs = _FIXED[name](n_agents)
    elif kind in _RANDOM:
        pairs = _draw_connected(name, n_agents, _RANDOM[kind](name, parameters, n_agents))
    else:
        raise UsageError(f"topology: '{name}' is unknown; allowed: {', '.join(TOPOLOGIES)}")
    return canonical_edges(torch.from_numpy(pairs), n_agents, f"topology '{name}'")


def canonical_edges(edges: Tensor, n_agents: int, source: str) -> Tensor:
    """Check a list of undirected edges and bring it into its one canonical order.

    Args:
        edges: `[E, 2]`, integers, in any order and direction.
        n_agents: Number of nodes.
        source: What the edges are, to name in an error.

    Returns:
        Edges `[E, 2]`, long, lower id first, sorted.

    Raises:
        UsageError: Wrong shape or type, an id out of range, a self-loop, an edge given twice, or a
            graph in several components.
    """
    if edges.numel() == 0:
        edges = edges.new_zeros((0, 2), dtype=torch.long)
    if edges.ndim != 2 or edges.shape[1] != 2 or edges.is_floating_point():
        raise UsageError(f"{source}: edges are {edges.dtype} of shape {tuple(edges.shape)}; allowed: integers [E, 2]")
    low, high = edges.long().min(dim=1).values, edges.long().max(dim=1).values
    outside = (low < 0) | (high >= n_agents)
    if outside.any():
        first, second = edges[outside][0].tolist()
        raise UsageError(f"{source}: edge {first}-{second} is out of range; allowed: node ids 0 to {n_agents - 1}")
    if (low == high).any():
        node = int(low[low == high][0])
        raise UsageError(f"{source}: edge {node}-{node} is a self-loop; allowed: edges between two agents")
    keys = (low * n_agents + high).sort().values
    if (keys[1:] == keys[:-1]).any():
        key = int(keys[1:][keys[1:] == keys[:-1]][0])
        raise UsageError(f"{source}: edge {key // n_agents}-{key % n_agents} is given twice; allowed: each edge once")
    ordered = torch.stack([keys // n_agents, keys % n_agents], dim=1)
    components = _count_components(ordered.cpu().numpy(), n_agents)
    if components > 1:
        raise UsageError(f"{source}: the graph over {n_agents} agents is in {components} components; allowed: one")
    return ordered


def _check_size(name: str, n_agents: int, links: float) -> None:
    if links > MOST_LINKS:
        raise UsageError(
            f"topology: '{name}' with {n_agents} agents has about {links:.0f} links; allowed: {MOST_LINKS} at most"
        )


def _count_components(pairs: Pairs, n_agents: int) -> int:
    links = coo_matrix((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), (n_agents, n_agents))
    return connected_components(links, directed=False)[0]


def _complete(n_agents: int) -> Pairs:
    return torch.triu_indices(n_agents, n_agents, offset=1).T.numpy()


def _ring(n_agents: int) -> Pairs:
    return _wrapped(np.arange(n_agents).reshape(1, n_agents))


def _star(n_agents: int) -> Pairs:
    leaves = np.arange(1, n_agents)
    return np.stack([np.zeros_like(leaves), leaves], axis=1)


def _path(n_agents: int) -> Pairs:
    nodes = np.arange(n_agents)
    return np.stack([nodes[:-1], nodes[1:]], axis=1)


def _grid(n_agents: int) -> Pairs:
    nodes = _rectangle("grid", n_agents)
    along = np.stack([nodes[:, :-1].ravel(), nodes[:, 1:].ravel()], axis=1)
    across = np.stack([nodes[:-1].ravel(), nodes[1:].ravel()], axis=1)
    return np.concatenate([along, across])


def _torus(n_agents: int) -> Pairs:
    return _wrapped(_rectangle("torus", n_agents))


def _two_groups(n_agents: int) -> Pairs:
    if n_agents != 7:
        raise UsageError(
            f"topology: 'two_groups' joins exactly 7 agents and the task has {n_agents}; "
            "allowed: a task of 7 agents, or another topology"
        )
    return np.array([[0, 1], [1, 2], [2, 3], [0, 3], [4, 5], [5, 6], [4, 6], [3, 4]])


def _rectangle(name: str, n_agents: int) -> NDArray[np.int64]:
    rows = next(rows for rows in range(math.isqrt(n_agents), 0, -1) if n_agents % rows == 0)
    if rows == 1 and n_agents > 3:
        raise UsageError(
            f"topology: '{name}' needs rows x columns agents and {n_agents} is prime; allowed: a number with a divisor"
        )
    return np.arange(n_agents).reshape(rows, -1)


def _wrapped(nodes: NDArray[np.int64]) -> Pairs:
    """Link every node of a rectangle to the next of its row and of its column, ends joined."""
    steps = [np.stack([nodes, np.roll(nodes, -1, axis)], axis=-1).reshape(-1, 2) for axis in (0, 1)]
    pairs = np.sort(np.concatenate(steps), axis=1)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    # In a rectangle two wide, the link onwards and the link around are one.
    _, first = np.unique(pairs[:, 0] * nodes.size + pairs[:, 1], return_index=True)
    return pairs[first]


def _draw_connected(name: str, n_agents: int, sample: Sampler) -> Pairs:
    for draw in range(_DRAWS):
        digest = hashlib.sha256(f"{name}/{n_agents}/{draw}".encode()).digest()
        pairs = sample(int.from_bytes(digest[:8], "big"))
        if pairs is not None and _count_components(pairs, n_agents) == 1:
            return pairs
    raise UsageError(
        f"topology: '{name}' with {n_agents} agents gave no connected graph in {_DRAWS} draws; "
        "allowed: parameters with more links"
    )


def _regular(name: str, parameters: list[str], n_agents: int) -> Sampler:
    degree = _integers(name, parameters[:1], "regular-D with an integer D of 1 or more")
    if len(parameters) != 1 or degree < 1:
        raise _bad_parameters(name, "regular-D with an integer D of 1 or more")
    if degree >= n_agents:
        raise _bad_parameters(name, f"D below the number of agents, {n_agents}")
    if degree * n_agents % 2:
        raise _bad_parameters(name, f"an even D, since the number of agents, {n_agents}, is odd")
    _check_size(name, n_agents, degree * n_agents / 2)
    return lambda seed: _random_regular(degree, n_agents, np.random.default_rng(seed))


def _erdos_renyi(name: str, parameters: list[str], n_agents: int) -> Sampler:
    probability = _decimal(name, parameters, "erdos_renyi-P with 0 <= P <= 1, such as erdos_renyi-0.2")
    _check_size(name, n_agents, probability * n_agents * (n_agents - 1) / 2)
    return lambda seed: _pairs(nx.fast_gnp_random_graph(n_agents, probability, seed=seed))


def _small_world(name: str, parameters: list[str], n_agents: int) -> Sampler:
    allowed = "small_world-K-P with an even K of 2 or more and 0 <= P <= 1, such as small_world-4-0.1"
    nearest = _integers(name, parameters[:1], allowed)
    probability = _decimal(name, parameters[1:], allowed)
    if nearest < 2 or nearest % 2:
        raise _bad_parameters(name, allowed)
    if nearest >= n_agents:
        raise _bad_parameters(name, f"K below the number of agents, {n_agents}")
    _check_size(name, n_agents, nearest * n_agents / 2)
    return lambda seed: _pairs(nx.watts_strogatz_graph(n_agents, nearest, probability, seed=seed))


def _integers(name: str, words: list[str], allowed: str) -> int:
    if len(words) != 1 or not re.fullmatch(r"0|[1-9][0-9]{0,8}", words[0]):
        raise _bad_parameters(name, allowed)
    return int(words[0])


def _decimal(name: str, words: list[str], allowed: str) -> float:
    value = number_of(words[0], f"topology '{name}'") if len(words) == 1 else None
    if value is None or not 0 <= value <= 1:
        raise _bad_parameters(name, allowed)
    return value


def _bad_parameters(name: str, allowed: str) -> UsageError:
    return UsageError(f"topology: the parameters of '{name}' are wrong; allowed: {allowed}")


def _pairs(graph: nx.Graph) -> Pairs:
    return np.array(list(graph.edges()), dtype=np.int64).reshape(-1, 2)


def _random_regular(degree: int, n_agents: int, generator: np.random.Generator) -> Pairs | None:
    """Draw a D-regular graph as a union of random Hamiltonian cycles, plus a matching where D is odd.

    `networkx.random_regular_graph` takes several times as long at a million nodes, does not end where D
    is near the number of nodes (100 nodes, D = 95), and for D = 2 it is rarely connected. Here all is
    vector operations but the few repeated edges, about `(D/2)^2` in a large graph, and cycles are
    connected by construction. It serves every size, so that the name has one meaning.
    """
    if 2 * degree > n_agents:
        # Repairs rarely succeed in a dense graph; its complement is sparse.
        missing = np.ones((n_agents, n_agents), dtype=bool)
        absent = _random_regular(n_agents - 1 - degree, n_agents, generator)
        if absent is None:
            return None
        missing[absent[:, 0], absent[:, 1]] = missing[absent[:, 1], absent[:, 0]] = False
        return np.argwhere(np.triu(missing, k=1))
    parts = [np.zeros((0, 2), dtype=np.int64)]
    for _ in range(degree // 2):
        order = generator.permutation(n_agents)
        parts.append(np.stack([order, np.roll(order, -1)], axis=1))
    if degree % 2:
        parts.append(generator.permutation(n_agents).reshape(-1, 2))
    return _switch_repeats(np.concatenate(parts), n_agents, generator)


def _switch_repeats(pairs: Pairs, n_agents: int, generator: np.random.Generator) -> Pairs | None:
    """Replace a repeated edge a-b and a random edge c-d by a-d and c-b, which keeps every degree."""

    def key(first: int, second: int) -> int:
        return min(first, second) * n_agents + max(first, second)

    keys = pairs.min(axis=1) * n_agents + pairs.max(axis=1)
    _, kept = np.unique(keys, return_index=True)
    if len(kept) == len(pairs):
        return pairs
    repeated = set(np.setdiff1d(np.arange(len(pairs)), kept).tolist())
    taken = set(keys.tolist())
    for edge in sorted(repeated):
        a, b = pairs[edge].tolist()
        for other in generator.integers(len(pairs), size=_SWITCH_TRIES).tolist():
            c, d = pairs[other].tolist()
            if other in repeated or a == d or c == b or key(a, d) in taken or key(c, b) in taken:
                continue
            taken.remove(key(c, d))
            taken |= {key(a, d), key(c, b)}
            pairs[edge], pairs[other] = (a, d), (c, b)
            repeated.remove(edge)
            break
        else:
            return None
    return pairs


_FIXED: dict[str, Callable[[int], Pairs]] = {
    "complete": _complete,
    "ring": _ring,
    "star": _star,
    "path": _path,
    "grid": _grid,
    "torus": _torus,
    "two_groups": _two_groups,
}
_RANDOM: dict[str, Callable[[str, list[str], int], Sampler]] = {
    "regular": _regular,
    "erdos_renyi": _erdos_renyi,
    "small_world": _small_world,
}
