"""What every figure has in common: the width of a paper's column, seaborn's look, files that reproduce byte by byte."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLUMN_WIDTH, PAGE_WIDTH = 3.5, 7.0  # inches
DOTS_PER_INCH = 300


@contextmanager
def style() -> Iterator[None]:
    """The look of seaborn at the size of a paper's column, for as long as figures are drawn."""
    looks: dict[Any, Any] = {**sns.plotting_context("paper"), **sns.axes_style("whitegrid")}
    looks |= dict.fromkeys(("font.size", "axes.labelsize", "axes.titlesize", "legend.title_fontsize"), 8)
    looks |= dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 7)
    looks |= dict.fromkeys(("xtick.major.pad", "ytick.major.pad", "axes.labelpad", "axes.titlepad"), 2)
    looks |= {"lines.linewidth": 1.1, "axes.linewidth": 0.6, "grid.linewidth": 0.4, "pdf.fonttype": 42}
    with mpl.rc_context(looks):
        yield


def panels_of(
    title: str, names: Sequence[str], *, sharey: bool = True, width: float = COLUMN_WIDTH
) -> tuple[Figure, list[Axes]]:
    """Panels side by side that share their x-axis and, mostly, the other; without pyplot, so nothing stays open."""
    figure = Figure(figsize=(width, 2.6), layout="constrained")
    panels = figure.subplots(1, len(names), sharex=True, sharey=sharey, squeeze=False)[0].tolist()
    figure.suptitle(title, fontsize=7)
    for name, axes in zip(names, panels, strict=True):
        axes.set_title(name)
        sns.despine(ax=axes)
    return figure, panels


def shared_legend(figure: Figure, panels: Sequence[Axes], title: str, columns: int = 7) -> None:
    """One legend for all panels, under them."""
    entries: dict[str, Artist] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    figure.legend(
        entries.values(),
        entries.keys(),
        title=title,
        loc="outside lower center",
        ncols=min(columns, len(entries)),
        frameon=False,
        handlelength=1.8,
        columnspacing=1.0,
    )


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write PNG and PDF without the date and the program's version, so that the same figure is the same file."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [Path(f"{stem}.png"), Path(f"{stem}.pdf")]
    figure.savefig(paths[0], dpi=DOTS_PER_INCH, metadata={"Software": None})
    figure.savefig(paths[1], metadata={"CreationDate": None, "Creator": None, "Producer": None})
    return paths
