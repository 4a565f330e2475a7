"""A network with the faults that `envs.network.faults` names."""

from __future__ import annotations

import hashlib
import math
from collections import deque
from functools import cached_property
from itertools import count

import torch
from torch import Tensor

from accord.envs.errors import UsageError
from accord.envs.network.exchange import Links
from accord.envs.network.faults import Faults, split_faults
from accord.envs.network.static import METHODS, Network
from accord.envs.network.topologies import build_edges

SEED = 2**16 + 1  # of what is lost


class FaultyNetwork(Network):
    """A network with faults. The sums that `mix` and `neighbour_mean` make are of what arrives.

    What is missing is never read as 0: its weight falls to the receiver's own number. `mean`, a central node's, has
    lines of its own and stays as it is.

    Attributes:
        faults: What is wrong.
        liar: Who lies, if anybody does: the agent with the most neighbours, of those the first.
    """

    exact = False
    _begun = False

    def __init__(self, edges: Tensor, n_agents: int, name: str, faults: Faults) -> None:
        """Set up.

        Args:
            edges: See `Network`.
            n_agents: N.
            name: How it is called, faults included.
            faults: What is wrong.

        Raises:
            UsageError: `switching` names no topology, or an agent that fails is not there.
        """
        super().__init__(edges, n_agents, name)
        self.faults = faults
        silent = (*faults.dead_serving, *faults.dead_idle, *faults.late)
        if any(agent >= n_agents for agent in silent):
            raise UsageError(f"network '{name}': agent {max(silent)} is not there; allowed: 0 to {n_agents - 1}")
        if len(set(silent)) < len(silent):
            raise UsageError(f"network '{name}': an agent fails in two ways")
        self.liar = int(self.degree.argmax())
        self.failing = tuple(sorted({*faults.dead_serving, *faults.dead_idle, *([self.liar] if faults.lies else ())}))
        self._other = None
        if faults.switching and faults.switching == split_faults(name)[0]:
            raise UsageError(f"network '{name}': links switch to those that they are; allowed: another topology")
        if faults.switching:
            self._other = Network(build_edges(faults.switching, n_agents), n_agents, faults.switching)
        self._before = _between(self.links, n_agents, faults.late, cut=False)
        dead = (*faults.dead_serving, *faults.dead_idle)
        self._graphs = [
            _between(network.links, n_agents, dead, cut=faults.cut) for network in (self, self._other) if network
        ]
        self._begin()

    def start(self) -> None:
        """Faults begin, the same each time."""
        self._begin()
        self._begun = True

    def _begin(self) -> None:
        self._generator = torch.Generator().manual_seed(SEED)
        self._steps = 0
        self._told: list[deque[tuple[Tensor, Tensor]]] = []  # of each round: what was told, and what was true

    def overrule(self, actions: Tensor) -> Tensor:
        """Agents that are dead or late do not follow: they ask for all of the unit box, or for nothing of it."""
        faults = self.faults
        serving, idle = (faults.dead_serving, faults.dead_idle) if self._begun else (faults.late, ())
        if not serving and not idle:
            return actions
        actions = actions.clone()
        actions[:, list(serving)], actions[:, list(idle)] = 1.0, 0.0
        return actions

    @property
    def digest(self) -> str:
        """Of the links and of what is wrong with them."""
        return hashlib.sha256(f"{super().digest} {self.faults.words}".encode()).hexdigest()

    def to(self, device: torch.device | str) -> FaultyNetwork:
        """See `Network.to`."""
        super().to(device)
        self._before, *self._graphs = (links.to(device) for links in (self._before, *self._graphs))
        return self

    def mix(self, x: Tensor, rounds: int = 1, method: str = "plain", limit: float = 0.0) -> Tensor:
        """See `Network.mix`; `balanced` compares what a neighbour told with what was one's own then, see `damping`."""
        if method not in METHODS or rounds < 0:
            raise UsageError(
                f"mix: method '{method}' with {rounds} rounds; allowed: {', '.join(METHODS)}, 0 rounds or more"
            )
        links = self._links_of_now()
        if links is not None:
            numbers, damping = count(), self.damping(rounds) if method == "balanced" and self._begun else 1.0
            x = self._mix_by(lambda y: self._round(y, links, next(numbers), method, limit, damping), x, rounds, method)
        self._steps += 1
        return x

    def _round(self, x: Tensor, links: Links, number: int, method: str, limit: float, damping: float) -> Tensor:
        """One round of messages."""
        heard, own = self._hear(x, links, number)
        if heard is None or own is None:
            return x
        arrived = self._arrived(x, links)
        if method == "trimmed":
            return links.trimmed(x, heard, arrived, round(limit))
        if method == "balanced":
            return links.averaged(x, heard, own, arrived * damping)
        return links.averaged(x, heard, x[:, links.targets], arrived, limit if method == "clipped" else None)

    def neighbour_mean(self, x: Tensor) -> Tensor:
        """See `Network.neighbour_mean`; of the neighbours whose message arrives, one's own number where none does."""
        links = self._links_of_now()
        heard = None if links is None else self._hear(x, links, 0)[0]
        self._steps += 1
        if links is None or heard is None:
            return x
        arrived = self._arrived(x, links).expand(len(x), len(links.targets), 1)
        received = x.new_zeros(*x.shape[:2], 1).index_add_(1, links.targets, arrived)
        total = torch.zeros_like(x).index_add_(1, links.targets, heard * arrived)
        return torch.where(received > 0, total / received.clamp_min(1), x)

    def propagate(self, x: Tensor, taps: int) -> Tensor:
        """Graph filters have no form for what is missing."""
        raise UsageError(f"network '{self.name}': methods that pass features on are not run over networks with faults")

    def gather(self, x: Tensor) -> Tensor:
        """See `propagate`."""
        return self.propagate(x, 1)

    def distances_from(self, node: int) -> Tensor:
        """See `Network.distances_from`; links count that are there in some step."""
        if not self.faults.switching:
            return super().distances_from(node)
        other = build_edges(self.faults.switching, self.n_agents)
        return Network(torch.cat([self.edges, other]).unique(dim=0), self.n_agents).distances_from(node)

    def damping(self, rounds: int) -> float:
        """ε of balanced exchanges: four fifths of the largest one that is stable, at most 1.

        What is told in a round is heard in the same one D exchanges later, d = D·K rounds. With
        x⁺ = x − ε·(I − W)·x(t − d) each eigenvalue ω of W gives z^(d+1) = z^d − ε·(1 − ω), whose roots lie within the
        unit circle if and only if ε·(1 − ω) < 2·sin(π/(4d + 2)) (Levin and May, 1976). Links that take turns: of the
        graph with the lowest ω.

        Args:
            rounds: K.
        """
        late = self.faults.delay * rounds
        return 1.0 if not late else min(1.0, 0.8 * 2 * math.sin(math.pi / (4 * late + 2)) / (1 - self._least))

    @cached_property
    def _least(self) -> float:
        """Smallest eigenvalue of the weights of any of its graphs."""
        return min(self.lowest, self.lowest if self._other is None else self._other.lowest)

    @property
    def turn(self) -> int | None:
        """See `Network.turn`; -1 where nobody talks, else the number of a graph."""
        if not self._begun:
            return None
        resting = self._steps % self.faults.every != 0
        return -1 if resting else self._steps // self.faults.every % len(self._graphs)

    def sigma_at(self, turn: int | None) -> float:
        """See `Network.sigma_at`."""
        if turn == -1:
            return 1.0
        return self._other.sigma if turn and self._other is not None else self.sigma

    def _links_of_now(self) -> Links | None:
        """Who talks in this step; None where nobody does."""
        turn = self.turn
        if turn is None:
            return self._before
        return None if turn == -1 else self._graphs[turn]

    def _hear(self, x: Tensor, links: Links, number: int) -> tuple[Tensor | None, Tensor | None]:
        """What arrives over each link in a round, and what the receiver had when it was sent, [B, links, k]."""
        self._count(x, len(links.sources))
        if not self._begun:
            return x[:, links.sources], x[:, links.targets]
        if not self.faults.delay:
            return self._rounded(self._lied(x))[:, links.sources], self._rounded(x)[:, links.targets]
        if number == len(self._told):
            self._told.append(deque(maxlen=self.faults.delay + 1))
        told = self._told[number]
        told.append((self._rounded(self._lied(x)), self._rounded(x)))
        if len(told) <= self.faults.delay:
            return None, None
        sent, own = told[0]
        return sent[:, links.sources], own[:, links.targets]

    def _lied(self, x: Tensor) -> Tensor:
        faults = self.faults
        if not faults.lies:
            return x
        x = x.clone()
        mine = x[:, self.liar] * (-1.0 if faults.liar_flips else 1.0) + faults.liar_adds
        x[:, self.liar] = mine if faults.liar_says is None else faults.liar_says
        return x

    def _rounded(self, x: Tensor) -> Tensor:
        step = self.faults.rounding
        return x if step == 0 else (x / step).round() * step

    def _arrived(self, x: Tensor, links: Links) -> Tensor:
        """1 where a message of a round arrives, [B, links, 1]."""
        faults = self.faults
        arrived = x.new_ones(1, 1, 1)
        if not self._begun:
            return arrived
        if faults.loss:
            drawn = torch.rand(len(x), links.pairs, 1, generator=self._generator)
            arrived = (drawn >= faults.loss).to(x)[:, links.pair]
        if faults.one_way_loss:
            drawn = torch.rand(len(x), len(links.sources), 1, generator=self._generator)
            arrived = arrived * (drawn >= faults.one_way_loss).to(x)
        return arrived


def _between(links: Links, n_agents: int, silent: tuple[int, ...], *, cut: bool) -> Links:
    """The links between agents that talk, and not between the halves of a network that is cut."""
    quiet = torch.zeros(n_agents, dtype=torch.bool)
    quiet[list(silent)] = True
    gone = quiet[links.sources] | quiet[links.targets]
    if cut:
        gone |= (links.sources < n_agents // 2) != (links.targets < n_agents // 2)
    return links.without(gone)
