"""How every method looks in every figure, and which of many lines a figure shows.

Colours are those of Okabe and Ito, "Color Universal Design", 2008, which people with any kind of colour vision tell
apart; their yellow is too pale for a line on white. A family of methods has one colour. Within it, a method has a dash
and a marker of its own; methods whose multipliers go on moving after training share what their family leaves.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from matplotlib.lines import Line2D

from accord.baselines.registry import METHODS, REFERENCES

MOST_LINES = 8  # of a panel
BLACK, GREY, BLUE, SKY, GREEN = "#000000", "#555555", "#0072B2", "#56B4E9", "#009E73"
ORANGE, VERMILION, PURPLE = "#E69F00", "#D55E00", "#CC79A7"


@dataclass(frozen=True)
class Family:
    """Methods of one colour. The place of a method decides its dash and marker: new ones come last.

    Attributes:
        colour: Theirs alone.
        first: Which of `SHAPES` the first method has; another one for each family, so that methods of different
            families mostly differ in both.
        methods: By name.
    """

    colour: str
    first: int
    methods: tuple[str, ...]

    def shape(self, place: int) -> Shape:
        """Of the method in that place."""
        return SHAPES[(self.first + place) % len(SHAPES)]


class Shape(NamedTuple):
    """Lengths of dashes and gaps in line widths, none of a solid line; and a marker that can be hollow."""

    dash: tuple[float, ...]
    marker: str


class Line(NamedTuple):
    """What a line or a point is of: a method, and the variant and set-up, if it is not in its default."""

    method: str
    detail: str = ""

    @property
    def label(self) -> str:
        """For a legend."""
        return f"{self.method} {self.detail}".strip()


@dataclass(frozen=True)
class Style:
    """The look of a line: its colour, and the shape of its line and markers."""

    colour: str
    shape: Shape

    @property
    def linestyle(self) -> str | tuple[int, tuple[float, ...]]:
        """For matplotlib."""
        return (0, self.shape.dash) if self.shape.dash else "-"


FAMILIES = (
    Family(
        BLACK,
        8,
        (
            *("oracle", "lookahead", "allocation_expert", "mpc", "distributed_mpc"),
            *("coupled_mpc", "dmpc_q", "dmpc_q-demand_response"),
        ),
    ),  # those that know the model
    Family(
        GREY,
        5,
        (
            *("serve_now", "rule_based", "random"),
            *("price_taker", "price_taker-independent", "price_taker-broadcast"),
            *("price_taker-primal_dual", "price_taker-primal_dual_symmetric"),
        ),
    ),
    Family(
        BLUE,
        0,
        (
            *("consensus-gossip", "consensus-independent", "consensus-broadcast"),
            *("consensus-primal_dual", "consensus-primal_dual_symmetric"),
            *("apg-gossip", "apg-independent", "apg-broadcast", "apg-primal_dual", "apg-primal_dual_symmetric"),
        ),
    ),
    Family(  # those that learn from their own rewards
        ORANGE,
        1,
        (
            *("ippo", "ippo-lagrangian", "ippo-augmented", "ippo-penalty", "networked-primal_dual"),
            *("iql", "iql-lagrangian", "iql-augmented", "iql-penalty"),
        ),
    ),
    Family(
        VERMILION,
        4,
        (
            *("mappo", "mappo-lagrangian", "mappo-augmented", "mappo-penalty"),
            "momappo",
        ),
    ),
    Family(SKY, 7, ("lgtc-ippo", "lgtc-ippo-augmented", "ippo-attention", "ippo-attention-augmented")),
    Family(
        GREEN,
        2,
        (
            *("qmix", "qmix-lagrangian", "qmix-augmented", "qmix-penalty"),
            *("vdn", "vdn-lagrangian", "vdn-augmented", "vdn-penalty"),
            *("drigm_qmix", "drigm_qmix-lagrangian", "drigm_qmix-augmented", "drigm_qmix-penalty"),
        ),
    ),
)
OWN = Family(PURPLE, 0, ())  # of all methods that are in none of these
SHAPES = (
    Shape((), "o"),
    Shape((4, 1.5), "s"),
    Shape((1, 1), "^"),
    Shape((4, 1.5, 1, 1.5), "D"),
    Shape((8, 2), "v"),
    Shape((4, 1.5, 1, 1.5, 1, 1.5), "P"),
    Shape((2, 1), "X"),
    Shape((8, 2, 2, 2), "<"),
    Shape((1, 2.5), ">"),
    Shape((8, 2, 1, 2), "d"),
    Shape((4, 1, 4, 1, 1, 1), "*"),
    Shape((3, 3), "p"),
    Shape((8, 1, 1, 1, 1, 1, 1, 1), "h"),
    Shape((6, 4), "8"),
    Shape((2, 3, 6, 3), "H"),
)


def is_own(method: str) -> bool:
    """A method that is in no family: a user's own."""
    return _family(method) is OWN


def styles_of(lines: Iterable[Line]) -> dict[Line, Style]:
    """The look of each line of one figure; no two look alike unless over `SHAPES` many are of one colour.

    A method's first line, mostly its default, always looks the same. Its other variants and set-ups have its colour and
    shapes that are free in the figure. A method of no family has a colour that no other has, and a shape that its name
    decides; where two of these names decide on one shape, the later in the alphabet has the next free one.
    """
    ordered = sorted(set(lines))
    firsts = {line.method: line for line in reversed(ordered)}
    found: dict[Line, Style] = {}
    for line in [*sorted(firsts.values()), *(line for line in ordered if line != firsts[line.method])]:
        family = _family(line.method)
        places = _places(line, family, first=line == firsts[line.method])
        wanted = [Style(family.colour, family.shape(place)) for place in places]
        taken = set(found.values())
        found[line] = next((style for style in wanted if style not in taken), wanted[0])
    return found


def choose(best_first: Sequence[Line], most: int = MOST_LINES) -> list[Line]:
    """The lines that a figure shows, in the order of their families.

    First a user's own methods, all of them, then the references, then the best of each family, then the best others.

    Args:
        best_first: All lines, each once.
        most: Lines that are shown; more only where a user's own methods are more.
    """
    own = [line for line in best_first if is_own(line.method)]
    references = [line for line in best_first if line.method in REFERENCES]
    best = {_family(line.method).colour: line for line in reversed(best_first)}
    firsts = [line for line in best_first if line in best.values()]
    ranked = list(dict.fromkeys([*own, *references, *firsts, *best_first]))
    return sorted(ranked[: max(most, len(own))], key=_order)


def left_out(shown: Sequence[Line], lines: Sequence[Line]) -> str:
    """A sentence for the legend: which lines are not shown, and by what rule; empty where all are."""
    missing = sorted(set(lines) - set(shown), key=_order)
    if not missing:
        return ""
    names = ", ".join(line.label for line in missing)
    return f"Shown: references, the best of each family, then the next best. Left out: {names}."


def handle(style: Style, **looks: object) -> Line2D:
    """A legend's entry: the line with its marker; `looks` are matplotlib's and take the place of the style's."""
    own = {"color": style.colour, "linestyle": style.linestyle, "marker": style.shape.marker, "markersize": 3.5}
    return Line2D([], [], **{**own, "markeredgewidth": 0.8, **looks})  # type: ignore[arg-type]


def colours(styles: Mapping[str, Style]) -> dict[str, Any]:
    """For seaborn: lines by colour, whose legend is made of `handle`."""
    palette = {label: style.colour for label, style in styles.items()}
    return {"hue_order": list(styles), "palette": palette, "legend": False}


def shapes(styles: Mapping[str, Style]) -> dict[str, Any]:
    """For seaborn: lines by dash and marker."""
    dashes = {label: style.shape.dash or "" for label, style in styles.items()}
    markers = {label: style.shape.marker for label, style in styles.items()}
    return {"style_order": list(styles), "dashes": dashes, "markers": markers, "markersize": 3, "markeredgewidth": 0}


def _family(method: str) -> Family:
    return next((family for family in FAMILIES if _relative(method) in family.methods), OWN)


def _relative(method: str) -> str:
    """The listed method whose family a method is of: where multipliers go on moving, that with the same training."""
    algorithm, moving, rule = method.partition("-moving-")
    if not moving:
        return method
    return f"{algorithm}-{rule}" if f"{algorithm}-{rule}" in METHODS else f"{algorithm}-lagrangian"


def _places(line: Line, family: Family, *, first: bool) -> list[int]:
    """Places of shapes in the family, the wanted one first."""
    every, start = range(len(SHAPES)), zlib.crc32(line.method.encode())
    if family is OWN:
        return [start + n for n in every]
    if first and line.method in family.methods:
        return [family.methods.index(line.method)]
    # What is not listed has the shapes that no method of the family has, as long as there are some.
    free = list(every[len(family.methods) :])
    turn = start % len(free) if first and free else 0
    return [*free[turn:], *free[:turn], *every[: len(family.methods)]]


def _order(line: Line) -> tuple[int, int, Line]:
    family = _family(line.method)
    if family is OWN:
        return len(FAMILIES), 0, line
    return FAMILIES.index(family), family.methods.index(_relative(line.method)), line
