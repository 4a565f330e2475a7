"""Every example runs as its first lines say, and the documentation is built from them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from accord.benchmark.specs.expand import runs_of
from accord.benchmark.specs.suite import load_suite

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
PRINTS = {
    "quick_start.py": "postpones 0.0",
    "own_policy.py": "(7, 2)",
    "own_method.py": "'optimality_gap': 0.1",
    "many_processes.py": "1,920,000 messages, ",
}


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_a_script_runs_and_prints_what_it_should(name: str, tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / name)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert PRINTS[name] in done.stdout


def test_every_marked_part_of_an_example_is_shown_on_a_page() -> None:
    marked = {
        f"{path.relative_to(ROOT).as_posix()}:{part}"
        for path in EXAMPLES.rglob("*.py")
        for part in re.findall(r"^ *# --8<-- \[start:(\w+)\]$", path.read_text(encoding="utf-8"), re.M)
    }
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md")]
    shown = {name for page in pages for name in re.findall(r'^--8<-- "(examples/\S+\.py:\w+)"$', page, re.M)}
    assert marked == shown
    assert marked


def test_the_suite_names_what_exists() -> None:
    suite = load_suite(str(EXAMPLES / "own_suite.yaml"))
    assert {run.method for run in runs_of(suite)} == {"oracle", "serve_now", "rule_based", "consensus-gossip"}


def test_the_notebook_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    notebook = nbformat.read(EXAMPLES / "published_runs.ipynb", as_version=4)
    NotebookClient(notebook, resources={"metadata": {"path": str(EXAMPLES)}}).execute()
    kinds = {kind for cell in notebook.cells for out in cell.get("outputs", []) for kind in out.get("data", {})}
    assert {"image/png", "text/html"} <= kinds
