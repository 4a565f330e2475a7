"""Text is read and written as UTF-8, whatever the locale of the day."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def in_the_locales_encoding(source: str) -> Iterator[str]:
    """Calls that read or write text and name no encoding."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        named = {keyword.arg: keyword.value for keyword in node.keywords}
        encoded = "encoding" in named or len(node.args) > {"read_text": 0, "write_text": 1}.get(name, 2)
        mode = ast.unparse(node.args[1]) if len(node.args) > 1 else ast.unparse(named.get("mode", ast.Constant("r")))
        if name in ("read_text", "write_text") and not encoded:
            yield f"line {node.lineno}: {name}"
        if isinstance(node.func, ast.Name) and name == "open" and "b" not in mode and not encoded:
            yield f"line {node.lineno}: open"
        if {"text", "universal_newlines"} & named.keys() and not encoded:
            yield f"line {node.lineno}: {name} of a process"


@pytest.mark.parametrize("package", ["envs", "baselines", "benchmark"])
def test_every_text_has_an_encoding(package: str) -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / package).rglob("*.py")
        if (lines := list(in_the_locales_encoding(path.read_text(encoding="utf-8"))))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("path.read_text()", True),
        ("path.read_text(encoding='utf-8')", False),
        ("path.read_text('utf-8')", False),
        ("path.write_text('a')", True),
        ("path.write_text('a', encoding='utf-8')", False),
        ("open(path)", True),
        ("open(path, 'rb')", False),
        ("subprocess.run(command, text=True)", True),
        ("subprocess.run(command, encoding='utf-8')", False),
    ],
)
def test_texts_without_an_encoding_are_seen(source: str, found: bool) -> None:
    assert bool(list(in_the_locales_encoding(source))) == found
