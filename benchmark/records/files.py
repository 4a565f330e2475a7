"""Files that are written complete or not at all, a power cut included, and read with an error that names them.

In a local folder by what its file system guarantees, behind a URL by what `Url` does.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from accord.benchmark.places import Place
from accord.benchmark.processes import is_running, machine_word
from accord.benchmark.urls import Url
from accord.envs.errors import UsageError

# What to do about a file that is part of a report.
RESTORE = "restore it, or remove it and write the report anew"
WRITER = re.compile(r"~(\d+)-([0-9a-f]{8})-")


def write_folder(folder: Place, files: dict[str, bytes], stays: Callable[[Place], bool] = lambda kept: False) -> bool:
    """Write a folder's files so that it is complete or absent, replacing what was there.

    Of several processes that write one folder at once, the last to come stays; behind a URL one may at a time.

    Args:
        folder: The folder.
        files: Its files by name. Behind a URL the first is written last: where it is not, the folder is absent.
        stays: What is there, a folder that holds it, is not to be replaced, also where another process has only just
            put it there.

    Returns:
        The files were written, and nothing that stays was there.
    """
    if isinstance(folder, Url):
        return _replace_behind_url(folder, files, stays)
    assert isinstance(folder, Path)
    make_folder(folder.parent)
    # A process that writes a file of its own into what was moved away is in the way of its removal.
    with tempfile.TemporaryDirectory(
        prefix=scratch_name(folder.name), dir=folder.parent, ignore_cleanup_errors=True
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


def _replace_behind_url(folder: Url, files: dict[str, bytes], stays: Callable[[Place], bool]) -> bool:
    """See `write_folder`: without renaming, a folder is complete while its first file is there."""
    if stays(folder):
        return False
    first = next(iter(files))
    (folder / first).unlink(missing_ok=True)
    for old in folder.files():
        old.unlink(missing_ok=True)
    for name in reversed(files):
        (folder / name).write(files[name])
    return True


def write_file(path: Place, content: bytes) -> None:
    """Write a file so that it is complete or as before."""
    if isinstance(path, Url):
        path.write(content)
        return
    assert isinstance(path, Path)
    make_folder(path.parent)
    prefix = scratch_name(path.name)
    with _naming(path), tempfile.NamedTemporaryFile(dir=path.parent, prefix=prefix, delete=False) as scratch:
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


def create_file(path: Place, content: bytes) -> None:
    """Write a file that is not there, in a folder that is; of several processes that do so at once, one can.

    Raises:
        FileExistsError: it is there.
    """
    if isinstance(path, Url):
        path.create(content)
        return
    assert isinstance(path, Path)
    with _naming(path), path.open("xb") as file:
        try:
            file.write(content)
            file.flush()
            _flush(file.fileno())
        except BaseException:  # half a lease would be taken for one that is about to be written
            path.unlink()
            raise


def make_folder(folder: Place) -> None:
    """Make a folder that may be there; behind a URL there are none without files."""
    if isinstance(folder, Path):
        folder.mkdir(parents=True, exist_ok=True)


def rename(path: Place, name: str) -> None:
    """Give a file or a folder another name where it lies, in the place of what has it.

    Raises:
        FileNotFoundError: it is not there.
    """
    if isinstance(path, Url):
        path.move(path.parent / name)
        return
    assert isinstance(path, Path)
    target = path.with_name(name)
    if target.is_dir():
        shutil.rmtree(target)
    path.replace(target)


def remove(place: Place) -> None:
    """Remove a file or a folder, as far as it is still there."""
    if isinstance(place, Url):
        for file in place.files():
            file.unlink(missing_ok=True)
        return
    assert isinstance(place, Path)
    if place.is_dir():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)


def scratch_name(name: str) -> str:
    """The beginning of a hidden name for what this process is writing, by which others see whose it is."""
    return f".{name}~{os.getpid()}-{machine_word()}-"


def remove_scratch(root: Place) -> None:
    """Remove what processes of this machine that are no more were writing, up to two folders below one."""
    if isinstance(root, Path):  # behind a URL a write leaves nothing
        for pattern in (".*", "*/.*", "*/*/.*"):
            for path in root.glob(pattern):
                writer = WRITER.search(path.name)
                if writer and writer[2] == machine_word() and not is_running(int(writer[1])):
                    remove(path)


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
def reading(path: Place, remedy: str) -> Iterator[None]:
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
