"""Launchers whose jobs run elsewhere: what a job shows of itself it writes to a file that both sides see.

The store must be a folder that every machine sees under one path, as on a cluster's shared file system, or a URL.
"""

from __future__ import annotations

import io
import json
import logging
import math
import time
import uuid
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from accord.benchmark.launch.jobs import Ended, Job, Result, Work, result_of
from accord.benchmark.launch.queue import Queue
from accord.benchmark.places import Place, place_from
from accord.benchmark.records.files import make_folder, remove
from accord.benchmark.records.store import POSTS
from accord.benchmark.urls import Url

log = logging.getLogger("accord")
GLANCE = 0.5  # seconds between looks at what jobs wrote
PAUSE = 2.0  # seconds between two writings of a job's file behind a URL
MOST = 1_000  # jobs that wait in a cluster's own queue


@dataclass
class Away:
    """A job that was handed over.

    Attributes:
        job: Which one.
        handle: What the cluster gave for it.
        path: What it writes to.
        begun: It has said that it began.
        read: How much of the file was read, in bytes.
    """

    job: Job
    handle: Any
    path: Place
    begun: bool = False
    read: int = 0


class Remote(Queue):
    """A launcher on other machines, without the way there."""

    def __init__(
        self, folder: Place, jobs: int | None = None, console: Console | None = None, *, quiet: bool = False
    ) -> None:
        """Set up.

        Args:
            folder: That all machines see, or a URL; what jobs write is there as long as they are carried out.
            jobs: Most that are handed over at a time.
            console: Where progress is shown.
            quiet: See `LocalLauncher`.
        """
        super().__init__(jobs or MOST, console, quiet=quiet)
        self._folder, self._away, self._count = folder, list[Away](), 0

    @abstractmethod
    def _submit(self, job: Job, path: Place) -> Any:
        """Have `carry_out` called with a job's function and data, and a path to write to."""

    @abstractmethod
    def _ended(self, handle: Any) -> Result | None:
        """What came of it, None as long as it is not over."""

    @abstractmethod
    def _cancel(self, handle: Any) -> None:
        """End it."""

    @contextmanager
    def _open(self, jobs: Sequence[Job]) -> Iterator[None]:
        make_folder(self._folder)
        self._posts: Place = self._folder / f"{POSTS}{uuid.uuid4().hex}"
        make_folder(self._posts)
        try:
            yield
        finally:
            remove(self._posts)

    def _start(self, job: Job) -> bool:
        self._count += 1
        path = self._posts / f"{self._count}.jsonl"
        self._away.append(Away(job, self._submit(job, path), path))
        return False

    def _wait(self) -> list[Ended]:
        over = []
        for away in list(self._away):
            self._read(away)
            found = self._ended(away.handle)
            if found is not None:
                self._read(away)
                self._away.remove(away)
                what, said = found
                over.append(Ended(away.job, **{what: said}))
        if not (over or self._interrupted):
            self._rest([away.handle for away in self._away])
        return over

    def _rest(self, handles: Sequence[Any]) -> None:
        """Wait a moment; less where the cluster says that one of the jobs is over."""
        time.sleep(GLANCE)

    def _read(self, away: Away) -> None:
        """Hear what a job has written since."""
        try:
            if isinstance(away.path, Path):
                with away.path.open("rb") as file:
                    file.seek(away.read)
                    lines = file.read()
            else:
                lines = away.path.read_bytes()[away.read :]
        except FileNotFoundError:
            return
        whole = lines.rpartition(b"\n")[0]
        away.read += len(whole) + bool(whole)
        for line in whole.splitlines():
            try:
                said = json.loads(line)
            except ValueError:  # half of it was written when the machine was lost, and who begins again goes on behind
                log.debug("%s: %r is not what a job writes", away.path, line)
                continue
            if not away.begun:
                away.begun = True
                self._begun(away.job)
            if said is not None:  # else it begins, perhaps again
                self._heard(away.job, *said)

    def _stop(self) -> None:
        for away in self._away:
            self._cancel(away.handle)
        self._away.clear()


def carry_out(work: Work, data: Mapping[str, Any], path: str) -> Result:
    """A job, in a process of its own on some machine."""
    torch.set_num_threads(1)
    place = place_from(path)
    make_folder(place.parent)  # of a job that waited for days it may have been removed, see `litter`
    with _Post(place) if isinstance(place, Url) else place.open("a", encoding="utf-8") as file:

        def write(said: Any) -> None:
            file.write(json.dumps(said) + "\n")
            file.flush()

        write(None)
        return result_of(work, data, lambda done, row: write([done, dict(row)]))


class _Post(io.StringIO):
    """A file behind a URL, where nothing can be added: all of it is written anew, now and then and at the end.

    It goes on behind what is there, of a job whose machine was lost.
    """

    def __init__(self, url: Url) -> None:
        super().__init__()
        self._url, self._sent = url, -math.inf
        with suppress(OSError):
            self.write(url.read_bytes().decode())

    def flush(self) -> None:
        if time.monotonic() - self._sent > PAUSE:
            self._send()

    def close(self) -> None:
        self._send()
        super().close()

    def _send(self) -> None:
        try:
            self._url.write(self.getvalue().encode())
        except OSError as fault:  # of what a job shows; what it keeps is kept elsewhere
            log.warning("%s", fault)
        self._sent = time.monotonic()
