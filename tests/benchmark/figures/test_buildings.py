"""The figure of results per building: names and bars of a few, distributions of many."""

import numpy as np
import pytest
from helpers.buildings import results
from helpers.figures import check_text
from matplotlib.colors import to_hex

from accord.benchmark.evaluation.buildings import Buildings
from accord.benchmark.figures.buildings import FALLS, MOST_NAMED, RISES, draw_buildings
from accord.benchmark.figures.canvas import style

LONG = "a building with a name of more letters than fit"


@pytest.mark.parametrize(
    "found",
    [
        results(1),
        results(7),
        results(MOST_NAMED, name=LONG),
        results(100),
        results(10_000, bill=False, peaks=False),
    ],
    ids=["one", "seven", "long names", "hundred", "ten thousand"],
)
def test_every_word_can_be_read(found: Buildings) -> None:
    with style():
        check_text(draw_buildings(found))


def test_a_few_buildings_have_a_bar_each_in_the_order_of_the_table() -> None:
    with style():
        figure = draw_buildings(results(3))
    bars = figure.axes[0].patches
    assert [bar.get_width() for bar in bars] == [50.0, 0.0, -50.0]
    assert [to_hex(bars[n].get_facecolor()).upper() for n in (0, 2)] == [RISES, FALLS]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["home 1", "home 2", "home 3"]
    assert figure.axes[0].yaxis_inverted()
    assert figure.axes[0].get_title() == "Bill\nmore for 1 of 3"
    assert [axes.get_xlabel() for axes in figure.axes] == ["Change (%)", "Change (h)", "Change (%)", "Change (%)"]


def test_a_long_name_keeps_both_ends() -> None:
    with style():
        figure = draw_buildings(results(2, name=LONG))
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == [
        "a buildin…than fit 1",
        "a buildin…than fit 2",
    ]


def test_of_many_buildings_the_distribution_is_drawn() -> None:
    with style():
        figure = draw_buildings(results(101))
    rises, falls = figure.axes[0].collections
    outline = rises.get_paths()[0].vertices
    assert outline[:, 0].max() == 50.0
    assert falls.get_paths()[0].vertices[:, 0].min() == -50.0
    # Half of the buildings rise: at a quarter of them the change is 25 %.
    (at,) = {float(x) for x, y in outline if np.isclose(y, 25) and x > 0}
    assert at == pytest.approx(25.0)


def test_a_quantity_that_was_not_measured_has_no_panel() -> None:
    with style():
        figure = draw_buildings(results(7, bill=False))
    assert [axes.get_title().split("\n")[0] for axes in figure.axes] == ["Delay", "Import", "Peak"]
