"""The command line, called in this process."""

import sys

import pytest

from accord.benchmark.cli import main, options


def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str, terminal: int | None = None
) -> tuple[int, str, str]:
    """Exit status, standard output, standard error; as on a terminal of so many columns, or through a pipe."""
    monkeypatch.setattr(sys, "argv", ["accord", *words])
    for console in (options.out, options.err):
        monkeypatch.setattr(console, "_width", terminal or 200)
        monkeypatch.setattr(console, "_force_terminal", terminal is not None)
        monkeypatch.setattr(console, "_color_system", None)
    status = 0
    try:
        main()
    except SystemExit as ended:
        status = int(ended.code or 0)
    said = capsys.readouterr()
    return status, said.out, said.err
