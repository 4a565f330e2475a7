"""How queues, imports and multipliers go over time: one district on one network, one seed, which the title names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from numpy.typing import NDArray

from accord.benchmark.evaluation.trajectory import DAY
from accord.benchmark.figures.canvas import COLUMN_WIDTH, PAGE_WIDTH, panels_of, shared_legend
from accord.benchmark.figures.styles import BLACK, MOST_LINES, SHAPES, Line, Style, styles_of
from accord.benchmark.figures.sweeps import Array, Sweep, hour_of_day, percent

WEEK = 7
BAND = "0.75"  # grey of a range behind a line


class Drawn(NamedTuple):
    """One line of a panel: values over time, their days, the look and its name in the legend."""

    label: str
    days: NDArray[np.int64]
    values: Array
    look: dict[str, Any]


def draw_waiting(sweep: Sweep) -> Figure | None:
    """Waiting load over time in hours of mean demand, weekly mean: a panel per method, a line per level."""
    if not shows_growth(sweep):
        return None
    looks = _level_looks(sweep.levels)
    panels: dict[str, list[Drawn]] = {}
    for method in sweep.panels("district_waiting_load"):
        for run in sweep.of(method):
            waiting = run.daily("district_waiting_load") / run.arrays["district_demand"].mean()
            # Demand has a weekly rhythm that would hide whether a queue grows.
            weekly = np.convolve(waiting, np.full(WEEK, 1 / WEEK), "valid")
            if (level := run.scenario.level) in looks:
                line = Drawn(percent(level), WEEK + np.arange(len(weekly)), weekly, looks[level])
                panels.setdefault(method, []).append(line)
    label = "Waiting load, 7-day mean\n(hours of mean demand)"
    return _draw(sweep.title, panels, label, _levels_title("Budget, % of uncontrolled peak", sweep), bottom=0)


def shows_growth(sweep: Sweep) -> bool:
    """Two weeks or more are measured: of one week there is one weekly mean, which says nothing of a queue's growth."""
    return sweep.weeks >= 2


def draw_import(sweep: Sweep) -> Figure | None:
    """The import against its budget: by hour of the day where budgets hold for hours, else averaged over time."""
    if not sweep.runs:
        return None
    by_hour = any(not bool(budget.hours.all()) for budget in sweep.runs[0].scenario.budgets())
    return _draw_profile(sweep) if by_hour else _draw_average(sweep)


def draw_multipliers(sweep: Sweep) -> Figure | None:
    """Multipliers over time at the tightest level that can be met: a panel per method, a line per agent."""
    panels: dict[str, list[Drawn]] = {}
    bands: dict[str, Array] = {}
    several = False
    for method in sweep.panels("multipliers"):
        for run in sweep.of(method):
            if run.scenario.level == sweep.shown_level:
                several |= run.arrays["multipliers"].shape[2] > 1
                values = run.arrays["multipliers"].mean(2)
                panels[method] = _agents(values)
                if values.shape[1] > MOST_LINES:
                    bands[method] = values
    if not panels:
        return None
    what = "Multiplier λ, mean of budgets\n(mean prices)" if several else "Multiplier λ (mean prices)"
    return _draw(sweep.title_at(sweep.shown_level), panels, what, "Agent", bands=bands)


def _draw_average(sweep: Sweep) -> Figure | None:
    """Import averaged from the start, a panel per method, a line per level, its budget thin."""
    looks = _level_looks(sweep.levels)
    panels: dict[str, list[Drawn]] = {}
    for method in sweep.panels("district_import_kwh"):
        for run in sweep.of(method):
            hourly = run.arrays["district_import_kwh"]
            average = (np.cumsum(hourly) / np.arange(1, len(hourly) + 1))[DAY - 1 :: DAY] / run.peak
            if (level := run.scenario.level) in looks:
                line = Drawn(percent(level), _days(average), 100 * average, looks[level])
                panels.setdefault(method, []).append(line)
    label = "Import, average so far\n(% of uncontrolled peak)"
    legend = _levels_title("Budget (thin lines), % of uncontrolled peak", sweep)
    figure = _draw(sweep.title, panels, label, legend)
    for axes in [] if figure is None else figure.axes:
        for level, look in looks.items():
            axes.axhline(100 * level, color=look["color"], linewidth=0.5)
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
    styles = styles_of(Line(run.spec.method) for run in shown)
    for run in shown:
        imports, style = run.arrays["district_import_kwh"], styles[Line(run.spec.method)]
        hours = hour_of_day(run.scenario, len(imports))
        means = [100 * imports[hours == hour].mean() / run.peak for hour in range(DAY)]
        axes.plot(range(DAY), means, **_look(style), markevery=3, label=run.spec.method)
    counted = np.any([budget.hours.numpy() for budget in shown[0].scenario.budgets()], axis=0)
    axes.plot(range(DAY), np.where(counted, 100 * level, np.nan), color=BLACK, linewidth=0.6, label="budget")
    axes.set_ylim(bottom=0)
    axes.set(xlabel="Hour of the day", ylabel="Mean import\n(% of uncontrolled peak)", xticks=range(0, DAY, 3))
    shared_legend(figure, [axes], "")
    return figure


def _draw(
    title: str,
    panels: Mapping[str, Sequence[Drawn]],
    ylabel: str,
    legend: str,
    *,
    bands: Mapping[str, Array] | None = None,
    bottom: float | None = None,
) -> Figure | None:
    """A panel for each method that has a line of two points or more; None where none has."""
    filled = {name: [line for line in lines if np.isfinite(line.values).sum() >= 2] for name, lines in panels.items()}
    filled = {name: lines for name, lines in filled.items() if lines}
    if not filled:
        return None
    width = COLUMN_WIDTH if len(filled) <= 2 else PAGE_WIDTH
    rows = -(-len(filled) // 4)
    figure, places = panels_of(title, list(filled), width=width, height=0.6 + 2.0 * rows, columns=4)
    for (name, lines), axes in zip(filled.items(), places, strict=True):
        if bands and name in bands:
            values = bands[name]
            low, high = values.min(1), values.max(1)
            axes.fill_between(_days(values), low, high, color=BAND, linewidth=0, label="lowest to highest")
        for line in lines:
            axes.plot(line.days, line.values, **line.look, label=line.label)
        axes.set_xlabel("Time (days)")
    places[0].set_ylabel(ylabel)
    places[0].set_ylim(bottom=bottom)
    shared_legend(figure, places, legend)
    return figure


def _agents(values: Array) -> list[Drawn]:
    """One line per agent of [days, N]; many agents are drawn as their mean."""
    days = _days(values)
    colours = sns.color_palette("colorblind", MOST_LINES)
    if values.shape[1] > MOST_LINES:
        return [Drawn("mean", days, values.mean(1), {"color": colours[0]})]
    # Agents that agree lie on one line; dashes of different lengths let each be seen.
    looks = [{"color": colour, "linestyle": _dash(n)} for n, colour in enumerate(colours)]
    return [Drawn(str(agent), days, values[:, agent], looks[agent]) for agent in range(values.shape[1])]


def _look(style: Style) -> dict[str, Any]:
    look = {"color": style.colour, "linestyle": style.linestyle, "marker": style.shape.marker}
    return {**look, "markersize": 3, "markeredgewidth": 0}


def _dash(place: int) -> str | tuple[int, tuple[float, ...]]:
    return Style(BLACK, SHAPES[place]).linestyle


def _days(values: Array) -> NDArray[np.int64]:
    return np.arange(1, len(values) + 1)


def _level_looks(levels: Sequence[float]) -> dict[float, dict[str, Any]]:
    """Colours of ordered levels run from dark to light; dashes keep lines that coincide apart.

    Of more than `MOST_LINES` levels as many, the tightest and the loosest among them, as evenly as it goes.
    """
    if len(levels) > MOST_LINES:
        levels = [levels[round(n)] for n in np.linspace(0, len(levels) - 1, MOST_LINES)]
    colours = sns.color_palette("viridis", len(levels))
    return {
        level: {"color": colour, "linestyle": _dash(n)}
        for n, (level, colour) in enumerate(zip(levels, colours, strict=True))
    }


def _levels_title(words: str, sweep: Sweep) -> str:
    shown, every = len(_level_looks(sweep.levels)), len(sweep.levels)
    return words if shown == every else f"{words} ({shown} of {every} levels)"
