"""The published leaderboards as LaTeX compile and fit the page: run by `make test-latex`, which needs pdflatex."""

import re
import subprocess
from pathlib import Path
from shutil import which

import pytest

from accord.benchmark.boards.latex import COLUMN, PAGE, latex, latex_summary
from accord.benchmark.boards.leaderboard import leaderboard, read_runs
from accord.benchmark.boards.selection import Selection
from accord.benchmark.boards.summary import summarise
from accord.benchmark.boards.tables import lay_out

RESULTS = Path(__file__).resolve().parents[2] / "results"
SUITES = sorted(path.parent.name for path in RESULTS.glob("*/runs.parquet"))
MOST = 5.0  # points that a line may be too wide
END = re.compile(r"\\end\{table\*?\}")
DOCUMENT = """\\documentclass[twocolumn]{article}
\\usepackage[letterpaper,textwidth=6.75in,textheight=9in,columnsep=.25in]{geometry}
\\usepackage{booktabs,xcolor}
\\begin{document}
%s
\\end{document}
"""


def compiled(text: str, folder: Path) -> str:
    """What pdflatex says of a document with the tables, each on a page of its own."""
    assert which("pdflatex") is not None, (
        "install pdflatex with booktabs and xcolor (Debian: texlive-latex-recommended)"
    )
    alone = END.sub(r"\g<0>\n\\clearpage", text)
    (folder / "tables.tex").write_text(DOCUMENT % alone, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


def check_fits(said: str) -> None:
    assert [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", said) if float(points) > MOST] == []
    assert "too large for page" not in said
    assert "multiply defined" not in said


@pytest.mark.parametrize("suite", SUITES)
def test_a_leaderboard_fits_a_page(suite: str, tmp_path: Path) -> None:
    runs = read_runs(RESULTS / suite / "runs.parquet")
    check_fits(compiled(latex(lay_out(runs, leaderboard(runs))), tmp_path))


@pytest.mark.parametrize("suite", SUITES)
def test_a_leaderboard_fits_one_column(suite: str, tmp_path: Path) -> None:
    runs = read_runs(RESULTS / suite / "runs.parquet")
    text = latex(lay_out(runs, leaderboard(runs)), COLUMN)
    assert "table*" not in text
    check_fits(compiled(text, tmp_path))


def test_a_summary_fits_a_page(tmp_path: Path) -> None:
    runs = read_runs(RESULTS / "core" / "runs.parquet")
    check_fits(compiled(latex_summary(summarise(leaderboard(runs), runs, Selection()), "core"), tmp_path))


def test_greek_letters_and_special_characters_compile(tmp_path: Path) -> None:
    runs = read_runs(RESULTS / "core" / "runs.parquet")[:3]
    named = [
        r.model_copy(update={"spec": r.spec.model_copy(update={"variant": "λ_ν & 5 % ~ µ β ≤ {x} \\ #1"})})
        for r in runs
    ]
    for room in (PAGE, COLUMN):
        check_fits(compiled(latex(lay_out(named, leaderboard(named)), room), tmp_path))
