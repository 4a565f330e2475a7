"""Who does what: of several processes that share a folder, one at a time has the lease of a piece of work.

A lease is a file with a number after its name. To take the lease is to create the next number, which one process alone
can; the highest number has it, and its file changes as long as its holder lives. A holder that died on this machine is
seen at once. Of one elsewhere nothing is known but its file: when that has not changed for some time on the clock of
the process that looks (clocks of machines are not compared), the lease is over. A holder that was only slow learns of
it by `Lease.check`, before it keeps anything.
"""

from __future__ import annotations

import json
import logging
import math
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from glob import escape
from pathlib import Path

from accord.benchmark.places import Place
from accord.benchmark.processes import is_running, this_machine
from accord.benchmark.records.files import create_file, make_folder, write_file
from accord.envs.errors import UsageError

log = logging.getLogger("accord")
EXPIRY = 180.0  # seconds without a change after which a holder on another machine is taken for dead
BEATS = 9  # changes in that time
GLANCE = 1.0  # seconds between looks at a lease that another process has
BLINK = 0.01  # seconds
OVER = b"over\n"  # of a number that ends a dead holder's lease and has no holder


class TakenError(UsageError):
    """Another process has the lease."""


class Leases:
    """The leases of a folder, as one process sees them."""

    def __init__(self, folder: Place, expiry: float = EXPIRY, clock: Callable[[], float] = time.monotonic) -> None:
        """Set up.

        Args:
            folder: Where their files lie; made when the first is taken.
            expiry: Seconds after which a lease that does not change is over.
            clock: Of this process.
        """
        self.folder, self._expiry, self._clock = folder, expiry, clock
        self._seen: dict[str, tuple[tuple[int, bytes], float]] = {}  # what was found, and since when
        self._looked: dict[str, float] = {}  # when another process was last found to have it

    def taken(self, name: str) -> bool:
        """Another process is at a piece of work, as far as this one knows; it looks anew once in `GLANCE`."""
        now = self._clock()
        if now - self._looked.get(name, -math.inf) < GLANCE:
            return True
        if self._next(name) is None:
            self._looked[name] = now
            return True
        self._looked.pop(name, None)
        return False

    @contextmanager
    def hold(self, name: str, *, wait: bool = False) -> Iterator[Lease]:
        """While entered, no other process is at a piece of work.

        Args:
            name: What is done, a word that may be in a file's name.
            wait: Until another process is done with it.

        Raises:
            TakenError: another process is at it; the line says which.
        """
        while (lease := self._take(name)) is None:
            if not wait:
                raise self._refusal(name)
            time.sleep(GLANCE)
        done = threading.Event()
        beating = threading.Thread(target=lease.beat, args=(done, self._expiry / BEATS), daemon=True)
        beating.start()
        try:
            yield lease
        finally:
            done.set()
            beating.join()
            lease.release()

    def last(self, name: str) -> tuple[int, bytes]:
        """The highest number of a lease, and what is in its file; 0 and `OVER` where there is none."""
        while True:
            number = max(self.numbers(name), default=0)
            try:
                return number, self.path(name, number).read_bytes() if number else OVER
            except FileNotFoundError:  # released, or followed by the next, which a listing may show late
                time.sleep(BLINK)

    def numbers(self, name: str) -> list[int]:
        """The numbers of a lease of which there are files."""
        found = [path.name.removeprefix(f"{name}.") for path in self.folder.glob(f"{escape(name)}.*")]
        return [int(word) for word in found if word.isdecimal()]

    def path(self, name: str, number: int) -> Place:
        """The file of a number."""
        return self.folder / f"{name}.{number}"

    def _take(self, name: str) -> Lease | None:
        number = self._next(name)
        if number is None:
            return None
        lease = Lease(self, name, number)
        make_folder(self.folder)
        try:
            create_file(self.path(name, number), lease.content())
            lease.check()
        except (FileExistsError, TakenError):  # another process was faster
            return None
        for earlier in self.numbers(name):
            if earlier < number:
                self.path(name, earlier).unlink(missing_ok=True)
        return lease

    def _next(self, name: str) -> int | None:
        """The number that takes a lease; None as long as another process has it."""
        found = number, content = self.last(name)
        if content == OVER or _is_dead(content):
            self._seen.pop(name, None)
            return number + 1
        before, since = self._seen.get(name, (None, 0.0))
        if before != found:
            since = self._clock()
            self._seen[name] = found, since
        if self._clock() - since < self._expiry:
            return None
        # It is over for everyone: who takes it has not looked for as long as this process has.
        with suppress(FileExistsError):
            create_file(self.path(name, number + 1), OVER)
        log.warning("%s: %s gave no sign of life; its work is taken over", self.folder, _holder(content))
        return number + 2

    def _refusal(self, name: str) -> TakenError:
        holder = _holder(self.last(name)[1])
        return TakenError(f"{self.folder.parent}/: {holder} is at work on {name}; wait until it is done")


class Lease:
    """A lease that this process has taken."""

    def __init__(self, leases: Leases, name: str, number: int) -> None:
        """Set up, see `Leases.hold`."""
        self._leases, self._name, self._number, self._beats = leases, name, number, 0
        self._fields = {"machine": this_machine(), "pid": os.getpid(), "token": uuid.uuid4().hex, "process": _process()}

    def check(self) -> None:
        """See that no other process has taken the lease since.

        Raises:
            TakenError: one has, as this one gave no sign of life for too long.
        """
        number, content = self._leases.last(self._name)
        if number != self._number or str(self._fields["token"]).encode() not in content:
            folder = self._leases.folder.parent
            raise TakenError(f"{folder}/: another process has taken over {self._name}: this one gave no sign of life")

    def content(self) -> bytes:
        """What is in its file: who has it, and a count that goes on."""
        return json.dumps({**self._fields, "beats": self._beats}).encode()

    def beat(self, done: threading.Event, every: float) -> None:
        """Change the file every so many seconds until `done`, or until another process has the lease."""
        while not done.wait(every):
            self._beats += 1
            try:
                self.check()
                write_file(self._leases.path(self._name, self._number), self.content())
            except TakenError:
                return
            except OSError as fault:  # a file system that comes back within the time is no loss
                log.warning("%s: the lease of %s cannot be renewed: %s", self._leases.folder, self._name, fault)

    def release(self) -> None:
        """Leave the work to others."""
        for number in self._leases.numbers(self._name):
            if number <= self._number:
                self._leases.path(self._name, number).unlink(missing_ok=True)


def _is_dead(content: bytes) -> bool:
    """The holder was a process of this machine and user, and is no more; one elsewhere may live."""
    try:
        holder = json.loads(content)
    except ValueError:  # it is about to be written
        return False
    if holder["machine"] != [*this_machine()]:
        return False
    return not is_running(holder["pid"])


def _holder(content: bytes) -> str:
    try:
        return str(json.loads(content)["process"])
    except ValueError:
        return "another process"


def _process() -> str:
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    words = " ".join([Path(sys.orig_argv[0]).name, *sys.orig_argv[1:]])
    return f"process {os.getpid()} on {socket.gethostname()} ({words}, since {since})"
