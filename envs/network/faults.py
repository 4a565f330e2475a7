"""What may be wrong with a network: messages that are lost, late, rounded or false, links that rest, agents that fail.

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
    dead_serving-I_J  these agents, by number, fall silent and serve all they want at once
    dead_idle-I_J     these agents fall silent and serve nothing
    late-I_J          these agents have been silent and serving, and join

All begin with the measured hours; agents that are late join then. Policies are trained without faults, and the warm-up
is sound. Draws come from a seed of the network's own, so that every method meets the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from accord.envs.errors import UsageError
from accord.envs.spelling import NUMBER, number_of

WORDS = (
    *("loss-P", "one_way_loss-P", "delay-D", "rounding-S", "every-E", "switching-NAME", "cut"),
    *("liar_says-V", "liar_adds-V", "liar_flips", "dead_serving-I", "dead_idle-I", "late-I"),
)


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
        dead_serving: Agents that fall silent and serve all they want.
        dead_idle: Agents that fall silent and serve nothing.
        late: Agents that are silent and serving until the faults begin.
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
    dead_serving: tuple[int, ...] = ()
    dead_idle: tuple[int, ...] = ()
    late: tuple[int, ...] = ()

    @property
    def words(self) -> str:
        """What is not as by default, for digests: a fault that is thought of later changes none."""
        return " ".join(f"{p.name}={getattr(self, p.name)}" for p in fields(self) if p.name in self.kinds)

    @property
    def kinds(self) -> frozenset[str]:
        """Names of those that there are."""
        return frozenset(p.name for p in fields(self) if getattr(self, p.name) != p.default)

    def without_agents(self) -> Faults:
        """The same of links alone: every agent follows and tells the truth."""
        own = {p.name: p.default for p in fields(self) if p.name.startswith(("liar", "dead", "late"))}
        return replace(self, **own)  # type: ignore[arg-type]

    @property
    def lies(self) -> bool:
        """Somebody does."""
        return self.liar_says is not None or self.liar_adds != 0.0 or self.liar_flips


def split_faults(name: str) -> tuple[str, tuple[str, ...]]:
    """A topology's name and the words of faults behind it; a folder or a file may have a `+` in its name."""
    folder, slash, last = name.rpartition("/")
    topology, *words = last.split("+")
    if name.startswith("edges:"):
        while words and not all(_WORD.fullmatch(word) for word in words):
            topology, words = f"{topology}+{words[0]}", words[1:]
    return f"{folder}{slash}{topology}", tuple(words)


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
        if _KINDS[kind] is bool:
            if dash:
                raise UsageError(f"{where}: fault '{word}' takes no number; allowed: {kind}")
            found[kind] = True
        elif kind == "switching":
            if not value or value.startswith("edges:"):
                raise UsageError(f"{where}: fault '{word}' needs the name of a topology, like {kind}-star")
            found[kind] = value
        elif _KINDS[kind] is tuple:
            agents = [number_of(text, f"{where}: fault '{word}'") for text in value.split("_")]
            if not all(agent is not None and agent >= 0 and agent.is_integer() for agent in agents):
                raise UsageError(f"{where}: fault '{word}' needs numbers of agents, like {kind}-2 or {kind}-2_5")
            if len(set(agents)) < len(agents):
                raise UsageError(f"{where}: fault '{word}' names an agent twice")
            found[kind] = tuple(sorted(int(agent) for agent in agents if agent is not None))
        else:
            found[kind] = _number(kind, value, where)
    return Faults(**found)  # type: ignore[arg-type]


_FORMS = {bool: "", tuple: r"-\d+(_\d+)*", float: rf"-{NUMBER.pattern}"}
_TYPES = {"bool": bool, "tuple[int, ...]": tuple}
_KINDS: dict[str, type] = {part.name: _TYPES.get(str(part.type), float) for part in fields(Faults)}
_WORD = re.compile("|".join([*(f"{kind}({_FORMS[type_]})" for kind, type_ in _KINDS.items()), r"switching-[\w.-]+"]))


def _number(kind: str, text: str, where: str) -> float | int:
    """The number of a fault, within what it may be.

    Raises:
        UsageError: it is none, or out of range.
    """
    whole, least, most = _RANGES[kind]
    found = number_of(text, f"{where}: fault '{kind}-{text}'")
    value = math.nan if found is None else found
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
