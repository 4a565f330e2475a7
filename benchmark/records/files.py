"""Files that are written complete or not at all, a power cut included, and read with an error that names them."""

from __future__ import annotations

import errno
import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from accord.envs.errors import UsageError

# What to do about a file that is part of a report.
RESTORE = "restore it, or remove it and write the report anew"


def write_folder(folder: Path, files: dict[str, bytes]) -> None:
    """Write a folder's files so that it is complete or absent, replacing what was there.

    Of several processes that write one folder at once, the last to come stays.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        new = Path(scratch) / "new"
        new.mkdir()
        for name, content in files.items():
            with (new / name).open("wb") as file:
                file.write(content)
                _flush(file.fileno())
        _flush_folder(new)
        for attempt in itertools.count():
            with suppress(FileNotFoundError):
                folder.rename(Path(scratch) / f"old-{attempt}")
            try:
                new.rename(folder)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # another process put its own there
                    raise
            else:
                _flush_folder(folder.parent)
                return


def write_file(path: Path, content: bytes) -> None:
    """Write a file so that it is complete or as before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as scratch:
        try:
            scratch.write(content)
            scratch.flush()
            _flush(scratch.fileno())
            scratch.close()
            Path(scratch.name).chmod(0o644)
            Path(scratch.name).replace(path)
            _flush_folder(path.parent)
        except BaseException:
            Path(scratch.name).unlink(missing_ok=True)
            raise


def _flush(descriptor: int) -> None:
    """Without it a power cut may leave a file's name and not its content."""
    with suppress(OSError):  # some network file systems cannot
        os.fsync(descriptor)


def _flush_folder(folder: Path) -> None:
    """The names in a folder are content too."""
    if os.name == "nt":  # folders are no files there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _flush(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def reading(path: Path, remedy: str) -> Iterator[None]:
    """Read a file: whatever is wrong with its content is one line that names it.

    Args:
        path: The file.
        remedy: What to do about it, to end the line with.

    Raises:
        UsageError: the content is cut short, or not what it should be.
    """
    try:
        yield
    except (UsageError, MemoryError):
        raise
    except Exception as fault:  # each library has exceptions of its own for a file that was cut
        text = " ".join(str(fault).split()) or "no message"
        raise UsageError(f"{path}: cannot be read ({type(fault).__name__}: {text}); {remedy}") from None


def read_traces(path: Path) -> dict[str, np.ndarray]:
    """Arrays for figures; none where the file is missing.

    Raises:
        UsageError: the file cannot be read.
    """
    if not path.exists():
        return {}
    with reading(path, "remove its folder, and the run is carried out again"), np.load(path) as arrays:
        return dict(arrays)
