"""The command line, called in this process."""

import sys

import pytest

from accord.benchmark.cli import main, options


def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    monkeypatch.setattr(sys, "argv", ["accord", *words])
    for console in (options.out, options.err):
        monkeypatch.setattr(console, "_width", 200)
    status = 0
    try:
        main()
    except SystemExit as ended:
        status = int(ended.code or 0)
    said = capsys.readouterr()
    return status, said.out, said.err
