"""Files that are written complete or not at all, a power cut included, and read with an error that names them."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from accord.envs.errors import UsageError

# What to do about a file that is part of a report.
RESTORE = "restore it, or remove it and write the report anew"


def write_folder(folder: Path, files: dict[str, bytes], stays: Callable[[Path], bool] = lambda kept: False) -> bool:
    """Write a folder's files so that it is complete or absent, replacing what was there.

    Of several processes that write one folder at once, the last to come stays.

    Args:
        folder: The folder.
        files: Its files by name.
        stays: What is there, a folder that holds it, is not to be replaced, also where another process has only just
            put it there.

    Returns:
        The files were written, and nothing that stays was there.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    # A process that writes a file of its own into what was moved away is in the way of its removal.
    with tempfile.TemporaryDirectory(
        prefix=f".{folder.name}-", dir=folder.parent, ignore_cleanup_errors=True
    ) as scratch:
        best = new = Path(scratch) / "new"
        new.mkdir()
        for name, content in files.items():
            create_file(new / name, content)
        _flush_folder(new)
        attempt = 0
        while True:
            try:
                best.rename(folder)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            else:
                _flush_folder(folder.parent)
                return best is new
            attempt += 1
            old = Path(scratch) / f"old-{attempt}"
            with suppress(FileNotFoundError):
                if stays(folder):
                    return False
                folder.rename(old)
                if stays(old):  # it came between the two
                    best = old


def write_file(path: Path, content: bytes) -> None:
    """Write a file so that it is complete or as before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratched = tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False)
    with _naming(path), scratched as scratch:
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


def create_file(path: Path, content: bytes) -> None:
    """Write a file that is not there, in a folder that is; of several processes that do so at once, one can.

    Raises:
        FileExistsError: it is there.
    """
    with _naming(path), path.open("xb") as file:
        file.write(content)
        file.flush()
        _flush(file.fileno())


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Where writing fails the error names the file, which a full disk does not."""
    try:
        yield
    except OSError as fault:
        fault.filename = fault.filename or str(path)
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
