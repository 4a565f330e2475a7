"""Imports run one way: envs, then baselines, then benchmark."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "envs": {"envs"},
    "baselines": {"envs", "baselines"},
    "benchmark": {"envs", "baselines", "benchmark"},
}
OURS = {*ALLOWED, "tests"}
MODULES = sorted(path for package in ALLOWED for path in (ROOT / package).rglob("*.py"))


def ours(name: str) -> str:
    """The package of ours that a dotted name lies in, or its first word."""
    words = name.split(".")
    return words[1] if words[0] == "accord" and len(words) > 1 else words[0]


def imports(source: str, package: str) -> Iterator[tuple[int, str]]:
    """Line and package of ours of everything that a module imports, wherever in the module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, ours(alias.name)) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, package if node.level else ours(str(node.module))
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            named = node.args[0] if node.args else None
            if isinstance(named, ast.Constant) and isinstance(named.value, str):
                yield node.lineno, ours(named.value)


def test_modules_are_found() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in MODULES} == set(ALLOWED)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_import_no_package_above_their_own(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    above = OURS - ALLOWED[package]
    wrong = [f"line {line}: {name}" for line, name in imports(path.read_text(), package) if name in above]
    assert not wrong, f"{package} may import only {sorted(ALLOWED[package])} of ours; found {wrong}"


@pytest.mark.parametrize(
    "source",
    [
        "import accord.benchmark.runner",
        "from accord.benchmark import runner",
        "def f():\n    from accord.benchmark.runner import run",
        "class A:\n    def f(self):\n        import accord.benchmark as b",
        "import importlib\nimportlib.import_module('accord.benchmark.runner')",
    ],
)
def test_imports_are_seen_wherever_they_stand(source: str) -> None:
    assert "benchmark" in {name for _, name in imports(source, "envs")}
