"""Where only a path is meant, or a URL cannot be used, it is refused in one line."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from helpers.command_line import call

Accord = Callable[..., tuple[int, str, str]]


@pytest.fixture
def accord(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Accord:
    monkeypatch.chdir(tmp_path)
    return partial(call, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("run", "quick", "--results", "s3://b/x"), "--results: 's3://b/x' is a URL; allowed: a path on this machine"),
        (("store", "export", "s3://b/x.tar"), "ARCHIVE: 's3://b/x.tar' is a URL; allowed: a path on this machine"),
        (("buildings", "quick", "--figure", "s3://b/x"), "--figure: 's3://b/x' is a URL; allowed: a path on this"),
        (("film", "random", "x", "--to", "s3://b/x.gif"), "--to: 's3://b/x.gif' is a URL; allowed: a path on this"),
        (("run", "quick", "--root", "nothing://x"), "--root 'nothing://x': Protocol not known: nothing; allowed: a "),
        (("reproduce", "quick", "--root", "nothing://x"), "--root 'nothing://x': Protocol not known: nothing; allowed"),
        (
            ("run", "quick", "--root", "memory://x", "--launcher", "ray"),
            "--root 'memory://x': no other process sees it; allowed with it: --launcher local",
        ),
    ],
)
def test_a_url_that_cannot_be_is_refused_in_one_line(accord: Accord, words: tuple[str, ...], line: str) -> None:
    status, said, told = accord(*words)
    assert (status, said, told.count("\n")) == (2, "", 1)
    assert told.startswith(f"error: {line}")
