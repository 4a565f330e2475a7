"""What outsiders add, as entry points of a package or as a file of one's own.

A broken one costs a line and nothing else.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
import traceback
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from accord.envs.errors import UsageError

log = logging.getLogger("accord")


def loaded(group: str) -> Iterator[tuple[str, Any]]:
    """Name and object of every entry point of a group, in the order of names; a warning for one that does not load."""
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        try:
            found = point.load()
        except (Exception, SystemExit) as fault:
            refuse(group, point.name, f"{point.value} cannot be loaded: {reason(fault)}")
        else:
            yield point.name, found


def refuse(group: str, name: str, why: str) -> None:
    """Warn that an entry point is passed over."""
    log.warning("entry point '%s' in %s is passed over: %s", name, group, why)


def import_files(paths: Sequence[Path]) -> list[Path]:
    """Import Python files for what they register, see `import_file`; a warning for one that does not load.

    Returns:
        The files that loaded, absolute, for processes that have to import them too.

    Raises:
        UsageError: no such file, not a Python file, or its name is that of another module.
    """
    done = []
    for path in (path.resolve() for path in paths):
        try:
            import_file(path, "--import")
        except UsageError:
            raise
        except (Exception, SystemExit) as fault:
            log.warning("--import: %s is passed over: %s", path, reason(fault, path))
        else:
            done.append(path)
    return done


def import_file(path: Path, argument: str) -> ModuleType:
    """Import a Python file as a module that is named after it.

    Its folder is where it finds what it imports, as in a script. A file that is imported already is not imported again.

    Args:
        path: The file.
        argument: What named it, for messages.

    Raises:
        UsageError: no such file, not a Python file, or its name is that of another module.
        Exception: whatever it raises.
    """
    path = path.resolve()
    _check(path, argument)
    if path.stem in sys.modules:
        return sys.modules[path.stem]
    folder = str(path.parent)
    is_new = folder not in sys.path
    if is_new:
        sys.path.append(folder)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        if is_new:
            sys.path.remove(folder)
        raise
    return module


def reason(fault: BaseException, path: Path | None = None) -> str:
    """What went wrong in one line, and in which line of a file."""
    text = " ".join(str(fault).split())
    said = f"{type(fault).__name__}: {text}" if text else type(fault).__name__
    frames = traceback.extract_tb(fault.__traceback__)
    lines = [frame.lineno for frame in frames if path is not None and frame.filename == str(path)]
    return f"{said} (line {lines[-1]})" if lines else said


def _check(path: Path, argument: str) -> None:
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise UsageError(f"{argument}: {path} is no Python module; allowed: files like my_method.py")
    if not path.is_file():
        raise UsageError(f"{argument}: {path}: no such file")
    known = sys.modules.get(path.stem)
    found = importlib.util.find_spec(path.stem) if known is None else None
    if known is None and found is None:
        return
    origin = getattr(known, "__file__", None) if known is not None else getattr(found, "origin", None)
    if origin is None or Path(origin).resolve() != path:
        raise UsageError(f"{argument}: {path} has the name of another module, '{path.stem}'; give it another one")
