"""A digest of the code that a result went through: the same while only comments, docstrings or layout change.

Read are the sources of modules and of what they import of Accord and of the user's own, and the versions of what is
installed beside them. What counts is what this process runs: a file that is changed after it was loaded and read counts
as it was. Where what runs is not known (a notebook's cells have no file, and a file can change between the two), the
digest is one that no other call gives, so that nothing is taken for the same.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import secrets
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.metadata import packages_distributions, version
from pathlib import Path

from accord.baselines.base import source_name
from accord.baselines.registry import METHODS, TUNED
from accord.benchmark.records.loaded import runs

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
CHECKERS = frozenset({"pydantic", "psutil", "yaml"})  # installed, and without numbers too
ANY_METHOD = frozenset({"accord.baselines.registry.make_method", "accord.baselines.registry.METHODS"})
INSTALLED = frozenset({"site-packages", "dist-packages"})

UNREADABLE = "unknown"  # begins the digest of code that could not be read

Names = tuple[str, ...]
Key = tuple[Names, Names, Names]
# When a module's file was written, its code without comments and docstrings, and the names of what it imports.
Read = tuple[float, str, Names]
Files = dict[str, tuple[str, float]]  # by a module's name its path, and when what it was loaded from was written


def digest_of_code(roots: Iterable[str], alone: Iterable[str] = (), without: Iterable[str] = ()) -> str:
    """Digest of modules by their dotted names and of all that they import; hex.

    Args:
        roots: Modules that are loaded or can be found.
        alone: Modules that count without what they import.
        without: Packages that do not count.
    """
    # A script has another name in a worker.
    named = {"__main__" if name == "__mp_main__" else name for name in roots}
    key = tuple(sorted(named)), tuple(sorted(set(alone))), tuple(sorted(set(without)))
    known = _KNOWN.get(key)
    if known is not None and all(runs(name, when, _changed_at(path)) for name, (path, when) in known[1].items()):
        return known[0]
    found = _read_all(*key)
    if found is None:
        return f"{UNREADABLE} {secrets.token_hex(8)}"
    text, files = found
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    _KNOWN[key] = digest, files
    return digest


def known_digests() -> str:
    """What this process worked out so far, as JSON, for the processes that it starts: reading takes time."""
    return json.dumps(list(_KNOWN.items()))


def take_digests(known: str) -> None:
    """Take over what the starting process worked out; it holds as far as this process loaded the same files."""
    for (roots, alone, without), (digest, files) in json.loads(known):
        _KNOWN.setdefault((tuple(roots), tuple(alone), tuple(without)), (digest, files))


_KNOWN: dict[Key, tuple[str, Files]] = {}
_READ: dict[str, Read] = {}  # by a module's name


def _read_all(roots: Names, alone: Names, without: Names) -> tuple[str, Files] | None:
    """All that counts as one text, and its files; None where something else may be loaded than the files say."""
    own = {name.partition(".")[0] for name in roots}
    found: dict[str, str] = {}
    files: Files = {}
    waiting, packages = list(roots), set[str]()
    while waiting or not set(alone) <= found.keys():
        name = waiting.pop() if waiting else next(name for name in alone if name not in found)
        if name in found or name in WITHOUT_NUMBERS:
            continue
        path = _source_of(name)
        read = None if path is None else _read(name, path)
        if read is None:
            return None
        when, found[name], imported = read
        files[name] = str(path), when
        if name in alone:
            continue
        waiting += [target for target in imported if _is_followed(target, own) and not _is_in(target, without)]
        packages |= {target.partition(".")[0] for target in imported}
        if ANY_METHOD & set(imported):
            waiting += [entry.method.__module__ for entry in METHODS.values()]
            found["tuned settings"] = json.dumps(TUNED, sort_keys=True)
    installed = _versions(packages - own - {OURS})
    return "\n".join(sorted([*installed, *(f"{source_name(name)}\n{text}" for name, text in found.items())])), files


def _changed_at(path: str) -> float:
    """When a file or its place in a folder last changed; 0 where it is gone."""
    try:
        stat = Path(path).stat()
    except OSError:
        return 0.0
    return max(stat.st_mtime, stat.st_ctime)


def _read(name: str, path: Path) -> Read | None:
    """What this process runs of a module, also where its file has changed since; None where that is not known."""
    now = _changed_at(str(path))
    known = _READ.get(name)
    if known is not None and runs(name, known[0], now):
        return known
    if not runs(name, now, now):
        return None
    tree = ast.parse(path.read_bytes())
    imported = tuple(dict.fromkeys(_imports(tree, name, is_package=path.name == "__init__.py")))
    _READ[name] = now, ast.unparse(_bare(tree)), imported
    return _READ[name]


def _source_of(name: str) -> Path | None:
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if module is None:
        found = _find(name)
        file = found.origin if found is not None and found.has_location else None
    return Path(file) if file and file.endswith(".py") and Path(file).is_file() else None


@cache
def _find(name: str) -> ModuleSpec | None:
    """Where a module that is not loaded is; None where there is none, as for a function imported from a module."""
    try:
        return importlib.util.find_spec(name)
    except Exception:  # whatever a parent package raises when it is loaded: then nothing of it runs
        return None


def _is_followed(name: str, own: set[str]) -> bool:
    """A module of Accord, of a root's own package, or one that lies where users keep theirs."""
    top = name.partition(".")[0]
    if top == OURS:
        return _is_in(name, FOLLOWED) and _source_of(name) is not None
    if top in own:
        return _source_of(name) is not None
    return not _is_installed(top) and _source_of(name) is not None


@cache
def _is_installed(top: str) -> bool:
    """A package's first name belongs to Python or to what is installed, or to nothing."""
    if top in sys.stdlib_module_names or source_name(top) != top:
        return True
    loaded = sys.modules.get(top)
    spec = _find(top) if loaded is None else getattr(loaded, "__spec__", None)
    if spec is None:
        return True
    places = [spec.origin or "", *(spec.submodule_search_locations or ())]
    library = sysconfig.get_paths()["stdlib"]
    return any(INSTALLED & set(Path(place).parts) or place.startswith(library) for place in places)


def _versions(tops: set[str]) -> list[str]:
    """`name==version` of the distributions that installed packages come from."""
    names = {name for top in tops - CHECKERS if _is_installed(top) for name in _distributions().get(top, ())}
    return sorted(f"{name}=={version(name)}" for name in names)


@cache
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


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
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            named = node.args[0] if node.args else None
            if isinstance(named, ast.Constant) and isinstance(named.value, str):
                yield named.value


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
