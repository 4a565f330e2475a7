"""What a run changes for each building against today's rule: a panel for bill, delay, import and peak."""

from __future__ import annotations

import textwrap

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from accord.benchmark.evaluation.buildings import CHANGE, Buildings
from accord.benchmark.figures.canvas import LETTERS_PER_INCH, PAGE_WIDTH, legend_of, panels_of, plain
from accord.benchmark.figures.styles import BLACK, BLUE, VERMILION

MOST_NAMED = 24  # buildings that have a bar and a name each
LONGEST_NAME = 20  # letters
BAR = 0.16  # inches of one
DISTRIBUTION = 2.4  # inches of the panels of more buildings
AROUND = 1.25  # inches of titles, labels and legend
POINTS = 200  # of a distribution
LEAST = 0.05  # a change that a table's decimals show, and that counts
TICKS = 4
RISES, FALLS = VERMILION, BLUE


def draw_buildings(found: Buildings) -> Figure:
    """Bars with names in the order of the table; of many buildings the distribution of each change.

    Args:
        found: Results per building, see `beside_today`.
    """
    named = len(found.table) <= MOST_NAMED
    height = AROUND + (BAR * len(found.table) if named else DISTRIBUTION)
    titles = [f"{q.name.capitalize()}\n{_counted(found.table[f'{q.name}{CHANGE}'])}" for q in found.shown]
    title = textwrap.fill(found.run, int(LETTERS_PER_INCH * PAGE_WIDTH))
    figure, panels = panels_of(title, titles, sharex=False, width=PAGE_WIDTH, height=height)
    for quantity, axes in zip(found.shown, panels, strict=True):
        changes = found.table[f"{quantity.name}{CHANGE}"].to_numpy(dtype=np.float64)
        (_bars if named else _distribution)(axes, changes)
        if not np.nan_to_num(changes).any():
            axes.set_xlim(-1, 1)
        axes.axvline(0, color=BLACK, linewidth=0.6)
        axes.set_xlabel(f"Change ({quantity.change_unit})")
        axes.xaxis.set_major_locator(MaxNLocator(TICKS))
        axes.xaxis.set_major_formatter(FuncFormatter(plain))
    if named:
        panels[0].set_yticks(range(len(found.table)), [_short(name) for name in found.table["building"]])
    else:
        panels[0].set_ylabel("Buildings (%), in each panel\nthe largest rise first")
    panels[0].invert_yaxis()
    entries: dict[str, Artist] = {"more": Patch(color=RISES), "less": Patch(color=FALLS)}
    legend_of(figure, entries, f"Against today's rule, {found.rule}, on the same {found.hours:,} hours")
    return figure


def _bars(axes: Axes, changes: npt.NDArray[np.float64]) -> None:
    colours = [RISES if change > 0 else FALLS for change in changes]
    axes.barh(range(len(changes)), np.nan_to_num(changes), color=colours, height=0.7)
    axes.grid(visible=False, axis="y")


def _distribution(axes: Axes, changes: npt.NDArray[np.float64]) -> None:
    """The largest change at the top and the smallest at the bottom, over the share of buildings."""
    shares = np.linspace(0.0, 1.0, POINTS + 1)
    values = np.nanquantile(changes, 1 - shares) if not np.isnan(changes).all() else np.zeros_like(shares)
    for colour, part in ((RISES, values.clip(min=0.0)), (FALLS, values.clip(max=0.0))):
        axes.fill_betweenx(100 * shares, 0.0, part, color=colour, linewidth=0)
    axes.set_ylim(0, 100)


def _counted(changes: pd.Series) -> str:
    """For how many buildings it rises; those without a change, since today's number is near zero, do not count."""
    known = changes.dropna()
    return f"more for {int((known > LEAST).sum()):,} of {len(known):,}"


def _short(name: str) -> str:
    """Both ends of a long name: what tells buildings apart often comes last."""
    half = LONGEST_NAME // 2
    return name if len(name) <= LONGEST_NAME else f"{name[: half - 1]}…{name[-half:]}"
