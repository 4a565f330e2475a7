"""What the cells of the suite `scale` come to: growth exponents with their intervals, a table, a figure."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from accord.benchmark.evaluation.metric import BLANK
from accord.benchmark.figures.canvas import PAGE_WIDTH, legend_of, panels_of, save, set_log, style
from accord.benchmark.figures.styles import Line, choose, colours, handle, left_out, shapes, styles_of
from accord.benchmark.performance.stages import STAGES
from accord.benchmark.records.files import RESTORE, reading
from accord.benchmark.records.published import read_published, write_published
from accord.benchmark.statistics import slope

FEWEST = 3  # sizes for an exponent with an interval
GROWN = 4.0  # times the smallest value: from there on what does not depend on N is a quarter at most
CELLS = "cells.csv"
MANY = 10_000  # agents, from which on execution is fitted once more: what does not grow is nothing there
BENT = 1.1  # an exponent between two sizes that is above linear
# The cost of all agents together, and its heading. Iterations of different methods hold different numbers of samples.
QUANTITIES = {
    "iteration_seconds": "training, s/iteration",
    "hour_seconds": "execution, s/hour of the district",
    "peak_memory": "memory, MiB",
}
CROWD = "hour_seconds of many"
BRACKETS = (
    "In brackets after an exponent: its 95 % interval by least squares, from one measurement per size, and the sizes. "
    "It takes what a power of N leaves unexplained as independent errors. Where a cost bends, the interval says how "
    "closely a power of N describes these sizes, not how far another measurement would lie from this one."
)


@dataclass(frozen=True)
class Fit:
    """Least squares of log value on log N.

    Attributes:
        exponent: Slope.
        low, high: Ends of its 95 % interval; see `BRACKETS` for what it takes for granted.
        first, last: Sizes that it was fitted on.
        bends: Size from which on the exponent from each size to the next is above `BENT`, if there are some.
    """

    exponent: float
    low: float
    high: float
    first: int
    last: int
    bends: int | None

    def text(self) -> str:
        """For a table."""
        upward = "" if self.bends is None else f", upward from {self.bends:,}"
        exponent, low, high = (round(float(value), 2) + 0.0 for value in (self.exponent, self.low, self.high))  # no -0
        return f"{exponent:.2f} [{low:.2f}, {high:.2f}] ({self.first:,} to {self.last:,}{upward})"


def fit(sizes: Sequence[int], values: Sequence[float], *, whole: bool = False) -> Fit | None:
    """The growth exponent over the sizes where the cost grows; over all of them where it does not.

    It grows from the size on after which no cost is below `GROWN` times the least one.

    Args:
        sizes: N, ascending.
        values: Of each, positive.
        whole: Over all sizes, whether it grows or not.

    Returns:
        None where the cost grows over fewer than three sizes.
    """
    n, y = np.array(sizes), np.array(values, dtype=np.float64)
    if not len(y):
        return None
    begin = int(np.flatnonzero(y < GROWN * y.min())[-1]) + 1
    if whole or begin == len(y):
        begin = 0
    n, y = n[begin:], y[begin:]
    if len(y) < FEWEST:
        return None
    exponent, low, high = map(float, slope(np.log(n), np.log(y)))
    flat = np.flatnonzero(np.diff(np.log(y)) <= BENT * np.diff(np.log(n)))
    last_flat = int(flat[-1]) + 1 if len(flat) else 0  # ends there
    bends = int(n[last_flat]) if last_flat <= len(n) - FEWEST else None  # one dear cell is no bend
    return Fit(exponent, low, high, int(n[0]), int(n[-1]), bends)


def cells(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """One row per cell of `run_scale`, with `hour_seconds`: what an hour of the whole district takes.

    `peak_memory` of an accelerator's cells is that of the accelerator.
    """
    table = pd.DataFrame(list(rows)).drop(columns="fresh", errors="ignore")
    for name in ("iteration_seconds", "sample_microseconds", "step_microseconds", "peak_memory", "stopped_in"):
        if name not in table:
            table[name] = None
    if "device_memory" in table:
        table["peak_memory"] = table["device_memory"].fillna(table["peak_memory"])
    table["hour_seconds"] = pd.to_numeric(table["step_microseconds"]) * table["n_agents"] / 1e6
    return table


def beside_published(table: pd.DataFrame, target: Path, *, whole: bool) -> pd.DataFrame:
    """The cells with those that the report in `target` has beside them: a report shows all devices and lines.

    Args:
        table: See `cells`; of one device.
        target: Folder of the report.
        whole: Every line of the device is in the table: others that the report has are no more, but for those that
            bear the name of another machine.
    """
    kept = published_cells(target)
    if not len(kept):
        return table
    replaced = kept["line"].isin(table["line"])
    if whole:
        replaced |= kept["device"].isin(table["device"]) & ~_named_apart(kept)
    kept = kept[~replaced]
    together = pd.concat([kept, table], ignore_index=True) if len(kept) else table
    return together.sort_values("device", kind="stable", ignore_index=True)


def published_cells(target: Path) -> pd.DataFrame:
    """The cells of the report in a folder; empty where there is none."""
    path = target / CELLS
    if not path.exists():
        return pd.DataFrame()
    with reading(path, RESTORE):
        return pd.read_csv(io.BytesIO(read_published(path)), encoding="utf-8")


def named_apart(table: pd.DataFrame, target: Path) -> pd.DataFrame:
    """The cells, their lines named after their machine too where the report in `target` is another one's.

    Lines are compared with each other, and so lines of one kind of name are to come from one machine.

    Args:
        table: See `cells`; of one device.
        target: Folder of the report.
    """
    kept, device = published_cells(target), table["device"].iloc[0]
    if not len(kept):
        return table
    here = _machines(table).iloc[0]
    home = set(_machines(kept)[(kept["device"] == device) & ~_named_apart(kept)])
    return table.assign(line=table["line"] + f" ({here})") if home and here not in home else table


def _machines(table: pd.DataFrame) -> pd.Series:
    """The processor, or accelerator, that each cell comes from."""
    return table["cpu"].where(table["device"] == "cpu", table["gpu"])


def _named_apart(table: pd.DataFrame) -> pd.Series:
    """Which cells are of a line that bears its machine's name."""
    named = [line.endswith(f"({on})") for line, on in zip(table["line"], _machines(table), strict=True)]
    return pd.Series(named, index=table.index, dtype=bool)


def fits(table: pd.DataFrame) -> dict[tuple[str, str], Fit]:
    """The exponents by line and quantity, where there are enough sizes for one; `CROWD` is that of many agents."""
    found = {}
    many, done = table[table["n_agents"] >= MANY], table[table["status"] == "done"]
    # A cell that was stopped held less than it would have.
    parts = [(done if name == "peak_memory" else table, name, name) for name in QUANTITIES]
    parts.append((many, "hour_seconds", CROWD))
    for part, column, quantity in parts:
        for name, line in part[part[column].notna()].groupby("line", sort=False):
            made = fit(line["n_agents"].tolist(), line[column].tolist(), whole=quantity == CROWD)
            if made is not None:
                found[str(name), quantity] = made
    return found


def markdown(table: pd.DataFrame) -> str:
    """One row per line: growth of its costs, its largest size, and where it stopped and why; then stages of crowds."""
    headings = ["method", "training grows as N^", "execution grows as N^", "memory grows as N^"]
    headings += [f"execution from {MANY:,} agents on", "training, µs/sample", "execution, µs/agent-step", "MiB", "at"]
    lines = _table([*headings, "stopped at"])
    exponents = fits(table)
    for name, line in table.groupby("line", sort=False):
        done, stopped = line[line["status"] == "done"], line[line["status"] != "done"]
        known = [exponents.get((str(name), quantity)) for quantity in (*QUANTITIES, CROWD)]
        words = [BLANK if found is None else found.text() for found in known]
        last = done.iloc[-1] if len(done) else None
        if last is None:
            words += [BLANK] * 4
        else:
            words += [_short(last.sample_microseconds), _short(last.step_microseconds), _whole(last.peak_memory)]
            words.append(f"{last.n_agents:,}")
        words += [f"{s.n_agents:,}: {s.status} in {s.stopped_in}" for s in stopped.itertuples()] or [BLANK]
        lines.append(f"| {name} | " + " | ".join(words) + " |")
    return "\n".join([*lines, "", BRACKETS, ""]) + _stages_of_crowds(table)


def _stages_of_crowds(table: pd.DataFrame) -> str:
    """Where execution in chunks spends its time, beside the bare matrix products of the policy."""
    if "state_bytes" not in table:
        return ""
    crowds = table[table["state_bytes"].notna() & (table["n_agents"] >= MANY)]
    if not len(crowds):
        return ""
    headings = ["in chunks, µs/agent-step", "agents", "step", *STAGES, "bare products", "step / products"]
    headings += ["on all cores", "state, bytes/agent", "memory, bytes/agent"]
    spread = "shards" in crowds and bool(crowds["shards"].notna().any())
    headings += ["processes", "messages between them/agent-step", "bytes between them/agent-step"] if spread else []
    lines = ["", *_table(headings)]
    for row in crowds.to_dict("records"):
        bare = row.get("products_microseconds", math.nan)
        words = [f"{row['n_agents']:,}", _short(row["step_microseconds"])]
        words += [_short(row[f"{stage}_microseconds"]) for stage in STAGES] + [_short(bare)]
        words.append(BLANK if math.isnan(bare) else f"{row['step_microseconds'] / bare:.1f}")
        words.append(_short(row.get("all_cores_microseconds")))
        words += [_whole(row["state_bytes"]), _whole(2**20 * row["peak_memory"] / row["n_agents"])]
        if spread:
            words += [_whole(row["shards"]), _short(row["crossed_messages"]), _short(row["crossed_bytes"])]
        lines.append(f"| {row['line']} | " + " | ".join(words) + " |")
    return "\n".join(lines) + "\n"


def _table(headings: Sequence[str]) -> list[str]:
    return ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]


def write_scale_quality(rows: Sequence[dict[str, Any]], target: Path) -> list[Path]:
    """Write `quality.csv` and `quality.md`; see `benchmark.performance.scale_quality`.

    Args:
        rows: Of the cells.
        target: Folder.

    Returns:
        The files.
    """
    table = pd.DataFrame(list(rows)).drop(columns="fresh", errors="ignore")
    contents = {"quality.csv": table.to_csv(index=False), "quality.md": quality_markdown(rows)}
    return write_published(target, {name: text.encode() for name, text in contents.items()})


def quality_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """One row per line, one column per size: seconds and agent-steps until a policy was good, or how close one came."""
    sizes = sorted({row["n_agents"] for row in rows})
    lines = _table(["method", *(f"{n} agents" for n in sizes)])
    for name in dict.fromkeys(row["line"] for row in rows):
        own = {row["n_agents"]: row for row in rows if row["line"] == name}
        lines.append(f"| {name} | " + " | ".join(_reached(own[n]) if n in own else BLANK for n in sizes) + " |")
    return "\n".join(lines) + "\n"


def _reached(row: dict[str, Any]) -> str:
    if "seconds" not in row:
        return str(row["status"])
    effort = f"{row['seconds']:.0f} s, {row['steps'] / 1e6:.2g} M steps"
    if row["trainings"] > 1:
        effort += f" in {row['trainings']} trainings"
    if row["status"] == "done":
        return effort
    if "best_gap" not in row:
        return f"{row['status']} after {effort}"
    best = f"best {100 * row['best_gap']:.0f} % above, {100 * row['best_violation']:.1f} % over"
    return f"{row['status']} after {effort}: {best}"


def _whole(value: Any) -> str:
    return BLANK if pd.isna(value) else f"{value:.0f}"


def _short(value: Any) -> str:
    return BLANK if pd.isna(value) else f"{value:.3g}"


def write_scale(table: pd.DataFrame, target: Path) -> list[Path]:
    """Write `cells.csv` (with where each was measured), `fits.csv`, `scale.md` and a figure of every device.

    Args:
        table: See `cells`.
        target: Folder.

    Returns:
        The files.
    """
    exponents = [{"line": line, "quantity": name, **vars(found)} for (line, name), found in fits(table).items()]
    contents = {
        CELLS: table.to_csv(index=False),
        "fits.csv": pd.DataFrame(exponents).to_csv(index=False),
        "scale.md": markdown(table),
    }
    files = write_published(target, {name: text.encode() for name, text in contents.items()})
    with style():
        for device, part in table.groupby("device", sort=False):
            stem = target / "figures" / ("scaling" if device == "cpu" else f"scaling-{device}")
            figure = figure_of(part)
            if figure is not None:
                files += save(figure, stem)
            else:
                for suffix in (".png", ".pdf"):
                    stem.with_suffix(suffix).unlink(missing_ok=True)
    return files


def figure_of(table: pd.DataFrame) -> Figure | None:
    """Costs of all agents together against N, both axes logarithmic; None where nothing was measured.

    Lines are chosen by `choose`: the best is the one that was measured with most agents, of lines of this machine
    before those that bear the name of another, and of equals the one that comes first in the table.
    """
    panels = {name: title for name, title in QUANTITIES.items() if table[name].notna().any()}
    if not panels:
        return None
    largest = table[table["status"] == "done"].groupby("line")["n_agents"].max()
    apart = table[_named_apart(table)]["line"].unique() if {"cpu", "gpu"} <= set(table) else ()
    names = sorted(table["line"].unique(), key=lambda name: (name in apart, -largest.get(name, 0)))
    lines = [Line(*name.split(" ", 1)) for name in names]
    shown = choose(lines)
    looks = styles_of(shown)
    styles = {line.label: looks[line] for line in shown}  # a line looks alike in all panels
    figure, places = panels_of(
        "Cost against the number of agents", list(panels.values()), sharey=False, width=PAGE_WIDTH, height=3.0
    )
    for axes, quantity in zip(places, panels, strict=True):
        known = table[table[quantity].notna() & table["line"].isin(list(styles))].astype({quantity: float})
        sns.lineplot(
            known,
            x="n_agents",
            y=quantity,
            hue="line",
            style="line",
            errorbar=None,
            ax=axes,
            **colours(styles),
            **shapes(styles),
        )
        axes.set(xlabel="agents", ylabel="")
        set_log(axes, "x")
        set_log(axes, "y")
    legend_of(figure, {label: handle(style) for label, style in styles.items()}, left_out(shown, lines))
    return figure
