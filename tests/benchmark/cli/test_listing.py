"""Tables of what there is: Markdown through a pipe, whole words on a terminal of 80 columns."""

from pathlib import Path

import pytest
from helpers.command_line import call
from rich.cells import cell_len

from accord.baselines.registry import METHODS, REFERENCES, make_method
from accord.benchmark.cli.main import Lines
from accord.benchmark.evaluation.metrics import METRICS
from accord.benchmark.specs.suite import suite_names

Say = tuple[int, str, str]


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("suites", suite_names()),
        ("methods", [*METHODS, *REFERENCES]),
        ("districts", ["campus_seven/…", "synthetic_N/…", "lbf/8x8-2p-2f-coop"]),
        ("metrics", list(METRICS)),
    ],
)
def test_a_list_is_markdown_through_a_pipe_and_loses_nothing_on_a_terminal(
    command: str, names: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said, _ = call(monkeypatch, capsys, command)
    first = [line.split("|")[1].strip() for line in said.splitlines() if line.startswith("| ")]
    assert status == 0
    assert set(names) <= set(first[2:])
    status, drawn, _ = call(monkeypatch, capsys, command, terminal=80)
    assert status == 0
    assert max(map(cell_len, drawn.splitlines())) <= 80
    assert "…" not in drawn.replace("/…", "").replace("…/", "")
    assert "|" not in drawn


def test_list_shows_all_of_them(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _, said, _ = call(monkeypatch, capsys, "list")
    assert [line for line in said.splitlines() if line.startswith("## ")] == [
        "## Suites",
        "## Methods",
        "## Districts and other scenarios",
        "## Metrics",
    ]


def test_settings_show_what_a_method_runs_with(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, said, _ = call(monkeypatch, capsys, "settings", "consensus-gossip")
    lines = [line.split("|") for line in said.splitlines() if line.startswith("| ")]
    rows = {cells[1].strip(): [cell.strip() for cell in cells[2:6]] for cells in lines}
    alpha = make_method("consensus-gossip").config.model_dump()["dual"]["alpha"]
    assert rows["dual.alpha"][:3] == [f"{alpha:g}", "mean prices per unit of excess", "number ≥ 0"]
    _, drawn, _ = call(monkeypatch, capsys, "settings", "consensus-gossip", terminal=80)
    assert max(map(cell_len, drawn.splitlines())) <= 80
    assert "lambda_start" in drawn
    assert call(monkeypatch, capsys, "settings", "serve_now")[1] == "serve_now has no settings\n"
    status, _, told = call(monkeypatch, capsys, "settings", "consensus-gosip")
    assert status == 2
    assert "METHOD: unknown method 'consensus-gosip'; did you mean 'consensus-gossip'?" in told


def test_a_broken_file_is_one_line_and_the_rest_works(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = tmp_path / "broken_plug_in.py"
    broken.write_text("a = 1\nraise KeyError('nothing here')\n")
    status, said, _ = call(monkeypatch, capsys, "metrics", "--import", str(broken))
    assert status == 0
    assert "objective" in said
    (told,) = caplog.records
    assert told.getMessage() == f"--import: {broken} is passed over: KeyError: 'nothing here' (line 2)"
    Lines().emit(told)
    assert capsys.readouterr().err == f"warning: {told.getMessage()}\n"


@pytest.mark.parametrize("content", [b"", b"\xff", b"description: [", b"[1, 2]"])
def test_a_damaged_suite_of_ones_own_does_not_hide_the_others(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "mine.yaml").write_bytes(content)
    status, said, _ = call(monkeypatch, capsys, "suites", "--root", str(tmp_path))
    assert status == 0
    assert {"| core ", "| mine "} <= {line[:7] for line in said.splitlines()}
