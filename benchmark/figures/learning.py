"""Learning curves drawn: gap and violation, or return, against training time and steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from accord.benchmark.evaluation.context import VIOLATION_ALLOWED
from accord.benchmark.figures.canvas import COLUMN_WIDTH, factor_of, fitting, label_of, legend_of, set_log, set_wide
from accord.benchmark.figures.styles import Line, Style, choose, colours, handle, left_out, shapes, styles_of
from accord.benchmark.statistics import FEWEST_FOR_INTERVAL, estimate
from accord.envs.catalogue import is_episodic

FEW_LINES = 6  # up to this many have bands or seeds
METRIC_OF = {"gap": "optimality_gap", "violation": "violation", "return": "episode_return"}
WIDE = ("gap", "violation")  # over orders of magnitude
ACROSS = {"seconds": label_of("train_seconds"), "million": "Steps (million)"}


def draw_curves(scenario: str, points: pd.DataFrame) -> Figure | None:
    """Gap and violation, or return, against training time and steps: a line per method, the median of its seeds.

    Districts: on the last four weeks of their training hours (`DistrictScenario.validation`).
    The band is the interval of the median (`estimate`). Where there are too few seeds for one, each is a thin line.
    Both are left out where many lines would hide in each other's. A point's time is the median of its seeds' times.
    Lines are chosen by `choose`, see `best_first`. Time is logarithmic: methods differ by orders of magnitude.

    Args:
        scenario: Its address.
        points: Rows of `curves_table`.

    Returns:
        None where nothing was measured.
    """
    details = (points["variant"] + " " + points["setup"]).str.split().str.join(" ")
    points = points.assign(detail=details, million=points["steps"] / 1e6)
    points["line"] = [Line(*pair).label for pair in zip(points["method"], details, strict=True)]
    points["point"] = points.groupby(["line", "seed"]).cumcount()
    for across in ("seconds", "million"):
        points[across] = points.groupby(["line", "point"])[across].transform("median")
    measured = [name for name in METRIC_OF if points[name].notna().any()]
    if not measured:
        return None
    every = best_first(points)
    shown = choose(every)
    looks = styles_of(shown)
    styles = {line.label: looks[line] for line in shown}
    note = left_out(shown, every)
    height = (
        0.8 + 1.3 * len(measured) + 0.14 * -(-len(styles) // fitting(styles, COLUMN_WIDTH)) + 0.12 * -(-len(note) // 60)
    )
    figure = Figure(figsize=(COLUMN_WIDTH, height), layout="constrained")
    where = "" if is_episodic(scenario) else "\nlast four weeks of the training hours"
    figure.suptitle(f"{scenario}{where}")
    panels = figure.subplots(len(measured), 2, sharex="col", sharey="row", squeeze=False)
    for row, name in zip(panels, measured, strict=True):
        for axes, (across, label) in zip(row, ACROSS.items(), strict=True):
            _plot_lines(axes, points.assign(value=factor_of(METRIC_OF[name]) * points[name]), across, styles)
            axes.set(xlabel=label, ylabel=label_of(METRIC_OF[name]))
            sns.despine(ax=axes)
        set_log(row[0], "x")
        if name in WIDE:  # after both, which share it: seaborn takes the middle of values as the axis scales them
            set_wide(row[0], "y", floor=0 if name == "violation" else None)
    legend_of(figure, {label: handle(style) for label, style in styles.items()}, note)
    return figure


def best_first(points: pd.DataFrame) -> list[Line]:
    """The lines of a scenario by how many of their seeds ended within the budget, then by how far they are from best.

    How far: the lowest median violation, if it is more than is allowed, then the lowest median gap; or the highest
    median return.
    """
    ends = points.loc[points.groupby(["method", "detail", "seed"])["steps"].idxmax()]
    over = ends["violation"].fillna(0.0).clip(lower=VIOLATION_ALLOWED)
    ends = ends.assign(over=over, missed=over > VIOLATION_ALLOWED, reached=ends["gap"].fillna(-ends["return"]))
    by = ends.groupby(["method", "detail"]).agg({"missed": "mean", "over": "median", "reached": "median"})
    order = by.reset_index().sort_values(["missed", "over", "reached", "method", "detail"])
    return [Line(*pair) for pair in zip(order["method"], order["detail"], strict=True)]


def _plot_lines(axes: Axes, points: pd.DataFrame, across: str, styles: dict[str, Style]) -> None:
    """Medians over seeds of the column `value`, with bands, or with the seeds of lines that have too few for one."""
    points = points[points["line"].isin(list(styles))]
    looks: dict[str, Any] = {"x": across, "y": "value", "hue": "line", "ax": axes, **colours(styles)}
    few = len(styles) <= FEW_LINES
    band = _interval if few else None
    sns.lineplot(points, estimator="median", errorbar=band, style="line", **shapes(styles), **looks)
    seeds = points.groupby("line")["seed"].transform("nunique")
    alone = points[(seeds > 1) & (seeds < FEWEST_FOR_INTERVAL)]
    if few and len(alone):
        sns.lineplot(alone, units="seed", estimator=None, linewidth=0.4, **looks)


def _interval(values: pd.Series) -> tuple[float, float]:
    """Of the median of one point's seeds; NaN, which is not drawn, where none is claimed."""
    found = estimate(values.tolist())
    return (np.nan, np.nan) if found.low is None or found.high is None else (found.low, found.high)
