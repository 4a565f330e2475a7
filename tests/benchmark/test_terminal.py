"""What users named is printed as they typed it, on terminals without some characters too."""

import io
import sys

import pytest
from rich.table import Table

from accord.benchmark.terminal import plain_console, replace_unprintable


def test_names_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    for stderr in (False, True):
        console = plain_console(stderr=stderr, width=80)
        console.print("[red]x[/red] [fast] :smile: [/]")
        table = Table("[b]heading[/b]", box=None)
        table.add_row("[red]x[/red] [fast] :smile: [/]")
        console.print(table)
    said = capsys.readouterr()
    assert said.out == said.err
    words = [line.strip() for line in said.out.splitlines()]
    assert words == ["[red]x[/red] [fast] :smile: [/]", "[b]heading[/b]", "[red]x[/red] [fast] :smile: [/]"]


def test_a_terminal_without_a_character_shows_another(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="ascii"))
    replace_unprintable()
    plain_console(width=80).print("12 µs per step, λ 0.5")
    sys.stdout.flush()
    assert shown.getvalue() == b"12 ?s per step, ? 0.5\n"
