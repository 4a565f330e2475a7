"""The communication network: the only way in which an agent learns another agent's numbers."""

import hashlib
from collections.abc import Callable
from functools import cached_property, partial

import numpy as np
import torch
from scipy.sparse import coo_matrix, csr_matrix, identity
from scipy.sparse.csgraph import dijkstra
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor

from accord.envs.errors import UsageError
from accord.envs.network.exchange import Links
from accord.envs.network.faults import Faults
from accord.envs.network.topologies import build_edges, canonical_edges
from accord.envs.network.weights import apply, metropolis, mixing_rows, sparse_tensor

# Up to here one product with a cached dense matrix, whatever the number of rounds, beats products with
# sparse rows: on one core and one copy of 4 numbers an agent, 2 µs against 6 µs at N = 7 and 5 µs
# against 6 µs at N = 64; at N = 128 the dense one takes twice as long as a sparse round.
DENSE_AGENTS = 64

_DENSE_SPECTRUM = 500
DENSE_MATRIX = 4096
METHODS = ("plain", "chebyshev", "balanced", "clipped", "trimmed")


class Network:
    """A static, connected, undirected graph over the agents, and what they can compute over it.

    Operations take `x [B, N, k]`, float32 or float64, on the network's device. Each counts what one copy
    of the batch sends: one message per directed edge and round, of `k` numbers.

    Attributes:
        exact: Every message arrives at once and as it was sent.
        faults: What is wrong with it.
        failing: Agents that are dead or lie.
        name: The topology's name.
        n_agents: Number of agents N.
        edges: `[E, 2]`, each undirected edge once, lower id first, sorted.
        degree: `[N]`, number of neighbours.
        sources: `[2E]`, sender of each directed edge.
        targets: `[2E]`, receiver of each directed edge, ascending.
        messages: Messages sent since the last `reset_counters`, in one copy.
        bytes: Bytes sent since the last `reset_counters`, in one copy.
    """

    exact = True
    faults = Faults()
    failing: tuple[int, ...] = ()

    def __init__(self, edges: Tensor, n_agents: int, name: str = "") -> None:
        """Make a network of given edges.

        Args:
            edges: `[E, 2]`, each undirected edge once, in any order and direction.
            n_agents: Number of agents.
            name: How the network is called in errors and reports.

        Raises:
            UsageError: A self-loop, an id out of range, an edge given twice, or a disconnected graph.
        """
        if n_agents < 1:
            raise UsageError(f"network: n_agents is {n_agents}; allowed: 1 or more")
        self.name = name
        self.n_agents = n_agents
        self.edges = canonical_edges(edges, n_agents, f"network '{name}'" if name else "network")
        directed = torch.cat([self.edges, self.edges.flip(1)])
        directed = directed[torch.argsort(directed[:, 1] * n_agents + directed[:, 0])]
        self.sources, self.targets = directed[:, 0].contiguous(), directed[:, 1].contiguous()
        self.degree = torch.bincount(self.targets, minlength=n_agents)
        # Weights are worked out here, wherever the network moves to.
        self._on_cpu = self.sources.numpy(), self.targets.numpy(), self.degree.numpy().astype(np.float64)
        self.messages = 0
        self.bytes = 0
        self._dense = n_agents <= DENSE_AGENTS
        self._operators: dict[tuple[str, int, torch.dtype], Tensor] = {}

    @classmethod
    def build(cls, name: str, n_agents: int) -> "Network":
        """Make the network that a topology's name means; see `envs.network.topologies.build_edges`."""
        return cls(build_edges(name, n_agents), n_agents, name)

    def to(self, device: torch.device | str) -> "Network":
        """Move the network to a device, in place, and return it."""
        self.edges, self.degree = self.edges.to(device), self.degree.to(device)
        self.sources, self.targets = self.sources.to(device), self.targets.to(device)
        self._operators.clear()
        self.__dict__.pop("links", None)
        return self

    def start(self) -> None:
        """The measured hours begin; see `envs.network.faults`."""

    def overrule(self, actions: Tensor) -> Tensor:
        """What agents do that are told `actions` `[B, N, A]`; see `envs.network.faults`."""
        return actions

    @property
    def turn(self) -> int | None:
        """Who talks in the next exchange, a number for `sigma_at`; None before faults begin, and where none do."""
        return None

    def sigma_at(self, turn: int | None) -> float:
        """`sigma` of that exchange, but for losses and delays."""
        return self.sigma

    def move(self, links: Tensor) -> None:
        """Take the links of now, `Step.links`; see `MovingNetwork`."""
        raise TypeError(f"network '{self.name}' never changes, and its task says that it does")

    def damping(self, rounds: int) -> float:
        """ε of balanced exchanges: 1, that of plain ones, but where messages are late."""
        return 1.0

    def reset_counters(self) -> None:
        """Set `messages` and `bytes` to zero."""
        self.messages = 0
        self.bytes = 0

    def mix(self, x: Tensor, rounds: int = 1, method: str = "plain", limit: float = 0.0) -> Tensor:
        """Average with the neighbours for some rounds; the mean over the agents is kept, but by `trimmed`.

        `plain` is `W^K x` with the Metropolis-Hastings weights `W_ij = 1 / (1 + max(d_i, d_j))`
        (Xiao & Boyd 2004): the distance to the mean shrinks by `sigma^K`. `chebyshev` is
        `T_K(W / sigma) x / T_K(1 / sigma)`: as many messages, a bound of `1 / T_K(1 / sigma)`, and
        weights that can be negative. `balanced` is `plain`, but for late and rounded messages: see
        `envs.network.faults`. `clipped` believes a neighbour to differ by `limit` at most, and `trimmed` leaves out the
        `limit` largest and smallest numbers that it hears.

        Args:
            x: `[B, N, k]`.
            rounds: Number of rounds K, 0 or more.
            method: `plain`, `chebyshev`, `balanced`, `clipped` or `trimmed`.
            limit: Of the last two.

        Returns:
            `[B, N, k]`.

        Raises:
            UsageError: Unknown method or negative rounds.
        """
        if method not in METHODS or rounds < 0:
            raise UsageError(
                f"mix: method '{method}' with {rounds} rounds; allowed: {', '.join(METHODS)}, 0 rounds or more"
            )
        method = "plain" if method == "balanced" else method
        self._count(x, rounds * len(self.targets))
        if method in ("clipped", "trimmed"):
            links, all_arrive = self.links, x.new_ones(1, 1, 1)
            for _ in range(rounds):
                heard, mine = x[:, links.sources], x[:, links.targets]
                if method == "clipped":
                    x = links.averaged(x, heard, mine, all_arrive, limit)
                else:
                    x = links.trimmed(x, heard, all_arrive, round(limit))
            return x
        if self._dense:
            return apply(self._operator(method, rounds, x.dtype), x)
        step = partial(apply, self._operator("plain", 1, x.dtype))
        return self._mix_by(step, x, rounds, method)

    def mix_told(self, told: Tensor, changed: Tensor) -> Tensor:
        """A plain round of what neighbours know, `told [B, N, k]`, of which only what has `changed` is sent."""
        messages, size = self.messages, self.bytes
        mixed = self.mix(told)
        self.messages = messages + int((self.degree * changed[0].any(-1)).sum())
        self.bytes = size + int((self.degree * changed[0].sum(-1)).sum()) * told.element_size()
        return mixed

    def neighbour_mean(self, x: Tensor) -> Tensor:
        """Give every agent the mean of its neighbours' rows `[B, N, k]`; a lone agent gets its own."""
        self._count(x, len(self.targets))
        return apply(self._operator("neighbours", 1, x.dtype), x)

    def propagate(self, x: Tensor, taps: int) -> Tensor:
        """Give the taps of a graph filter: `S^0 x, …, S^taps x` with `S = D^-1/2 A D^-1/2`.

        Args:
            x: `[B, N, k]`.
            taps: Number of hops, 0 or more. A lone agent has `S = 0`.

        Returns:
            `[B, N, taps + 1, k]`.
        """
        self._count(x, taps * len(self.targets))
        if self._dense:
            hops = apply(self._operator("taps", taps, x.dtype), x)
            return hops.reshape(x.shape[0], taps + 1, self.n_agents, x.shape[2]).transpose(1, 2)
        shift = self._operator("normalised", 1, x.dtype)
        hop = [x]
        for _ in range(taps):
            hop.append(apply(shift, hop[-1]))
        return torch.stack(hop, dim=2)

    def gather(self, x: Tensor) -> Tensor:
        """Give what each directed edge delivers: `x [B, N, k]` at `sources`, `[B, 2E, k]`, for `targets`."""
        self._count(x, len(self.targets))
        return x.index_select(1, self.sources)

    def mean(self, x: Tensor) -> Tensor:
        """Average `x [B, N, k]` exactly, `[B, 1, k]`: a central node, one message up and one down each."""
        self._count(x, 2 * self.n_agents)
        return x.mean(dim=1, keepdim=True)

    @property
    def digest(self) -> str:
        """SHA-256 of who can talk to whom, hex."""
        return hashlib.sha256(f"{self.n_agents} ".encode() + self.edges.cpu().numpy().tobytes()).hexdigest()

    @cached_property
    def sigma(self) -> float:
        """Second largest absolute eigenvalue of W, `rho(W - 11^T / N)`: the contraction of one round."""
        return _second_eigenvalue(self._weights("metropolis"))

    @property
    def spectral_gap(self) -> float:
        """`1 - sigma`: near 1 mixes at once, near 0 hardly."""
        return 1.0 - self.sigma

    @cached_property
    def lowest(self) -> float:
        """Smallest eigenvalue of W."""
        weights = self._weights("metropolis")
        if self.n_agents <= _DENSE_SPECTRUM:
            return float(np.linalg.eigvalsh(weights.toarray())[0])
        return float(eigsh(weights, k=1, which="SA", tol=1e-7, return_eigenvectors=False)[0])

    def mixing_matrix(self) -> Tensor:
        """Give W, dense float64 `[N, N]` on the CPU, for analysis.

        Raises:
            UsageError: More agents than a dense matrix is meant for.
        """
        if self.n_agents > DENSE_MATRIX:
            raise UsageError(f"mixing_matrix: {self.n_agents} agents are too many; allowed: up to {DENSE_MATRIX}")
        return torch.from_numpy(self._weights("metropolis").toarray())

    def distances_from(self, node: int) -> Tensor:
        """Count the hops from `node` to every agent, `[N]`, long, on the CPU."""
        hops = dijkstra(self._weights("neighbours"), indices=np.array([node]), unweighted=True)
        return torch.from_numpy(hops[0]).long()

    @cached_property
    def links(self) -> Links:
        """Every directed edge with its weight; on the device where it is first asked for."""
        weights = self.edge_weights().to(self.edges.device)
        return Links(self.sources, self.targets, weights, self.n_agents)

    def edge_weights(self) -> Tensor:
        """Give `W_ij` of every directed edge, `[2E]`, float64, on the CPU."""
        sources, targets, degree = self._on_cpu
        return torch.from_numpy(metropolis(degree[sources], degree[targets]))

    def _count(self, x: Tensor, messages: int) -> None:
        if x.shape[-2] != self.n_agents:
            raise ValueError(f"x has shape {tuple(x.shape)}; allowed: [B, {self.n_agents}, k]")
        self.messages += messages
        self.bytes += messages * x.shape[-1] * x.element_size()

    def _operator(self, kind: str, rounds: int, dtype: torch.dtype) -> Tensor:
        key = (kind, rounds, dtype)
        if key not in self._operators:
            # A tensor made in inference mode could not serve a later call under autograd.
            with torch.inference_mode(False), torch.no_grad():
                matrix = self._dense_operator(kind, rounds) if self._dense else self._sparse_operator(kind)
                self._operators[key] = matrix.to(device=self.edges.device, dtype=dtype)
        return self._operators[key]

    def _dense_operator(self, kind: str, rounds: int) -> Tensor:
        if kind == "neighbours":
            return torch.from_numpy(self._weights(kind).toarray())
        identity_matrix = torch.eye(self.n_agents, dtype=torch.float64)
        if kind == "taps":
            shift = torch.from_numpy(self._weights("normalised").toarray())
            return torch.cat([torch.linalg.matrix_power(shift, hop) for hop in range(rounds + 1)])
        weights = torch.from_numpy(self._weights("metropolis").toarray())
        return self._mix_by(weights.matmul, identity_matrix, rounds, kind)

    def _sparse_operator(self, kind: str) -> Tensor:
        return sparse_tensor(self._weights("metropolis" if kind == "plain" else kind))

    def _mix_by(self, step: Callable[[Tensor], Tensor], x: Tensor, rounds: int, method: str) -> Tensor:
        """Apply the polynomial of W that `rounds` and `method` name, given `step`: x -> W x."""
        if rounds == 0:
            return x
        previous, current = x, step(x)
        sigma = self.sigma if method == "chebyshev" and rounds > 1 else 0.0
        ratio = sigma  # T_{k-1}(1 / sigma) / T_k(1 / sigma), which stays below 1 where T_k overflows
        for _ in range(rounds - 1):
            if sigma < 1e-12:  # the polynomial's limit is W^K
                current = step(current)
                continue
            following = 1.0 / (2.0 / sigma - ratio)
            mixed = following * (2.0 / sigma * step(current) - ratio * previous)
            previous, current, ratio = current, mixed, following
        return current

    def _weights(self, kind: str) -> csr_matrix:
        """Give the float64 matrix `[N, N]` called metropolis, normalised or neighbours."""
        n_agents = self.n_agents
        sources, targets, degree = self._on_cpu
        if kind == "metropolis":
            return mixing_rows(self.edge_weights().numpy(), targets, sources, np.arange(n_agents), n_agents)
        if kind == "normalised":
            values = 1.0 / np.sqrt(degree[sources] * degree[targets])
        elif n_agents == 1:
            return csr_matrix(identity(1))
        else:
            values = 1.0 / degree[targets]
        return coo_matrix((values, (targets, sources)), (n_agents, n_agents)).tocsr()


def _second_eigenvalue(weights: csr_matrix) -> float:
    n_agents = weights.shape[0]
    if n_agents <= _DENSE_SPECTRUM:
        return float(np.abs(np.linalg.eigvalsh(weights.toarray() - 1.0 / n_agents)).max())
    start = np.random.default_rng(0).standard_normal(n_agents)
    rest = LinearOperator(weights.shape, matvec=lambda v: weights @ v - v.mean(), dtype=np.float64)
    try:
        values = eigsh(rest, k=1, which="LM", v0=start, tol=1e-7, maxiter=500, return_eigenvectors=False)
    except ArpackNoConvergence:
        # Long thin graphs crowd their spectrum under 1, where only the inverse tells values apart. The
        # value sought is then positive: the lowest is at least -1 + 2 / (1 + largest degree).
        values = eigsh(weights.tocsc(), k=2, sigma=1 + 1e-9, which="LM", v0=start, return_eigenvectors=False)
        return float(values.min())
    return float(np.abs(values).max())
