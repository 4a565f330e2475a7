"""What is told apart in a figure, also by people who do not see red or green; and what is shown of many lines."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from accord.baselines.registry import METHODS, REFERENCES
from accord.benchmark.figures.styles import (
    FAMILIES,
    MOST_LINES,
    OWN,
    SHAPES,
    Line,
    choose,
    is_own,
    left_out,
    styles_of,
)

# Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of color vision deficiency", 2009,
# severity 1, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
APART = 15.0  # CIELAB units; about 2.3 are just noticed
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
LISTED = [method for family in FAMILIES for method in family.methods]
MINE = ["mine", "my_method", "another", "zen"]


def linear(colour: str) -> np.ndarray:
    channels = np.array(to_rgb(colour))
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def lab(colour: str, vision: str) -> np.ndarray:
    seen = TO_XYZ @ np.clip(VISION[vision] @ linear(colour), 0, 1) / np.array([0.9505, 1.0, 1.089])
    x, y, z = np.where(seen > (6 / 29) ** 3, np.cbrt(seen), seen / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def distance(first: str, second: str, vision: str) -> float:
    return float(np.linalg.norm(lab(first, vision) - lab(second, vision)))


def test_the_simulation_makes_red_and_green_alike_and_leaves_grey_grey() -> None:
    assert distance("#D40000", "#808000", "normal") > 60
    assert distance("#D40000", "#808000", "deuteranopia") < 25
    for vision in VISION:
        assert lab("#555555", vision) == pytest.approx(lab("#555555", "normal"), abs=0.1)
    assert distance("black", "white", "normal") == pytest.approx(100, abs=0.1)


@pytest.mark.parametrize("vision", VISION)
def test_any_two_methods_of_a_figure_differ_in_colour_or_dash(vision: str) -> None:
    variants = [Line("consensus-gossip", "equal_steps"), Line("mappo-lagrangian", "team"), Line("mine", "again")]
    styles = styles_of([*map(Line, [*LISTED, *MINE]), *variants])
    for first, second in combinations(styles, 2):
        one, other = styles[first], styles[second]
        apart = distance(one.colour, other.colour, vision)
        alike = one.shape.dash == other.shape.dash or one.shape.marker == other.shape.marker
        assert apart >= APART or not alike, f"{first.label} and {second.label}: {apart:.0f}"


def test_no_two_shapes_share_a_dash_or_a_marker() -> None:
    assert len({shape.dash for shape in SHAPES}) == len({shape.marker for shape in SHAPES}) == len(SHAPES)


def test_grey_and_black_can_be_read_on_white() -> None:
    for family in FAMILIES[:2]:
        luminance = float(TO_XYZ[1] @ linear(family.colour))
        assert 1.05 / (luminance + 0.05) >= 4.5  # as WCAG asks of text


def test_every_built_in_method_is_listed_once() -> None:
    built_in = [name for name, entry in METHODS.items() if entry.registered_in.startswith("accord.")]
    built_in += [name for name, kind in REFERENCES.items() if kind.__module__.startswith("accord.")]
    built_in.remove("outside")  # somebody's own policy, and drawn as such
    moving = {name for name in built_in if "-moving-" in name}  # they are drawn as relatives of listed ones
    assert not [name for name in moving if is_own(name)]
    built_in = [name for name in built_in if name not in moving]
    assert sorted(LISTED) == sorted(built_in), "list a method in its family in benchmark/figures/styles.py"


def test_a_method_looks_the_same_whatever_else_a_figure_shows() -> None:
    together = styles_of(map(Line, LISTED))
    for method in LISTED:
        alone = styles_of([Line(method)])[Line(method)]
        beside = styles_of([Line(method), Line(method, "tuned"), Line("mine")])[Line(method)]
        assert together[Line(method)] == alone == beside


def test_methods_whose_multipliers_go_on_moving_have_the_colour_of_their_training() -> None:
    for name, relative in (("mappo-moving-gossip", "mappo-lagrangian"), ("apg-moving-gossip", "apg-gossip")):
        styles = styles_of([Line(name), Line(relative)])
        assert styles[Line(name)].colour == styles[Line(relative)].colour
        assert styles[Line(name)].shape != styles[Line(relative)].shape
        assert styles_of([Line(name)])[Line(name)] == styles[Line(name)]


def test_own_methods_have_a_stable_look_that_no_listed_one_has() -> None:
    (alone,) = styles_of([Line("mine")]).values()
    among = styles_of(map(Line, [*LISTED, "mine"]))
    assert among[Line("mine")] == alone
    assert alone.colour == OWN.colour
    assert alone.colour not in {among[Line(method)].colour for method in LISTED}
    many = styles_of(Line(f"mine_{n}") for n in range(len(SHAPES)))
    assert len(set(many.values())) == len(SHAPES)


def test_own_methods_come_first_then_references_then_the_best_of_each_family() -> None:
    best_first = [
        *(Line(f"mappo-{handling}") for handling in ("lagrangian", "augmented", "penalty")),
        *(Line("mappo", detail) for detail in ("last", "team", "", "patient", "own_peak")),
        *map(Line, ("ippo", "vdn", "qmix", "consensus-gossip", "oracle", "random", "mine")),
    ]
    shown = choose(best_first)
    expected = ("oracle", "random", "consensus-gossip", "ippo", "mappo-lagrangian", "mappo-augmented", "vdn", "mine")
    assert [line.label for line in shown] == list(expected)
    said = left_out(shown, best_first)
    assert said.endswith("mappo, mappo last, mappo own_peak, mappo patient, mappo team, mappo-penalty, qmix.")
    assert left_out(shown, shown) == ""


def test_all_own_methods_are_drawn_however_many() -> None:
    mine = [Line(f"mine_{n}") for n in range(MOST_LINES + 2)]
    assert all(is_own(line.method) for line in mine)
    assert choose([*map(Line, LISTED), *mine]) == mine
    assert len(choose([*map(Line, LISTED), *mine[:3]])) == MOST_LINES
