"""The figures of a suite: gap against violation, what goes over time, and learning curves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from accord.benchmark.figures.canvas import save, style
from accord.benchmark.figures.connectivity import draw_connectivity, draw_cost, draw_faults, draw_recovery
from accord.benchmark.figures.gap_violation import draw_gap_violation
from accord.benchmark.figures.learning import draw_curves
from accord.benchmark.figures.over_time import draw_import, draw_multipliers, draw_waiting, shows_growth
from accord.benchmark.figures.sweeps import Contexts, Traces, find_sweeps
from accord.benchmark.records.record import Record

HEADLINE = "gap-violation"
MOST_SWEEPS = 6  # that are drawn over time


def draw_figures(
    records: Sequence[Record],
    folder: Path,
    traces: Traces,
    contexts: Contexts,
    *,
    curves: pd.DataFrame | None = None,
    keep: bool = False,
) -> list[Path]:
    """Draw a suite's figures as PNG and PDF, and remove those of an earlier call that are not drawn anew.

    Args:
        records: The suite's runs.
        folder: Made if there is anything to draw.
        traces: A run's arrays: import_kwh and waiting_load [T, N], multipliers [days, N, m], and district_ with
            import_kwh, price, waiting_load, demand [T]; empty without any.
        contexts: What a scenario's runs are compared with, by its address.
        curves: Learning curves, see `benchmark.figures.curves`.
        keep: Earlier figures that would lack a run whose traces are elsewhere stay, and so do those of other runs;
            those go that would have nothing to show.

    Returns:
        The files, in the order of drawing; those that were kept come last.
    """
    sweeps = find_sweeps(records, traces, contexts)[:MOST_SWEEPS]
    figures: dict[str, Figure | None] = {}  # None where there is nothing to show
    with style():
        figures[HEADLINE] = draw_gap_violation(records)
        for name, draw in (("waiting", draw_waiting), ("import", draw_import), ("multipliers", draw_multipliers)):
            for sweep in sweeps:
                if sweep.whole or not keep or (draw is draw_waiting and not shows_growth(sweep)):
                    figures[f"{name}-{sweep.name}"] = draw(sweep)
        figures["connectivity"], figures["faults"] = draw_connectivity(records), draw_faults(records)
        figures["cost"], recovery = draw_cost(records), draw_recovery(records, traces)
        if recovery is not None or not keep:  # its arrays may be elsewhere
            figures["recovery"] = recovery
        for scenario, points in () if curves is None else curves.groupby("scenario"):
            figures["curves-" + re.sub(r"[^\w.-]+", "-", str(scenario))] = draw_curves(str(scenario), points)
        paths = [path for name, figure in figures.items() if figure is not None for path in save(figure, folder / name)]
    others = sorted({*folder.glob("*.png"), *folder.glob("*.pdf")} - set(paths))
    kept = [path for path in others if keep and path.stem not in figures]
    for path in set(others) - set(kept):
        path.unlink()
    return paths + kept
