"""What is published of a suite: the runs, the leaderboard in three formats, and the figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from accord.benchmark.boards.comparison import improvements
from accord.benchmark.boards.latex import COLUMN, PAGE, latex
from accord.benchmark.boards.leaderboard import Locality, leaderboard, write_runs
from accord.benchmark.boards.origins import stale_runs
from accord.benchmark.boards.render import markdown, render_summary
from accord.benchmark.boards.selection import EVERYTHING, Selection
from accord.benchmark.boards.summary import Summary, summarise
from accord.benchmark.boards.tables import Layout, lay_out
from accord.benchmark.figures.curves import curves_table
from accord.benchmark.figures.sweeps import Contexts, Traces
from accord.benchmark.records.published import write_published
from accord.benchmark.records.record import Record
from accord.benchmark.specs.suite import Suite
from accord.envs.errors import UsageError

FORMATS = ("md", "latex", "csv")
OTHER_WORDS = {"markdown": "md"}
CURVES = "curves.csv"
NO_FIGURES = "No figures: these runs left no traces and have no gap to an optimum."


@dataclass(frozen=True)
class SuiteReport:
    """A suite's runs, and the leaderboard that is worked out from them once.

    Attributes:
        suite: Its name heads the leaderboard, and a smoke suite says that it is one.
        records: Its runs, whatever way they ended.
        locality: What the audit says of a (method, variant).
        contexts: What a scenario's runs are compared with, by its address; gives the smallest level that can be met.
        stale: Digests of the runs that are of other code, data or network than is here.
        selection: What of it is shown.
    """

    suite: Suite
    records: Sequence[Record]
    locality: Locality = field(default_factory=dict)
    contexts: Contexts | None = None
    stale: frozenset[str] = frozenset()
    selection: Selection = EVERYTHING

    def selected(self, selection: Selection) -> SuiteReport:
        """A part of it, to be printed.

        Raises:
            UsageError: a method, a scenario or a column that is not there.
        """
        if selection == self.selection:
            return self  # whose leaderboard may be worked out already
        selection.check(self.records)
        return replace(self, records=selection.records(self.records), selection=selection)

    @cached_property
    def board(self) -> pd.DataFrame:
        """The leaderboard, see `leaderboard`."""
        return leaderboard(self.records, self.locality)

    @cached_property
    def layout(self) -> Layout:
        """The leaderboard laid out as tables."""
        layout = lay_out(
            self.records, self.board, smoke=self.suite.smoke, contexts=self.contexts, selection=self.selection
        )
        wanted = [r for r in self.records if self.selection.wants(r.spec.method, r.spec.variant)]
        stale = sum(record.spec.digest in self.stale for record in wanted)
        return replace(layout, origins=(*layout.origins, *stale_runs(stale, len(wanted))))

    @property
    def summary(self) -> Summary:
        """The leaderboard in one table."""
        return summarise(self.board, self.records, self.selection)

    def render(self, fmt: str, *, summary: bool = False, narrow: bool = False) -> str:
        """The leaderboard as text.

        Args:
            fmt: md (or markdown), latex or csv.
            summary: One table, a row per method and a column per scenario.
            narrow: LaTeX for one column of a page; where no columns are selected, gap or return, violation and verdict.

        Raises:
            UsageError: an unknown format, or another one than latex for one column.
        """
        fmt = checked_format(fmt, summary=summary, narrow=narrow)
        if summary:
            return render_summary(self.summary, self.suite.name, fmt)
        if fmt == "csv":
            return self.selection.of_board(self.board).to_csv(index=False)
        if fmt == "md":
            return markdown(self.layout)
        column = replace(COLUMN, columns=()) if self.selection.columns else COLUMN
        return latex(self.layout, column if narrow else PAGE)


def checked_format(fmt: str, *, summary: bool, narrow: bool) -> str:
    """One of `FORMATS`, by any of its words.

    Raises:
        UsageError: an unknown format, or another one than latex for one column.
    """
    fmt = OTHER_WORDS.get(fmt, fmt)
    if fmt not in FORMATS:
        raise UsageError(f"--format: unknown format '{fmt}'; allowed: {', '.join(FORMATS)}")
    if narrow and (summary or fmt != "latex"):
        raise UsageError("--narrow: only with --format latex and without --summary")
    return fmt


def write_report(report: SuiteReport, target: Path, traces: Traces, *, part: bool = False) -> list[Path]:
    """Write runs.parquet, leaderboard.csv, .md, .tex, improvement.csv and figures/ in a folder; deterministic.

    Where there are learning curves, curves.csv too; runs without traces keep their curves of an earlier report.
    Figures that an earlier report left and this one does not draw are removed, see `draw_figures`.

    Args:
        report: What is written.
        target: The folder; made if it is missing.
        traces: A run's arrays for figures, empty without any.
        part: The traces of some runs are elsewhere, so that figures of an earlier report stay.

    Returns:
        Every file that was written, or kept.
    """
    from accord.benchmark.figures.suite import draw_figures  # late: seaborn takes a second to load

    suite, records = report.suite, report.records
    target.mkdir(parents=True, exist_ok=True)
    curves = curves_table(records, traces, target / CURVES)
    contexts = report.contexts or (lambda address: None)
    figures = draw_figures(records, target / "figures", traces, contexts, curves=curves, keep=part)
    shown = [f"![{path.stem}](figures/{path.name})" for path in figures if path.suffix == ".png"] or [NO_FIGURES]
    page = [f"# {suite.name}", suite.description, report.render("md"), "## Figures", *shown]
    texts = {
        "leaderboard.csv": report.render("csv"),
        "leaderboard.md": "\n\n".join(page) + "\n",
        "leaderboard.tex": report.render("latex"),
        "improvement.csv": improvements(records, suite.subject).to_csv(index=False),
    }
    if len(curves):
        texts[CURVES] = curves.to_csv(index=False)
    else:
        (target / CURVES).unlink(missing_ok=True)  # of other runs
    write_runs(records, target / "runs.parquet")
    files = write_published(target, {name: text.encode() for name, text in texts.items()})
    return [target / "runs.parquet", *files, *figures]
