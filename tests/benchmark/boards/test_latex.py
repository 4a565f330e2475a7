"""LaTeX tables for one column of a page; that all of them fit is tested with pdflatex, see tests/latex."""

import pytest
from helpers.records import FEASIBLE, POSTPONES, SCENARIO, record

from accord.benchmark.boards.selection import Selection
from accord.benchmark.boards.tables import SEES
from accord.benchmark.evaluation.context import Value
from accord.benchmark.report.report import SuiteReport
from accord.benchmark.specs.suite import load_suite
from accord.envs.errors import UsageError

LONG = "consensus-primal_dual_symmetric"
MEASURED: dict[str, Value] = {"delay": 1.5, "violation": 0.02}


@pytest.fixture
def report() -> SuiteReport:
    runs = [record(LONG, seed, objective=3.3, optimality_gap=0.05, **FEASIBLE, **MEASURED) for seed in (0, 1)]
    slow = record(LONG, 2, objective=3.4, optimality_gap=0.06, **POSTPONES, **MEASURED)
    return SuiteReport(load_suite("core"), [*runs, slow])


def narrow(report: SuiteReport) -> list[str]:
    """Lines between the rules of the only table."""
    return report.render("latex", narrow=True).partition("\\toprule\n")[2].partition("\\bottomrule")[0].splitlines()


def test_a_table_for_one_column_has_method_gap_violation_and_verdict(report: SuiteReport) -> None:
    heads, units, _, *body = narrow(report)
    assert heads == "method & gap & violation & feasible \\\\"
    assert units == " & \\% & \\% &  \\\\"
    assert body[0] == "consensus-primal\\_dual\\_ & 5.0 & 2.0 & 2/3 \\\\"
    assert body[1] == "\\tiny symmetric & 5.0 &  & \\tiny postpones 1/3 \\\\"
    text = report.render("latex", narrow=True)
    assert "\\begin{table}" in text
    assert "table*" not in text
    assert "What a method sees" not in text
    assert f"\n{SEES} " not in text


def test_a_whole_page_has_every_column_and_is_the_default(report: SuiteReport) -> None:
    text = report.render("latex")
    assert "\\begin{table*}" in text
    assert f"method & {SEES} & feasible & gap & violation & delay" in text
    assert "What a method sees" in text


def test_chosen_columns_take_the_place_of_those_of_one_column(report: SuiteReport) -> None:
    chosen = report.selected(Selection(scenarios=[SCENARIO], columns=["delay"]))
    assert narrow(chosen)[0] == "method & delay & feasible \\\\"


def test_the_worst_seed_is_named_in_lines_of_its_own() -> None:
    runs = [
        record(seed=seed, objective=3.3, violation=over, optimality_gap=0.05, **FEASIBLE)
        for seed, over in enumerate([0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.3, 0.4])
    ]
    _, _, _, *body = narrow(SuiteReport(load_suite("core"), runs))
    cells = [line.split(" & ")[2] for line in body]
    assert cells == ["\\textbf{5.0}", "\\tiny [2.0, 30.0]", "\\tiny worst: 40.0", "\\tiny seed 8"]


@pytest.mark.parametrize(("fmt", "summary"), [("md", False), ("csv", False), ("latex", True)])
def test_one_column_is_for_latex_tables_alone(report: SuiteReport, fmt: str, summary: bool) -> None:
    with pytest.raises(UsageError, match="--narrow: only with --format latex and without --summary"):
        report.render(fmt, summary=summary, narrow=True)
