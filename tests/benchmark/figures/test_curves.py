from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.figures import check_text
from helpers.records import record
from matplotlib.collections import PolyCollection

from accord.benchmark.figures.canvas import style
from accord.benchmark.figures.curves import SETUP, curves_table, read_curves
from accord.benchmark.figures.learning import best_first, draw_curves
from accord.benchmark.figures.styles import MOST_LINES
from accord.benchmark.specs.run import RunSpec

GAPS = [0.02, 0.01, 0.08, 0.03, 0.05]  # of the seeds, at every point
POINTS = 3


def points(n_seeds: int, setup: str = "", first: int = 0) -> pd.DataFrame:
    """Curves of three points each, all at the seed's gap."""
    rows = [
        {"method": "mappo", "variant": "", SETUP: setup, "seed": first + seed, "steps": 1e6 * n, "seconds": 10.0 * n}
        | {"gap": GAPS[seed % len(GAPS)] + 0.001 * (seed // len(GAPS)), "violation": np.nan, "return": np.nan}
        for seed in range(n_seeds)
        for n in range(POINTS)
    ]
    return pd.DataFrame(rows)


def drawn(table: pd.DataFrame) -> tuple[list[tuple[float, float]], list[list[float]]]:
    """Lowest and highest end of each band, and the heights of each line, in percent, against steps."""
    figure = draw_curves("paper_seven/ring/average-0.27", table)
    assert figure is not None
    axes = figure.axes[1]
    paths = [path for found in axes.collections if isinstance(found, PolyCollection) for path in found.get_paths()]
    ends = [(float(path.vertices[:, 1].min()), float(path.vertices[:, 1].max())) for path in paths]
    return ends, [np.asarray(line.get_ydata()).tolist() for line in axes.lines if len(line.get_ydata())]


def test_the_band_of_five_seeds_is_their_range_around_the_median() -> None:
    bands, lines = drawn(points(5))
    assert bands == [pytest.approx((1.0, 8.0))]
    assert lines == [pytest.approx([3.0] * POINTS)]


def test_the_band_of_ten_seeds_leaves_out_the_lowest_and_the_highest() -> None:
    bands, lines = drawn(points(10))
    assert bands == [pytest.approx((1.1, 8.0))]  # of 1.0, 1.1, 2.0 ... 8.0, 8.1
    assert lines == [pytest.approx([3.05] * POINTS)]


def test_no_band_is_drawn_from_fewer_than_five_seeds_which_stand_there_themselves() -> None:
    bands, lines = drawn(points(4))
    assert bands == []
    assert sorted(lines) == [pytest.approx([value] * POINTS) for value in (1.0, 2.0, 2.5, 3.0, 8.0)]


def test_set_ups_are_lines_of_their_own() -> None:
    _, lines = drawn(pd.concat([points(5, "20,000 steps"), points(1, "40,000 steps")]))
    assert sorted(lines) == [pytest.approx([2.0] * POINTS), pytest.approx([3.0] * POINTS)]


def test_a_table_keeps_set_ups_apart_and_what_it_cannot_read_anew(tmp_path: Path) -> None:
    runs = [record(seed=0, steps=steps) for steps in (20_000, 40_000)]

    def traces(spec: RunSpec) -> dict[str, np.ndarray]:
        assert spec.effort is not None
        return {"curve_steps": np.array([spec.effort.steps / 2, spec.effort.steps], dtype=float)}

    table = curves_table(runs, traces)
    assert table.groupby(SETUP)["steps"].max().to_dict() == {"20,000 steps": 20_000, "40,000 steps": 40_000}
    path = tmp_path / "curves.csv"
    table.to_csv(path, index=False)
    assert read_curves(path).equals(table)
    pd.testing.assert_frame_equal(curves_table(runs, lambda spec: {}, path), table)


def test_a_table_from_before_there_were_set_ups_is_read(tmp_path: Path) -> None:
    runs = [record(seed=0, steps=20_000)]
    table = curves_table(runs, lambda spec: {"curve_steps": np.array([1e4, 2e4])})
    path = tmp_path / "curves.csv"
    table.drop(columns=SETUP).to_csv(path, index=False)
    pd.testing.assert_frame_equal(curves_table(runs, lambda spec: {}, path), table)


def test_of_many_lines_eight_are_drawn_and_the_others_named() -> None:
    handlings = ("lagrangian", "augmented", "penalty")
    names = [f"{kind}-{handling}" for kind in ("mappo", "vdn", "qmix") for handling in handlings]
    names += ["consensus-gossip", "consensus-independent", "mine"]
    table = pd.concat(points(5).assign(method=name, violation=0.02 * n) for n, name in enumerate(names))
    with style():
        figure = draw_curves("paper_seven/ring/average-0.27", table)
        assert figure is not None
        check_text(figure)
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(shown) == MOST_LINES
    assert {"mine", "consensus-gossip", "mappo-lagrangian", "vdn-lagrangian"} < set(shown)
    said = figure.legends[0].get_title().get_text().replace("\n", " ")
    assert all((name in shown) != (name in said) for name in names)
    assert figure.axes[2].get_ylim()[0] == 0  # no violation is negative


def test_what_is_far_over_its_budget_is_not_the_best_for_costing_little() -> None:
    table = pd.concat(
        [
            points(3).assign(method="vdn", violation=0.7, gap=-0.3),
            points(3).assign(method="qmix", violation=0.05, gap=0.2),
            points(3).assign(method="mappo", violation=0.0, gap=0.4),
        ]
    )
    assert [line.method for line in best_first(table.assign(detail=""))] == ["mappo", "qmix", "vdn"]


def test_curves_of_nothing_are_not_drawn() -> None:
    assert draw_curves("paper_seven/ring/average-0.27", points(2).assign(gap=np.nan)) is None
