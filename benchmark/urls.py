"""A store's files behind a URL of fsspec, by the names that `Path` gives to what is done with them.

Credentials and settings are fsspec's own, from the environment.
"""

from __future__ import annotations

import errno
import inspect
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

from accord.envs.errors import UsageError

EXTRAS = {"s3": "s3", "s3a": "s3"}  # of Accord, by the protocol that needs it
LONGEST = 300  # characters of another package's message
THERE = ("PreconditionFailed", "ConditionalRequestConflict")  # S3's codes for a file that is to be created and is there
PASSWORD = re.compile(r"[^/]*:[^/]*@")
_creating = threading.Lock()


@dataclass(frozen=True, order=True)
class Url:
    """A file, or all files whose URLs begin with it and a slash; methods that `Path` has do what they do there.

    A file is written whole, and who reads sees what was written last. A failure is an OSError that names the URL; where
    it is FileNotFoundError or FileExistsError, it means that.

    Attributes:
        protocol: Of fsspec, like s3.
        path: What comes after `://`, without a slash at its end.
    """

    protocol: str
    path: str

    def __str__(self) -> str:
        return f"{self.protocol}://{self.path}"

    @property
    def name(self) -> str:
        """The last word."""
        return self.path.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The last word without its suffix."""
        return PurePosixPath(self.name).stem

    @property
    def parent(self) -> Url:
        """The folder."""
        return Url(self.protocol, self.path.rpartition("/")[0])

    def __truediv__(self, name: str, /) -> Url:
        return Url(self.protocol, f"{self.path}/{name}")

    def absolute(self) -> Url:
        """Itself: a URL means the same everywhere."""
        return self

    def relative_to(self, other: Url, /) -> PurePosixPath:
        """The words that lead here from another."""
        return PurePosixPath(self.path).relative_to(other.path)

    def exists(self) -> bool:
        """It is a file, or there are some in it."""
        return bool(self._kind())

    def is_file(self) -> bool:
        """It is a file."""
        return self._kind() == "file"

    def read_bytes(self) -> bytes:
        """What the file holds."""
        with self._opened() as (system, path):
            content: bytes = system.cat_file(path)
            return content

    def read_text(self, encoding: str) -> str:
        """The same as text."""
        return self.read_bytes().decode(encoding)

    def glob(self, pattern: str, /) -> list[Url]:
        """The files in it whose words match those of a pattern, in order."""
        wanted = pattern.split("/")
        plain = next(n for n, word in enumerate(wanted) if n == len(wanted) - 1 or set(word) & set("*?["))
        found = [(file, file.relative_to(self).parts) for file in self._at(wanted[:plain]).files()]
        return [f for f, words in found if len(words) == len(wanted) and all(map(fnmatchcase, words, wanted))]

    def unlink(self, missing_ok: bool) -> None:
        """Remove the file."""
        try:
            with self._opened() as (system, path):
                system.rm_file(path)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def files(self) -> list[Url]:
        """Every file in it, however deep, in order; itself where it is one."""
        with self._opened() as (system, path):
            found = system.find(path)
        return sorted(Url(self.protocol, f"{self.path}{name.removeprefix(path)}") for name in found)

    def write(self, content: bytes) -> None:
        """Write the file, in the place of one that is there."""
        with self._opened() as (system, path):
            if not _is_exclusive(system):  # it has folders
                system.makedirs(system._parent(path), exist_ok=True)
            system.pipe_file(path, content)

    def create(self, content: bytes) -> None:
        """Write the file, which is not there; of several processes that do so at once one can, see `is_exclusive`.

        Raises:
            FileExistsError: it is there and holds something else: the same may be of a first attempt of this process
                whose answer was lost.
        """
        try:
            self._create(content)
        except FileExistsError:
            try:
                if self.read_bytes() == content:
                    return
            except FileNotFoundError:
                pass
            raise

    def move(self, target: Url) -> None:
        """Take the place of another, file by file: of a folder what comes first in order is gone first."""
        for old in target.files():
            old.unlink(missing_ok=True)
        for file in self.files():
            Url(self.protocol, f"{target.path}{file.path.removeprefix(self.path)}").write(file.read_bytes())
            file.unlink(missing_ok=True)

    def modified(self) -> float | None:
        """When the file was written, in seconds since 1970; None where its file system does not say."""
        with self._opened() as (system, path):
            try:
                return float(system.modified(path).timestamp())
            except NotImplementedError:
                return None

    def is_exclusive(self) -> bool:
        """Of several processes that create one file here at once one alone can, as far as two attempts show."""
        with self._opened() as (system, _):
            if not _is_exclusive(system):
                return False
        probe = self / f".probe-{uuid.uuid4().hex}"
        try:
            probe._create(b"")
            probe._create(b"")
        except FileExistsError:
            return True
        finally:
            probe.unlink(missing_ok=True)
        return False

    def check(self) -> None:
        """See that files can be listed here.

        Raises:
            UsageError: it is no URL of one file system, or that does not answer; the line says what helps.
        """
        helps = "allowed: a folder, or one URL that fsspec opens, like s3://bucket/prefix"
        if login := PASSWORD.match(self.path):
            shown = f"{self.protocol}://…{self.path[login.end() - 1 :]}"
            raise UsageError(f"--root {shown!r}: holds a password; allowed: credentials in the environment")
        if "::" in str(self) or not self.path.strip("/"):
            raise UsageError(f"--root {str(self)!r}: names no place of one file system; {helps}")
        try:
            (self / ".nothing").files()  # only a bucket that is missing is refused
        except OSError as fault:
            cause = fault.__cause__ or fault
            if isinstance(cause, ImportError) and self.protocol in EXTRAS:
                helps = f"pip install 'accord-bench[{EXTRAS[self.protocol]}]'"
            elif isinstance(cause, FileNotFoundError):
                helps = "make it first, or correct the name"
            elif isinstance(cause, PermissionError) or "redentials" in str(cause):
                helps = "the environment must hold credentials that may list, read and write there, as fsspec reads it"
            elif not isinstance(cause, ImportError | ValueError):
                helps = "see that the network reaches it, and what the environment says of it"
            raise UsageError(f"--root {str(self)!r}: {_line(cause)}; {helps}") from None

    def _create(self, content: bytes) -> None:
        with _creating, self._opened() as (system, path):
            if _is_exclusive(system):
                system.pipe_file(path, content, mode="create")
                return
            if system.exists(path):
                raise FileExistsError
        self.write(content)

    def _at(self, words: list[str]) -> Url:
        return Url(self.protocol, "/".join([self.path, *words]))

    def _kind(self) -> str:
        """What fsspec says that it is: file or directory; empty where it is nothing."""
        try:
            with self._opened() as (system, path):
                return str(system.info(path)["type"])
        except FileNotFoundError:
            return ""

    @contextmanager
    def _opened(self) -> Iterator[tuple[Any, str]]:
        """Its file system, and its name there; what another package raises is an OSError with the URL."""
        try:
            from fsspec.core import url_to_fs  # late: a folder needs none of it

            system, path = url_to_fs(str(self))
            system.dircache.use_listings_cache = False  # others write too
            yield system, path
        except MemoryError:
            raise
        except Exception as fault:  # each file system has exceptions of its own
            number = getattr(fault, "errno", None) or errno.EIO
            answer = getattr(fault.__cause__, "response", None) or {}
            if isinstance(fault, FileExistsError) or answer.get("Error", {}).get("Code") in THERE:
                number = errno.EEXIST
            elif isinstance(fault, FileNotFoundError):
                number = errno.ENOENT
            raise OSError(number, _line(fault), str(self)) from fault


def _is_exclusive(system: Any) -> bool:
    """A file system creates files for one process alone: one of objects, without folders, whose own put says so."""
    from fsspec.asyn import AsyncFileSystem
    from fsspec.spec import AbstractFileSystem

    put = type(system)._pipe_file if isinstance(system, AsyncFileSystem) else type(system).pipe_file
    emulated = (AsyncFileSystem._pipe_file, AbstractFileSystem.pipe_file)
    return put not in emulated and "mode" in inspect.signature(put).parameters


def _line(fault: BaseException) -> str:
    text = " ".join(str(getattr(fault, "strerror", None) or fault).split()) or type(fault).__name__
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
