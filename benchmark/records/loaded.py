"""Does a process run what a module's file says? Compares what is loaded with the file, compiled anew."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any


def is_loaded_as_written(module: ModuleType, path: Path) -> bool:
    """Every function, class and plain value that a module's file defines is the one that is loaded.

    Line numbers, comments and docstrings do not count.
    """
    source = path.read_bytes()
    written = {code.co_qualname: code for code in _inner(compile(source, str(path), "exec"))}
    held = vars(module)
    loaded = {function.__qualname__: function for function in _functions(module)}
    if any(
        name not in written or _said(function.__code__) != _said(written[name]) for name, function in loaded.items()
    ):
        return False
    for node in ast.parse(source).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and node.name not in held:
            return False
        for name, value in _plain(node):
            if name not in held or held[name] != value:
                return False
    return True


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    """Functions and methods that a module defines, out of their decorators."""
    waiting: list[Any] = list(vars(module).values())
    seen: set[int] = set()
    while waiting:
        value = waiting.pop()
        if id(value) in seen or getattr(value, "__module__", module.__name__) != module.__name__:
            continue
        seen.add(id(value))
        if isinstance(value, type):
            waiting += vars(value).values()
        elif isinstance(value, property):
            waiting += [part for part in (value.fget, value.fset) if part is not None]
        elif isinstance(value, (staticmethod, classmethod)):
            waiting.append(value.__func__)
        elif callable(value):
            inner = inspect.unwrap(value)
            # What a class decorator wrote, as dataclasses do, is in no file.
            if isinstance(inner, FunctionType) and inner.__code__.co_filename == module.__file__:
                yield inner


def _inner(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _inner(constant)


def _said(code: CodeType) -> tuple[Any, ...]:
    """A function's code without line numbers and docstrings."""
    constants = code.co_consts
    if constants and isinstance(constants[0], str):
        constants = (None, *constants[1:])  # as without one
    inner = tuple(_said(c) if isinstance(c, CodeType) else (type(c).__name__, c) for c in constants)
    return code.co_code, code.co_names, code.co_varnames, inner


def _plain(node: ast.stmt) -> Iterator[tuple[str, Any]]:
    """Names that a statement gives plain values to, and the values."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    value = getattr(node, "value", None)
    if not targets or value is None:
        return
    try:
        plain = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError):
        return
    yield from ((target.id, plain) for target in targets if isinstance(target, ast.Name))
