"""Figures of a suite: learning curves, and how queues, multipliers and imports go over time.

All have the width of a paper's column. Those over time show one district on one network, one seed (the lowest),
and say so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from accord.benchmark.evaluation.trajectory import DAY
from accord.benchmark.figures.canvas import COLUMN_WIDTH, panels_of, save, shared_legend, style
from accord.benchmark.figures.sweeps import Array, Contexts, Sweep, Traces, find_sweeps, percent
from accord.benchmark.records.record import Record
from accord.benchmark.statistics import FEWEST_FOR_INTERVAL, estimate
from accord.envs.catalogue import is_episodic
from accord.envs.demand_response.scenario import DistrictScenario

MOST_FIGURES = 6
HALF_COLUMN = 24  # characters of a legend's entry
WEEK = 7
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
FEW_AGENTS = 10  # up to this many are told apart by colour
FEW_LINES = 6  # up to this many learning curves have bands or seeds


@dataclass(frozen=True)
class Curve:
    """How a number of the learning curves is shown: label, factor, and whether it goes over orders of magnitude."""

    label: str
    factor: float
    wide: bool


CURVES = {
    "gap": Curve("Gap (%)", 100, True),
    "violation": Curve("Violation (%)", 100, True),
    "return": Curve("Return", 1, False),
}
ACROSS = {"seconds": "Training (s)", "million": "Agent-steps (million)"}


def draw_figures(
    records: Sequence[Record],
    folder: Path,
    traces: Traces,
    contexts: Contexts,
    *,
    curves: pd.DataFrame | None = None,
    keep: bool = False,
) -> list[Path]:
    """Draw a suite's figures as PNG and PDF.

    Figures that an earlier call left in the folder go, unless there is nothing to draw or they are to be kept.

    Args:
        records: The suite's runs.
        folder: Made if there is anything to draw.
        traces: A run's arrays: import_kwh and waiting_load [T, N], multipliers [days, N, m], and district_ with
            import_kwh, price, waiting_load, demand [T]; empty without any.
        contexts: What a scenario's runs are compared with, by its address.
        curves: Learning curves, see `benchmark.figures.curves`.
        keep: Earlier figures that are not drawn anew stay, and so do those that would lack a run
            whose traces are elsewhere.

    Returns:
        The files, in the order of drawing; those that were kept come last.
    """
    sweeps = find_sweeps(records, traces, contexts)
    if keep:
        sweeps = [sweep for sweep in sweeps if sweep.whole]
    drawings: list[tuple[str, Callable[[Sweep], Figure | None]]] = [
        ("waiting", draw_waiting),
        ("import", draw_import),
        ("multipliers", draw_multipliers),
    ]
    paths: list[Path] = []
    with style():
        for name, draw in drawings:
            for sweep in sweeps:
                figure = draw(sweep) if len(paths) < 2 * MOST_FIGURES else None
                if figure is not None:
                    paths += save(figure, folder / f"{name}-{sweep.name}")
        for scenario, points in () if curves is None else curves.groupby("scenario"):
            name = re.sub(r"[^\w.-]+", "-", str(scenario))
            paths += save(draw_curves(str(scenario), points), folder / f"curves-{name}")
    others = sorted({*folder.glob("*.png"), *folder.glob("*.pdf")} - set(paths))
    if keep:
        return paths + others
    if paths:
        for old in others:
            old.unlink()
    return paths


def draw_waiting(sweep: Sweep) -> Figure | None:
    """Waiting load over time in hours of mean demand, weekly mean: a panel per method, a line per level."""
    methods = sweep.panels("district_waiting_load")
    if not methods:
        return None
    figure, panels = panels_of(sweep.title, methods)
    looks = _level_looks(sweep.levels)
    for method, axes in zip(methods, panels, strict=True):
        for run in sweep.of(method):
            waiting = run.daily("district_waiting_load") / run.arrays["district_demand"].mean()
            # Demand has a weekly rhythm that would hide whether a queue grows.
            weekly = np.convolve(waiting, np.full(WEEK, 1 / WEEK), "valid")
            level = run.scenario.level
            axes.plot(WEEK + np.arange(len(weekly)), weekly, **looks[level], label=percent(level))
        axes.set_xlabel("Time (days)")
    panels[0].set_ylabel("Waiting load, 7-day mean\n(hours of mean demand)")
    panels[0].set_ylim(bottom=0)
    shared_legend(figure, panels, "Budget, % of uncontrolled peak")
    return figure


def draw_import(sweep: Sweep) -> Figure | None:
    """The import against its budget: by hour of the day where budgets hold for hours, else averaged over time."""
    by_hour = any(not bool(budget.hours.all()) for budget in sweep.runs[0].scenario.budgets())
    return _draw_profile(sweep) if by_hour else _draw_average(sweep)


def draw_multipliers(sweep: Sweep) -> Figure | None:
    """Multipliers over time at the tightest level that can be met: a panel per method, a line per agent."""
    methods = sweep.panels("multipliers")
    runs = [run for method in methods for run in sweep.of(method) if run.scenario.level == sweep.shown_level]
    if not runs:
        return None
    figure, panels = panels_of(sweep.title_at(sweep.shown_level), [run.spec.method for run in runs])
    several = runs[0].arrays["multipliers"].shape[2] > 1
    for run, axes in zip(runs, panels, strict=False):
        _plot_agents(axes, run.arrays["multipliers"].mean(2))
        axes.set_xlabel("Time (days)")
    what = "Multiplier, mean of budgets\n(mean prices)" if several else "Multiplier (mean prices)"
    panels[0].set_ylabel(what)
    shared_legend(figure, panels, "Agent")
    return figure


def draw_curves(scenario: str, points: pd.DataFrame) -> Figure:
    """Gap and violation, or return, against training time and steps: a line per method, the median of its seeds.

    Districts: on the last four weeks of their training hours (`DistrictScenario.validation`).
    The band is the interval of the median (`estimate`). Where there are too few seeds for one, each is a thin line.
    Both are left out where many lines would hide in each other's. A point's time is the median of its seeds' times.
    """
    words = points["method"] + " " + points["variant"] + " " + points["setup"]
    points = points.assign(line=words.str.split().str.join(" "), million=points["steps"] / 1e6)
    points["point"] = points.groupby(["line", "seed"]).cumcount()
    for across in ("seconds", "million"):
        points[across] = points.groupby(["line", "point"])[across].transform("median")
    shown = [name for name in CURVES if points[name].notna().any()]
    lines = sorted(points["line"].unique())
    columns = 2 if max(map(len, lines)) <= HALF_COLUMN else 1
    height = 0.8 + 1.3 * len(shown) + 0.13 * -(-len(lines) // columns)
    figure = Figure(figsize=(COLUMN_WIDTH, height), layout="constrained")
    where = "" if is_episodic(scenario) else "\nlast four weeks of the training hours"
    figure.suptitle(f"{scenario}{where}", fontsize=7)
    panels = figure.subplots(len(shown), 2, sharex="col", sharey="row", squeeze=False)
    for row, name in zip(panels, shown, strict=True):
        for axes, (across, label) in zip(row, ACROSS.items(), strict=True):
            _plot_lines(axes, points.assign(value=CURVES[name].factor * points[name]), across, lines)
            axes.set(xlabel=label, ylabel=CURVES[name].label)
            sns.despine(ax=axes)
        if CURVES[name].wide:  # after both, which share it: seaborn takes the middle of values as the axis scales them
            row[0].set_yscale("symlog", linthresh=1)
    first: list[Axes] = panels[0].tolist()
    shared_legend(figure, first, "", columns)
    for axes in panels.flat:
        axes.get_legend().remove()
    return figure


def _plot_lines(axes: Axes, points: pd.DataFrame, across: str, lines: Sequence[str]) -> None:
    """Medians over seeds of the column `value`, with bands, or with the seeds of lines that have too few for one."""
    looks: dict[str, Any] = {"x": across, "y": "value", "hue": "line", "hue_order": lines, "ax": axes}
    looks["palette"] = sns.color_palette("colorblind" if len(lines) <= FEW_AGENTS else "husl", len(lines))
    few = len(lines) <= FEW_LINES
    band = _interval if few else None
    styles = {"style": "line", "style_order": lines, "markers": True, "markersize": 3}
    sns.lineplot(points, estimator="median", errorbar=band, **styles, **looks)
    seeds = points.groupby("line")["seed"].transform("nunique")
    alone = points[(seeds > 1) & (seeds < FEWEST_FOR_INTERVAL)]
    if few and len(alone):
        sns.lineplot(alone, units="seed", estimator=None, legend=False, linewidth=0.4, **looks)


def _interval(values: pd.Series) -> tuple[float, float]:
    """Of the median of one point's seeds; NaN, which is not drawn, where none is claimed."""
    found = estimate(values.tolist())
    return (np.nan, np.nan) if found.low is None or found.high is None else (found.low, found.high)


def _draw_average(sweep: Sweep) -> Figure | None:
    """Import averaged from the start, a panel per method, a line per level, its budget thin."""
    methods = sweep.panels("district_import_kwh")
    figure, panels = panels_of(sweep.title, methods)
    looks = _level_looks(sweep.levels)
    for method, axes in zip(methods, panels, strict=True):
        for run in sweep.of(method):
            level = run.scenario.level
            hourly = run.arrays["district_import_kwh"]
            average = (np.cumsum(hourly) / np.arange(1, len(hourly) + 1))[DAY - 1 :: DAY] / run.peak
            axes.plot(_days(average), 100 * average, **looks[level], label=percent(level))
            axes.axhline(100 * level, color=looks[level]["color"], linewidth=0.5)
        axes.set_xlabel("Time (days)")
    panels[0].set_ylabel("Import, average so far\n(% of uncontrolled peak)")
    shared_legend(figure, panels, "Budget (thin lines), % of uncontrolled peak")
    return figure


def _draw_profile(sweep: Sweep) -> Figure | None:
    """Mean import by hour of the day at the tightest level that can be met, with the budgets."""
    level = sweep.shown_level
    runs = {run.spec.method: run for run in sweep.runs if run.scenario.level == level}
    methods = [*sweep.panels("district_import_kwh"), "serve_now"]
    shown = [runs[method] for method in dict.fromkeys(methods) if method in runs]
    if not shown:
        return None
    figure, (axes,) = panels_of(sweep.title_at(level), [""])
    first = shown[0]
    profiles = {run.spec.method: (run.arrays["district_import_kwh"], run.peak) for run in shown}
    colours = sns.color_palette("colorblind", len(profiles))
    for (name, (imports, peak)), colour, dash in zip(profiles.items(), colours, DASHES, strict=False):
        hours = _hour_of_day(first.scenario, len(imports))
        means = [100 * imports[hours == hour].mean() / peak for hour in range(DAY)]
        axes.plot(range(DAY), means, color=colour, linestyle=dash, label=name)
    counted = np.any([budget.hours.numpy() for budget in first.scenario.budgets()], axis=0)
    axes.plot(range(DAY), np.where(counted, 100 * level, np.nan), color="black", linewidth=0.8, label="budget")
    axes.set_ylim(bottom=0)
    axes.set(xlabel="Hour of the day", ylabel="Mean import\n(% of uncontrolled peak)", xticks=range(0, DAY, 3))
    shared_legend(figure, [axes], "", columns=3)
    return figure


def _plot_agents(axes: Axes, values: Array) -> None:
    """One line per agent of [days, N]; many agents are drawn as their mean within their range."""
    days = _days(values)
    if values.shape[1] <= FEW_AGENTS:
        colours = sns.color_palette("colorblind", values.shape[1])
        for agent, colour in enumerate(colours):
            # Agents that agree lie on one line; dashes of different lengths let each be seen.
            axes.plot(days, values[:, agent], color=colour, linestyle=DASHES[agent % len(DASHES)], label=str(agent))
        return
    axes.fill_between(days, values.min(1), values.max(1), color="0.8", linewidth=0, label="lowest to highest")
    axes.plot(days, values.mean(1), color=sns.color_palette("colorblind")[0], label="mean")


def _hour_of_day(scenario: DistrictScenario, hours: int) -> NDArray[np.int64]:
    first = int(scenario.district.hour[scenario.district.measured[0]])
    return (first + np.arange(hours)) % DAY


def _days(values: Array) -> NDArray[np.int64]:
    return np.arange(1, len(values) + 1)


def _level_looks(levels: Sequence[float]) -> dict[float, dict[str, Any]]:
    """Colours of ordered levels run from dark to light; dashes keep lines that coincide apart."""
    colours = sns.color_palette("viridis", len(levels))
    return {
        level: {"color": colour, "linestyle": DASHES[n % len(DASHES)]}
        for n, (level, colour) in enumerate(zip(levels, colours, strict=True))
    }
