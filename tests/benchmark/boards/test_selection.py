"""Parts of a leaderboard, by hand-made records."""

import io

import pandas as pd
import pytest
from helpers.records import FEASIBLE, POSTPONES, record, seeds

from accord.benchmark.boards.selection import Selection, labels_from
from accord.benchmark.records.record import Record
from accord.benchmark.report.report import SuiteReport
from accord.benchmark.specs.suite import load_suite
from accord.envs.errors import UsageError

RING, STAR = "paper_seven/ring/average-0.27", "paper_seven/star/average-0.3"


@pytest.fixture(scope="module")
def records() -> list[Record]:
    gossip = [
        *seeds([3.3, 3.4, 3.5, 3.6, 3.7], optimality_gap=0.05, violation=0.0),
        *(
            record(seed=n, scenario=STAR, objective=3.3 + n, violation=0.02, optimality_gap=0.1 * n, **POSTPONES)
            for n in range(5)
        ),
    ]
    rule = [
        record("serve_now", scenario=address, objective=5.0, violation=0.3, **POSTPONES) for address in (RING, STAR)
    ]
    return [*gossip, *rule, record("oracle", objective=3.2, optimality_gap=0.0, violation=0.0, **FEASIBLE)]


def printed(records: list[Record], fmt: str = "md", *, summary: bool = False, **chosen: object) -> str:
    whole = SuiteReport(load_suite("paper"), records)
    return whole.selected(Selection(**chosen)).render(fmt, summary=summary)  # type: ignore[arg-type]


def rows(text: str) -> list[list[str]]:
    return [
        [cell.strip(" *") for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:2] == "| "
    ]


def test_rows_columns_and_names_are_chosen_in_every_format(records: list[Record]) -> None:
    chosen = {
        "methods": ["serve_now", "oracle"],
        "columns": ["objective", "violation"],
        "labels": {"serve_now": "No control"},
    }
    text = printed(records, scenarios=["ring"], **chosen)
    assert "## paper_seven/ring/average-0.27" in text
    assert "star" not in text
    assert rows(text)[0] == ["method", "variant", "sees", "needs", "verdict", "violation (%)", "objective ($/h)"]
    assert [row[0] for row in rows(text)[2:4]] == ["oracle", "No control"]
    assert "consensus-gossip" not in text
    latex = printed(records, "latex", **chosen)
    assert "No control" in latex
    assert "consensus-gossip" not in latex
    board = pd.read_csv(io.StringIO(printed(records, "csv", scenarios=["ring"], **chosen)))
    assert set(board["method"]) == {"oracle", "No control"}
    assert {"violation", "violation_low", "objective", "verdict"} <= set(board.columns)
    assert "delay" not in board.columns


def test_what_is_best_is_best_of_the_whole_table(records: list[Record]) -> None:
    worse = [
        r.model_copy(update={"spec": r.spec.model_copy(update={"method": "consensus-independent"})})
        for r in records[:5]
    ]
    worse = [r.model_copy(update={"metrics": r.metrics | {"objective": 9.0 + n}}) for n, r in enumerate(worse)]
    assert "**consensus-independent**" not in printed([*records, *worse], methods=["consensus-independent"])
    assert "**consensus-gossip**" in printed([*records, *worse], methods=["consensus-gossip"])


def test_a_summary_has_a_row_per_method_and_a_column_per_scenario(records: list[Record]) -> None:
    text = printed(records, summary=True, methods=["serve_now", "consensus-gossip"], scenarios=["star", "ring"])
    assert rows(text) == [
        ["method", f"`{STAR}`", f"`{RING}`"],
        ["-" * len(cell) for cell in text.splitlines()[1].strip("| ").split(" | ")],
        ["`serve_now`", "–, 30.0 over, postpones (0/1)", "–, 30.0 over, postpones (0/1)"],
        ["`consensus-gossip`", "20.0 [0.0, 40.0], 2.0 over, postpones (0/5)", "5.0 (5/5)"],
    ]
    table = pd.read_csv(io.StringIO(printed(records, "csv", summary=True)), keep_default_na=False)
    assert list(table.columns) == ["method", "variant", RING, STAR]
    assert table.set_index("method").loc["oracle", STAR] == ""
    assert "5.0 (5/5)" in printed(records, "latex", summary=True)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"methods": ["gossip"]}, "--methods: no run of 'gossip' here; allowed: consensus-gossip, oracle, serve_now"),
        ({"methods": ["oracle"], "scenarios": ["star"]}, "--methods: no run of 'oracle' here"),
        ({"methods": ["serve_now[fast]"]}, r"--methods: no run of 'serve_now\[fast\]' here"),
        ({"scenarios": ["torus"]}, f"--scenarios: 'torus' is in no address here; allowed: {RING}, {STAR}"),
        ({"columns": ["price"]}, "--columns: unknown column 'price'; allowed: .*objective"),
        ({"labels": {"gossip": "G"}}, "--label: no run of 'gossip' here"),
    ],
)
def test_what_is_not_there_is_named(records: list[Record], chosen: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        printed(records, **chosen)


def test_a_label_names_a_method() -> None:
    assert labels_from(["consensus-gossip=Consensus (gossip)"]) == {"consensus-gossip": "Consensus (gossip)"}
    with pytest.raises(UsageError, match="--label: 'gossip' is not METHOD=TEXT"):
        labels_from(["gossip"])
