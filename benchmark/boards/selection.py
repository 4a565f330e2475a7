"""A part of a leaderboard: which rows and columns are printed, and by what names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from accord.benchmark.evaluation.metrics import METRICS
from accord.benchmark.records.record import Record
from accord.benchmark.specs.run import in_scenario
from accord.envs.errors import UsageError

STEPS = "steps"  # the column beside those of metrics
ROW = re.compile(r"(?P<method>[^\[\]]+?) ?(\[(?P<variant>[^\[\]]*)\])?")


@dataclass(frozen=True)
class Selection:
    """What of a leaderboard is shown; all of it without words. Rows keep the marks that they have in the whole table.

    Attributes:
        methods: Rows, in the order of a summary: `NAME` with all its variants, `NAME[VARIANT]`, `NAME[]` for the one
            without a name.
        scenarios: Whole words of addresses, in the order of a summary.
        columns: Names of metrics, or the headings of their columns.
        labels: Other names for methods.
    """

    methods: Sequence[str] = ()
    scenarios: Sequence[str] = ()
    columns: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    def check(self, records: Sequence[Record]) -> None:
        """See that rows, scenarios and columns are there.

        Args:
            records: All of a suite.

        Raises:
            UsageError: no scenario with such a word, a method without a run on those that are left, or a column that
                is no metric's.
        """
        addresses = sorted({record.spec.scenario for record in records})
        for word in self.scenarios:
            if not any(in_scenario(address, [word]) for address in addresses):
                raise UsageError(f"--scenarios: '{word}' is in no address here; allowed: {', '.join(addresses)}")
        rows = {(record.spec.method, record.spec.variant) for record in self.records(records)}
        names = sorted({method for method, _ in rows})
        allowed = ", ".join(sorted({*names, *(f"{method}[{variant}]" for method, variant in rows if variant)}))
        for word in self.methods:
            if not any(_fits(word, *row) for row in rows):
                raise UsageError(f"--methods: no run of '{word}' here; allowed: {allowed}")
        for method in self.labels:
            if method not in names:
                raise UsageError(f"--label: no run of '{method}' here; allowed: {', '.join(names)}")
        columns = [*(name for name, entry in METRICS.items() if entry.is_number), STEPS]
        for word in self.columns:
            if not any(_is_column(word, name) for name in columns):
                raise UsageError(f"--columns: unknown column '{word}'; allowed: {', '.join(columns)}")

    def records(self, records: Iterable[Record]) -> list[Record]:
        """Those of the scenarios that are shown."""
        return [record for record in records if in_scenario(record.spec.scenario, self.scenarios)]

    def wants(self, method: str, variant: str) -> bool:
        """A row is shown."""
        return not self.methods or any(_fits(word, method, variant) for word in self.methods)

    def shows(self, metric: str) -> bool:
        """A column is shown."""
        return not self.columns or any(_is_column(word, metric) for word in self.columns)

    def named(self, method: str) -> str:
        """What a method is called."""
        return self.labels.get(method, method)

    def place(self, method: str, variant: str) -> int:
        """Of a row, by the order in which methods were named."""
        return next((n for n, word in enumerate(self.methods) if _fits(word, method, variant)), len(self.methods))

    def place_of_scenario(self, address: str) -> int:
        """Of a scenario, by the order in which words of addresses were given."""
        return next((n for n, word in enumerate(self.scenarios) if in_scenario(address, [word])), len(self.scenarios))

    def of_board(self, board: pd.DataFrame) -> pd.DataFrame:
        """The part of a leaderboard's data frame: rows, columns of numbers with their ends, and names."""
        rows = board[[self.wants(*pair) for pair in zip(board["method"], board["variant"], strict=True)]]
        hidden = [name for name, entry in METRICS.items() if entry.is_number and not self.shows(name)]
        others = {f"{name}{end}" for name in hidden for end in ("", "_low", "_high", "_worst")}
        others |= set() if self.shows(STEPS) else {STEPS}
        kept = rows[[name for name in board.columns if name not in others]]
        return kept.assign(method=[self.named(method) for method in kept["method"]])


EVERYTHING = Selection()


def labels_from(texts: Sequence[str]) -> dict[str, str]:
    """Names by method from words like `consensus-gossip=Consensus (gossip)`.

    Raises:
        UsageError: a word is not of this form.
    """
    found: dict[str, str] = {}
    for text in texts:
        method, equals, name = (part.strip() for part in text.partition("="))
        if not (method and equals and name):
            raise UsageError(f"--label: '{text}' is not METHOD=TEXT; allowed: like consensus-gossip=Gossip")
        found[method] = name
    return found


def _fits(word: str, method: str, variant: str) -> bool:
    named = ROW.fullmatch(word)
    return named is not None and named["method"] == method and named["variant"] in (None, variant)


def _is_column(word: str, metric: str) -> bool:
    """A word names a metric, or the heading of its column."""
    entry = METRICS.get(metric)
    return word in (metric, entry.column.heading if entry is not None and entry.column is not None else metric)
