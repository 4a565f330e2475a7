"""A digest of the code that a result went through: the same while only comments, docstrings or layout change.

Read are a module's sources and those of what it imports of Accord and of the user's own; what is installed beside them
has a version. A source that was changed after this process started may not be what the process runs, and some modules
have none (a notebook, a prompt): there the functions and classes that are loaded count.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import os
import re
import sys
import sysconfig
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import psutil

OURS = "accord"
# What is followed of Accord: the rest of the harness writes down, draws and prints.
FOLLOWED = ("accord.envs", "accord.baselines", "accord.benchmark.evaluation")
# Faces of packages, names and messages: nothing here moves a number.
WITHOUT_NUMBERS = frozenset(
    {
        *("accord", "accord.envs", "accord.baselines", "accord.benchmark.evaluation"),
        *("accord.envs.errors", "accord.envs.plugins", "accord.baselines.registry", "accord.baselines.testing"),
    }
)
MAIN = ("__main__", "__mp_main__")
_INSTALLED = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def digest_of_code(roots: Iterable[str], alone: Iterable[str] = (), without: Iterable[str] = ()) -> str:
    """Digest of modules by their dotted names and of all that they import; hex, 16 characters.

    Args:
        roots: Modules that are loaded or can be found.
        alone: Modules that count without what they import.
        without: Packages that do not count.
    """
    key = tuple(sorted(set(roots))), tuple(sorted(set(alone))), tuple(sorted(set(without)))
    digest, files = _KNOWN.get(key, ("", None))
    if files is None or any(_changed_at(path) != when for path, when in files.items()):
        digest, files = _digest(*key)
        _KNOWN[key] = digest, files
    return digest


def known_digests() -> dict[str, str]:
    """What this process worked out so far: JSON that `take_digests` hands to another one."""
    return {json.dumps(key): digest for key, (digest, files) in _KNOWN.items() if files is not None}


def take_digests(known: Mapping[str, str]) -> None:
    """Take over what the process worked out that started this one: both run the same code, and reading takes time."""
    for key, digest in known.items():
        roots, alone, without = map(tuple, json.loads(key))
        _KNOWN.setdefault((roots, alone, without), (digest, {}))


Names = tuple[str, ...]
_KNOWN: dict[tuple[Names, Names, Names], tuple[str, dict[Path, float] | None]] = {}


def _digest(roots: Names, alone: Names, without: Names) -> tuple[str, dict[Path, float] | None]:
    """A digest, and the files that it rests on by the times of their last change; None where code may yet change."""
    own = {name.partition(".")[0] for name in roots}
    found: dict[str, str] = {}
    files: dict[Path, float] = {}
    loaded = False
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found or name in WITHOUT_NUMBERS:
            continue
        path = _source_of(name)
        if path is None:
            loaded, found[name] = True, _loaded_code(sys.modules[name])
            continue
        files[path] = _changed_at(path)
        found[name], imported = _read(name, path, files[path])
        waiting += [target for target in imported if _is_followed(target, own) and not _is_in(target, without)]
    for name in alone:
        path = _source_of(name)
        assert path is not None, name
        files[path] = _changed_at(path)
        found[name], _ = _read(name, path, files[path])
    # A script is the same code under its own name and under __main__.
    lines = sorted(f"{'' if name in MAIN else name}\n{text}" for name, text in found.items())
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
    # Code that is younger than the process may be loaded anew at any time.
    return digest, None if loaded or any(when > _STARTED for when in files.values()) else files


def _changed_at(path: Path) -> float:
    return path.stat().st_mtime if path.exists() else 0.0


def _read(name: str, path: Path, changed_at: float) -> tuple[str, tuple[str, ...]]:
    """A module's code without comments and docstrings, and the names of what it imports."""
    text, imported = _text_of(name, path, changed_at)
    if changed_at > _STARTED and name in sys.modules:
        return _loaded_code(sys.modules[name]), imported
    return text, imported


@cache
def _text_of(name: str, path: Path, changed_at: float) -> tuple[str, tuple[str, ...]]:
    tree = ast.parse(path.read_bytes())
    imported = tuple(dict.fromkeys(_imports(tree, name, is_package=path.name == "__init__.py")))
    return ast.unparse(_bare(tree)), imported


def _source_of(name: str) -> Path | None:
    if name in MAIN:
        file = getattr(sys.modules.get(name), "__file__", None)
    else:
        found = _find(name)
        file = found.origin if found is not None and found.has_location else None
    return Path(file) if file and file.endswith(".py") and Path(file).is_file() else None


@cache
def _find(name: str) -> ModuleSpec | None:
    """Where a module is; None where there is none, as for a function that is imported from a module."""
    loaded = sys.modules.get(name)
    if loaded is not None:
        return getattr(loaded, "__spec__", None)
    try:
        return importlib.util.find_spec(name)
    except (ImportError, AttributeError, ValueError):  # its parent is a module, not a package
        return None


def _is_followed(name: str, own: set[str]) -> bool:
    """A module of Accord, of a root's own package, or one that lies where users keep theirs."""
    top = name.partition(".")[0]
    if top == OURS:
        return _is_in(name, FOLLOWED) and _source_of(name) is not None
    if top in own:
        return _source_of(name) is not None
    if top in sys.stdlib_module_names or top in MAIN:
        return False
    path = _source_of(name) if _find(top) is not None else None
    return path is not None and not str(path).startswith(_INSTALLED)


def _is_in(name: str, packages: Iterable[str]) -> bool:
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


def _imports(tree: ast.Module, name: str, *, is_package: bool) -> Iterator[str]:
    """Dotted names of everything that is imported anywhere in a module, modules or what is in them."""
    package = name if is_package else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _bare(tree: ast.Module) -> ast.Module:
    """Without docstrings and other bare words; what only a script's own call does is left out too."""
    tree.body = [node for node in tree.body if not _is_main_guard(node)]
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [part for part in body if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))]
            node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
    return tree


def _is_main_guard(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("__name__ == '__main__'", "'__main__' == __name__")


def _loaded_code(module: ModuleType) -> str:
    """The functions and classes that a module defines, and the plain values that they name."""
    held = {name: value for name, value in vars(module).items() if name[:2] != "__"}
    own = {n: v for n, v in held.items() if getattr(v, "__module__", None) == module.__name__ and callable(v)}
    text = "\n".join(f"{name} {_described(own[name], module.__name__)}" for name in sorted(own))
    named = set(re.findall(r"\w+", text)) & (held.keys() - own.keys())
    return "\n".join([text, *(f"{name} {_described(held[name], module.__name__)}" for name in sorted(named))])


def _described(value: Any, module: str) -> str:
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    if isinstance(value, property):
        return " ".join(_described(part, module) for part in (value.fget, value.fset) if part)
    if isinstance(value, FunctionType):
        return _without_addresses(
            f"{_bytecode(value.__code__, value.__doc__)} {value.__defaults__!r} {value.__kwdefaults__!r}"
        )
    if isinstance(value, type) and value.__module__ == module:
        inside = {name: part for name, part in vars(value).items() if name[:2] != "__" or callable(part)}
        members = [f"{name} {_described(inside[name], '')}" for name in sorted(inside)]
        return "\n".join([", ".join(base.__qualname__ for base in value.__bases__), *members])
    plain = (bool, int, float, complex, str, bytes, tuple, list, dict, type(None))
    return _without_addresses(repr(value)) if isinstance(value, plain) else type(value).__qualname__


def _without_addresses(text: str) -> str:
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def _bytecode(code: CodeType, docstring: str | None = None) -> str:
    constants: Sequence[Any] = code.co_consts
    if docstring is not None and constants and constants[0] == docstring:
        constants = (None, *constants[1:])  # as without one
    inner = [_bytecode(c) if isinstance(c, CodeType) else _constant(c) for c in constants]
    return f"{code.co_code.hex()} {code.co_names} {inner}"


def _constant(value: Any) -> str:
    """A constant in words; the order of a set of words differs from process to process."""
    return repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)


def _start_of_process() -> float:
    """When this process began, in seconds since the epoch, to a hundredth of a second."""
    try:
        ticks = float(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError):  # not Linux, where this is as exact
        return psutil.Process().create_time()
    return time.time() - age


# The kernel counts in hundredths of a second, and nothing is imported before the interpreter is up.
_STARTED = _start_of_process() + 0.02
