"""What every figure has in common: the width of a paper's column, seaborn's look, files that reproduce byte by byte."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, SymmetricalLogLocator

from accord.benchmark.evaluation.metrics import METRICS

COLUMN_WIDTH, PAGE_WIDTH = 3.5, 7.0  # inches
DOTS_PER_INCH = 300
SMALLEST, USUAL = 7, 8  # points of text, at the size of print
LETTERS_PER_INCH = 17  # of the smallest text
HANDLE = 2.6  # text heights: the longest dashes can be told apart
BESIDE = 8  # letters that a legend's line and gaps take
CLOSE_DECADES = 2.0  # up to so many a logarithmic axis has the ticks `CLOSE`, beyond `FAR`
CLOSE, FAR = (1.0, 2.0, 5.0), (1.0,)


@contextmanager
def style() -> Iterator[None]:
    """The look of seaborn at the size of a paper's column, for as long as figures are drawn."""
    looks: dict[Any, Any] = {**sns.plotting_context("paper"), **sns.axes_style("whitegrid")}
    looks |= dict.fromkeys(("font.size", "axes.labelsize", "axes.titlesize"), USUAL)
    looks |= dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), SMALLEST)
    looks |= dict.fromkeys(("legend.title_fontsize", "figure.titlesize"), SMALLEST)
    looks |= dict.fromkeys(("xtick.major.pad", "ytick.major.pad", "axes.labelpad", "axes.titlepad"), 2)
    looks |= {"lines.linewidth": 1.1, "axes.linewidth": 0.6, "grid.linewidth": 0.4, "pdf.fonttype": 42}
    looks["text.parse_math"] = False  # names are as they are typed, with dollars too
    with mpl.rc_context(looks):
        yield


def panels_of(
    title: str,
    names: Sequence[str],
    *,
    sharex: bool = True,
    sharey: bool = True,
    width: float = COLUMN_WIDTH,
    height: float = 2.6,
    columns: int | None = None,
) -> tuple[Figure, list[Axes]]:
    """Panels that mostly share their axes; without pyplot, so nothing stays open.

    Args:
        title: Of the figure.
        names: One for each panel.
        sharex: They share their x-axis.
        sharey: They share the other axis.
        width: Inches.
        height: Inches of the figure.
        columns: Panels side by side; all of them without.

    Returns:
        The figure and one panel for each name.
    """
    across = min(columns or len(names), len(names))
    rows = math.ceil(len(names) / across)
    figure = Figure(figsize=(width, height), layout="constrained")
    places = figure.subplots(rows, across, sharex=sharex, sharey=sharey, squeeze=False).flatten().tolist()
    figure.suptitle(title)
    panels: list[Axes] = places[: len(names)]
    for spare in places[len(names) :]:
        spare.remove()
    for above in panels[max(0, len(names) - across) :]:  # no panel stands under them
        above.tick_params(labelbottom=True)
    letters = int(LETTERS_PER_INCH * SMALLEST / USUAL * width / across)
    for name, axes in zip(names, panels, strict=True):
        axes.set_title(
            "\n".join(textwrap.fill(line, letters, break_long_words=False) for line in name.split("\n")), y=1.0
        )
        sns.despine(ax=axes)
    return figure, panels


def shared_legend(figure: Figure, panels: Sequence[Axes], title: str) -> None:
    """One legend for all panels, under them."""
    entries: dict[str, Artist] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    legend_of(figure, entries, title)


def legend_of(figure: Figure, entries: Mapping[str, Artist], title: str) -> None:
    """A legend under all panels, in as many columns as fit.

    Args:
        figure: Where.
        entries: By label.
        title: Above the entries; broken into lines of the figure's width.
    """
    figure.legend(
        list(entries.values()),
        list(entries),
        title=textwrap.fill(title, int(LETTERS_PER_INCH * figure.get_figwidth()), break_on_hyphens=False),
        loc="outside lower center",
        ncols=fitting(entries, figure.get_figwidth()),
        frameon=False,
        handlelength=HANDLE,
        columnspacing=1.0,
    )


def fitting(labels: Collection[str], width: float) -> int:
    """Columns of a legend with these labels that fit into so many inches."""
    most = LETTERS_PER_INCH * width / (max(map(len, labels)) + BESIDE)
    return max(1, min(len(labels), int(most)))


def label_of(metric: str) -> str:
    """Of an axis: a metric's heading and unit, as in the tables."""
    column = METRICS[metric].column
    if column is None:
        raise ValueError(f"metric '{metric}' has no column in the tables")
    unit = f" ({column.unit})" if column.unit else ""
    return f"{column.heading[0].upper()}{column.heading[1:]}{unit}"


def factor_of(metric: str) -> float:
    """From a metric's unit to that of its label."""
    column = METRICS[metric].column
    return 1.0 if column is None else column.factor


def set_wide(axes: Axes, which: Literal["x", "y"], *, floor: float | None = None, linear: float = 0.6) -> None:
    """An axis that is linear up to 1 and logarithmic beyond, both ways; linear throughout where a decade is not passed.

    Args:
        axes: A panel that everything was drawn in.
        which: Its axis.
        floor: Where it begins; by what was drawn without.
        linear: The length of 0 to 1, in decades.
    """
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axis.get_view_interval()
    if high > 10 * max(low, 1.0) or low < -10:
        (axes.set_xscale if which == "x" else axes.set_yscale)("symlog", linthresh=1, linscale=linear)
        axes.autoscale_view()  # with the margins of this scale
        low, high = axis.get_view_interval()
        low = low if floor is None else floor
        close = math.log10(max(high, 1.0)) + math.log10(max(-low, 1.0)) <= CLOSE_DECADES
        axis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=1, subs=CLOSE if close else FAR))
        axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(plain))
    if floor is not None:
        axes.set(**{f"{which}lim": (floor, high)})


def set_log(axes: Axes, which: Literal["x", "y"]) -> None:
    """A logarithmic axis with plain numbers at its ticks."""
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=CLOSE if high <= 10**CLOSE_DECADES * low else FAR))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(plain))


def plain(value: float, _: object = None) -> str:
    """A number at a tick, 100k and 1M for large ones; an exponent would be smaller than all other text."""
    factor, unit = (1e6, "M") if abs(value) >= 1e6 else (1e3, "k") if abs(value) >= 1e4 else (1.0, "")
    return f"{value / factor:,.6g}{unit}".replace("-", "−")


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write PNG and PDF without the date and the program's version, so that the same figure is the same file."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [Path(f"{stem}.png"), Path(f"{stem}.pdf")]
    figure.savefig(paths[0], dpi=DOTS_PER_INCH, metadata={"Software": None})
    figure.savefig(paths[1], metadata={"CreationDate": None, "Creator": None, "Producer": None})
    return paths
