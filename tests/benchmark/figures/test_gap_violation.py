from pathlib import Path

import numpy as np
import pytest
from helpers.figures import check_text
from helpers.records import record
from matplotlib.axes import Axes

from accord.benchmark.boards.leaderboard import leaderboard, read_runs
from accord.benchmark.evaluation.context import Value
from accord.benchmark.figures.canvas import PAGE_WIDTH, style
from accord.benchmark.figures.gap_violation import (
    HOLLOW,
    MOST_PANELS,
    Point,
    draw_gap_violation,
    points_of,
    scenarios_shown,
)
from accord.benchmark.records.record import Record
from accord.benchmark.statistics import Estimate

CORE = Path(__file__).parents[3] / "results" / "core" / "runs.parquet"
CAMPUS = "campus_seven/two_groups/hourly-0.35"
HERE = Point(Estimate(0.1), Estimate(0.0), 1.0)


@pytest.fixture(scope="module")
def core() -> list[Record]:
    return read_runs(CORE)


def runs(method: str, gaps: list[float], violation: float = 0.0, **others: Value) -> list[Record]:
    metrics: dict[str, Value] = {"violation": violation, "feasible": violation <= 0.01, **others}
    return [record(method, seed, optimality_gap=gap, **metrics) for seed, gap in enumerate(gaps)]


def named(records: list[Record], method: str) -> list[Record]:
    """The same runs of a method that Accord does not have."""
    return [r.model_copy(update={"spec": r.spec.model_copy(update={"method": method})}) for r in records]


def faces(axes: Axes) -> dict[tuple[float, float], bool]:
    """Of each point, in percent, whether it is filled."""
    lines = [container.lines[0] for container in axes.containers]
    return {
        (round(float(line.get_xdata()[0]), 6), round(float(line.get_ydata()[0]), 6)): line.get_markerfacecolor()
        != HOLLOW
        for line in lines
    }


def test_points_and_intervals_are_those_of_the_leaderboard(core: list[Record]) -> None:
    campus = [r for r in core if r.spec.scenario == CAMPUS]
    rows = leaderboard(campus).set_index(["method", "variant"])
    points = points_of(campus)[CAMPUS]
    assert {"consensus-gossip", "mappo-lagrangian", "lookahead", "serve_now"} < set(points)
    assert "oracle" not in points
    for method, point in points.items():
        row = rows.loc[(method, "")]
        for name, found in (("optimality_gap", point.gap), ("violation", point.violation)):
            ends = [np.nan if end is None else end for end in found]
            expected = row[[name, f"{name}_low", f"{name}_high"]].astype(float)
            np.testing.assert_array_equal(ends, expected, err_msg=f"{method} {name}")
        assert point.feasible == row["feasible_rate"]


def test_the_published_core_is_a_page_wide_and_all_of_it_can_be_read(core: list[Record]) -> None:
    with style():
        figure = draw_gap_violation(core)
        assert figure is not None
        check_text(figure)
    assert figure.get_figwidth() == PAGE_WIDTH
    assert len(figure.axes) == 3
    for axes in figure.axes:
        assert 0 < len(axes.containers) <= 8
        assert [1.0, 1.0] in [list(line.get_xdata()) for line in axes.lines], "1 % is marked"


def test_points_are_filled_where_every_run_is_feasible() -> None:
    some = runs("ippo-lagrangian", [0.2, 0.3, 0.4, 0.5, 0.6], violation=0.005)
    some[0] = some[0].model_copy(update={"metrics": some[0].metrics | {"feasible": False}})  # it postpones
    figure = draw_gap_violation(
        [*runs("consensus-gossip", [0.05, 0.06, 0.07]), *some, *runs("random", [8.0], violation=0.9)]
    )
    assert figure is not None
    (axes,) = figure.axes
    assert faces(axes) == {(0.0, 6.0): True, (0.5, 40.0): False, (90.0, 800.0): False}


def test_intervals_are_drawn_from_five_seeds_on() -> None:
    figure = draw_gap_violation([*runs("mappo", [0.1, 0.2, 0.3, 0.4, 0.9]), *runs("vdn", [0.5, 0.6, 0.7, 0.8])])
    assert figure is not None
    bars = {
        round(float(container.lines[0].get_ydata()[0])): container.lines[2] for container in figure.axes[0].containers
    }
    assert set(bars) == {30, 65}
    assert len(bars[65]) == 0
    _, gap = bars[30]
    assert gap.get_segments()[0][:, 1].tolist() == pytest.approx([10.0, 90.0])


def test_without_an_optimum_or_budgets_there_is_no_figure() -> None:
    assert draw_gap_violation([]) is None
    assert draw_gap_violation([record("mappo", violation=0.1), record("vdn", optimality_gap=0.1)]) is None


def test_a_scenario_without_an_optimum_has_no_panel() -> None:
    without = record("mappo", scenario="paper_seven/ring/average-0.1", violation=0.1)
    figure = draw_gap_violation([*runs("mappo", [0.1]), without])
    assert figure is not None
    assert len(figure.axes) == 1


def test_an_own_method_is_drawn_however_bad_it_is(core: list[Record]) -> None:
    figure = draw_gap_violation([*core, *named(runs("random", [50.0], violation=3.0), "mine")])
    assert figure is not None
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "mine" in labels
    assert "random" not in labels
    assert "random" in figure.legends[0].get_title().get_text()


def test_of_many_scenarios_one_network_and_the_tightest_budgets_are_shown() -> None:
    def points(*methods: str, networks: tuple[str, ...] = ("ring", "two_groups")) -> dict[str, dict[str, Point]]:
        addresses = [f"paper_seven/{n}/average-{level}" for n in networks for level in (0.27, 0.5, 0.3, 0.4, 0.21)]
        addresses += [f"campus_seven/{n}/hourly-{level}" for n in networks for level in (0.5, 0.35, 0.4, 0.3)]
        return {address: dict.fromkeys(methods, HERE) for address in addresses}

    assert scenarios_shown(points("mappo")) == [
        *(f"campus_seven/two_groups/hourly-{level}" for level in (0.3, 0.35, 0.4)),
        *(f"paper_seven/two_groups/average-{level}" for level in (0.21, 0.27, 0.3)),
    ]
    mine = points("mappo") | {"paper_seven/ring/average-0.5": {"mine": HERE}}
    assert scenarios_shown(mine) == ["paper_seven/ring/average-0.5"]
    few = dict(list(points("mappo").items())[:MOST_PANELS])
    assert scenarios_shown(few) == sorted(few)
