"""What may be wrong with a network: messages that are lost, late, rounded or false, links that rest, change or are cut.

A fault is a word behind a topology in an address, joined by `+`, as in `two_groups+loss-0.3+delay-6`:

    loss-P            a link carries nothing in a round, either way, with probability P
    one_way_loss-P    a message does not arrive, with probability P
    delay-D           messages arrive D exchanges late: D steps, where agents talk in every one
    rounding-S        what is sent is rounded to a multiple of S
    every-E           agents talk in every E-th step alone
    switching-NAME    in every other step links are those of another topology
    cut               the first half of the agents and the rest never hear each other
    liar_says-V       one agent tells V, whatever it has
    liar_adds-V       one agent tells V more than it has
    liar_flips        one agent tells the opposite of what it has

Policies are trained without faults. Draws come from a seed of the network's own, so that every method meets the same.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from accord.envs.errors import UsageError
from accord.envs.network.static import Network
from accord.envs.network.topologies import build_edges

NUMBER = re.compile(r"-?(\d+(\.\d+)?|\.\d+)")
WORDS = (
    *("loss-P", "one_way_loss-P", "delay-D", "rounding-S", "every-E", "switching-NAME", "cut"),
    *("liar_says-V", "liar_adds-V", "liar_flips"),
)
SEED = 2**16 + 1  # of what is lost


@dataclass(frozen=True)
class Faults:
    """What is wrong; by default nothing.

    Attributes:
        loss: Probability that a link carries nothing in a round.
        one_way_loss: Probability that a message does not arrive.
        delay: Exchanges by which messages are late.
        rounding: What is sent is a multiple of this; 0: any number.
        every: Steps from one exchange to the next.
        switching: Topology of every other step; empty for none.
        cut: Whether the two halves hear each other.
        liar_says: What the liar tells; None where nobody does.
        liar_adds: What it adds to the truth.
        liar_flips: It tells the opposite.
    """

    loss: float = 0.0
    one_way_loss: float = 0.0
    delay: int = 0
    rounding: float = 0.0
    every: int = 1
    switching: str = ""
    cut: bool = False
    liar_says: float | None = None
    liar_adds: float = 0.0
    liar_flips: bool = False

    @property
    def lies(self) -> bool:
        """Somebody does."""
        return self.liar_says is not None or self.liar_adds != 0.0 or self.liar_flips


def split_faults(name: str) -> tuple[str, tuple[str, ...]]:
    """A topology's name and the words of faults behind it; a file's name may hold a `+` of its own."""
    topology, *words = name.split("+")
    if not name.startswith("edges:"):
        return topology, tuple(words)
    while words and not all(word.partition("-")[0] in _KINDS for word in words):
        topology, words = f"{topology}+{words[0]}", words[1:]
    return topology, tuple(words)


def parse_faults(words: Sequence[str], where: str) -> Faults:
    """Read the words of faults.

    Args:
        words: As in the module.
        where: What they are of, for messages.

    Raises:
        UsageError: a word without a meaning, a number out of range, or a fault given twice.
    """
    found: dict[str, object] = {}
    for word in words:
        kind, dash, value = word.partition("-")
        if kind not in _KINDS:
            raise UsageError(f"{where}: '{word}' is no fault; allowed: {', '.join(WORDS)}")
        if kind in found:
            raise UsageError(f"{where}: fault '{kind}' is given twice")
        wanted = _KINDS[kind]
        if wanted is bool:
            if dash:
                raise UsageError(f"{where}: fault '{word}' takes no number; allowed: {kind}")
            found[kind] = True
        elif kind == "switching":
            found[kind] = value
        else:
            found[kind] = _number(kind, value, where)
    return Faults(**found)  # type: ignore[arg-type]


class FaultyNetwork(Network):
    """A network with faults. The sums that `mix` and `neighbour_mean` make are of what arrives.

    What is missing is never read as 0: its weight falls to the receiver's own number. `mean`, a central node's, has
    lines of its own and stays as it is.

    Attributes:
        faults: What is wrong.
        liar: Who lies: the agent with the most neighbours, of those the first.
    """

    exact = False

    def __init__(self, edges: Tensor, n_agents: int, name: str, faults: Faults) -> None:
        """Set up.

        Args:
            edges: See `Network`.
            n_agents: N.
            name: How it is called, faults included.
            faults: What is wrong.

        Raises:
            UsageError: `switching` names no topology.
        """
        super().__init__(edges, n_agents, name)
        self.faults = faults
        self.liar = int(self.degree.argmax())
        graphs = [(self.sources, self.targets, self.edge_weights())]
        if faults.switching:
            other = Network(build_edges(faults.switching, n_agents), n_agents, faults.switching)
            graphs.append((other.sources, other.targets, other.edge_weights()))
        self._graphs = [_Links(*graph, n_agents, faults.cut) for graph in graphs]
        self._generator = torch.Generator().manual_seed(SEED)
        self._steps = 0
        self._told: list[deque[tuple[Tensor, Tensor]]] = []  # of each round: what was told, and what was true

    @property
    def digest(self) -> str:
        """Of the links and of what is wrong with them."""
        return hashlib.sha256(f"{super().digest} {self.faults}".encode()).hexdigest()

    def to(self, device: torch.device | str) -> FaultyNetwork:
        """See `Network.to`."""
        super().to(device)
        for links in self._graphs:
            links.to(device)
        return self

    def mix(self, x: Tensor, rounds: int = 1, method: str = "plain") -> Tensor:
        """See `Network.mix`; `balanced` compares what a neighbour told with what was one's own then, see `damping`."""
        if method not in ("plain", "balanced"):
            raise UsageError(f"mix: method '{method}' over a network with faults; allowed: plain, balanced")
        links = self._links_of_now()
        damping = self.damping if method == "balanced" else 1.0
        for number in range(rounds if links is not None else 0):
            assert links is not None
            heard, own = self._hear(x, links, number)
            if heard is None or own is None:
                continue
            mine = own if method == "balanced" else x[:, links.targets]
            change = (heard - mine) * links.weights[:, None].to(x) * (damping * self._arrived(x, links))
            x = x + torch.zeros_like(x).index_add_(1, links.targets, change)
        self._steps += 1
        return x

    def neighbour_mean(self, x: Tensor) -> Tensor:
        """See `Network.neighbour_mean`; of the neighbours whose message arrives, one's own number where none does."""
        links = self._links_of_now()
        heard = None if links is None else self._hear(x, links, 0)[0]
        self._steps += 1
        if links is None or heard is None:
            return x
        arrived = self._arrived(x, links).expand(len(x), len(links.targets), 1)
        count = x.new_zeros(*x.shape[:2], 1).index_add_(1, links.targets, arrived)
        total = torch.zeros_like(x).index_add_(1, links.targets, heard * arrived)
        return torch.where(count > 0, total / count.clamp_min(1), x)

    def propagate(self, x: Tensor, taps: int) -> Tensor:
        """Graph filters have no form for what is missing."""
        raise UsageError(f"network '{self.name}': methods that pass features on are not run over networks with faults")

    def gather(self, x: Tensor) -> Tensor:
        """See `propagate`."""
        return self.propagate(x, 1)

    @property
    def damping(self) -> float:
        """ε of balanced exchanges: four fifths of the largest one that is stable, at most 1.

        With x⁺ = x − ε·(I − W)·x(t − D) each eigenvalue ω of W gives z^(D+1) = z^D − ε·(1 − ω), whose roots lie within
        the unit circle if and only if ε·(1 − ω) < 2·sin(π/(4D + 2)) (Levin and May, 1976).
        """
        if not self.faults.delay:
            return 1.0
        return min(1.0, 0.8 * 2 * math.sin(math.pi / (4 * self.faults.delay + 2)) / (1 - self.lowest))

    def _links_of_now(self) -> _Links | None:
        """Who talks in this step; None where nobody does."""
        if self._steps % self.faults.every:
            return None
        return self._graphs[self._steps // self.faults.every % len(self._graphs)]

    def _hear(self, x: Tensor, links: _Links, number: int) -> tuple[Tensor | None, Tensor | None]:
        """What arrives over each link in a round, and what the receiver had when it was sent, [B, links, k]."""
        self._count(x, len(links.sources))
        if number == len(self._told):
            self._told.append(deque(maxlen=self.faults.delay + 1))
        told = self._told[number]
        if told and told[0][0].shape != x.shape:
            raise UsageError(
                f"network '{self.name}': late messages are of the same numbers as those of now; "
                "allowed with a delay: mix_active_only false"
            )
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

    def _arrived(self, x: Tensor, links: _Links) -> Tensor:
        """1 where a message of a round arrives, [B, links, 1]."""
        faults = self.faults
        arrived = x.new_ones(1, 1, 1)
        if faults.loss:
            drawn = torch.rand(len(x), int(links.pair.max()) + 1, 1, generator=self._generator)
            arrived = (drawn >= faults.loss).to(x)[:, links.pair]
        if faults.one_way_loss:
            drawn = torch.rand(len(x), len(links.sources), 1, generator=self._generator)
            arrived = arrived * (drawn >= faults.one_way_loss).to(x)
        return arrived


class _Links:
    """Directed links of a graph, their weights, and which two belong together."""

    def __init__(self, sources: Tensor, targets: Tensor, weights: Tensor, n_agents: int, cut: bool) -> None:
        if cut:
            half = n_agents // 2
            kept = (sources < half) == (targets < half)
            sources, targets, weights = sources[kept], targets[kept], weights[kept]
        self.sources, self.targets, self.weights = sources, targets, weights
        key = torch.minimum(sources, targets) * n_agents + torch.maximum(sources, targets)
        self.pair = key.unique(return_inverse=True)[1]

    def to(self, device: torch.device | str) -> None:
        self.sources, self.targets = self.sources.to(device), self.targets.to(device)
        self.weights, self.pair = self.weights.to(device), self.pair.to(device)


_KINDS: dict[str, type] = {part.name: bool if part.type == "bool" else float for part in fields(Faults)}


def _number(kind: str, text: str, where: str) -> float | int:
    """The number of a fault, within what it may be.

    Raises:
        UsageError: it is none, or out of range.
    """
    whole, least, most = _RANGES[kind]
    value = float(text) if NUMBER.fullmatch(text) else math.nan
    if not least <= value <= most or (whole and value != int(value)):
        what = "a whole number" if whole else "a number"
        raise UsageError(f"{where}: fault '{kind}-{text}' needs {what} from {least:g} to {most:g}")
    return int(value) if whole else value


# Whether it is a whole number, and its least and most.
_RANGES: dict[str, tuple[bool, float, float]] = {
    "loss": (False, 0.0, 1.0),
    "one_way_loss": (False, 0.0, 1.0),
    "delay": (True, 1, 24 * 7),
    "rounding": (False, 1e-9, 1e3),
    "every": (True, 2, 24 * 365),
    "liar_says": (False, -1e3, 1e3),
    "liar_adds": (False, -1e3, 1e3),
}
