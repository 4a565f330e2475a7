"""Where things lie: in a local folder, or behind a URL of fsspec, such as under a prefix of an S3 bucket.

Of a local folder `Path` does everything, and `Url` as much behind a URL as `Place` asks for; what differs in kind is in
`benchmark.records.files`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Any, Protocol

from accord.benchmark.urls import Url

SCRATCH = Path("runs")
RESULTS = Path("results")
LOCAL = ("file", "local")  # protocols whose URLs are folders of this machine
PRIVATE = "memory"  # the protocol whose files no other process sees
FORM = re.compile(r"([A-Za-z][A-Za-z0-9+.:-]+)://(.*)", re.DOTALL)


class Place(Protocol):
    """A file or a folder: what a store needs of `Path`, which is one."""

    @property
    def name(self) -> str:
        """The last word."""

    @property
    def stem(self) -> str:
        """The last word without its suffix."""

    @property
    def parent(self) -> Place:
        """The folder."""

    def __truediv__(self, name: str, /) -> Place: ...

    def absolute(self) -> Place:
        """The same from everywhere."""

    def relative_to(self, other: Any, /) -> PurePath:
        """The words that lead here from another."""

    def exists(self) -> bool:
        """It is there."""

    def is_file(self) -> bool:
        """It is a file."""

    def read_bytes(self) -> bytes:
        """What the file holds."""

    def read_text(self, encoding: str) -> str:
        """The same as text."""

    def glob(self, pattern: str, /) -> Iterable[Place]:
        """The files in it that match a pattern."""

    def unlink(self, missing_ok: bool) -> None:
        """Remove the file."""


def place_from(text: str | Path) -> Path | Url:
    """What a path or a URL means; a URL is not looked at, see `Url.check`."""
    form = FORM.fullmatch(str(text))
    if form is None:
        return Path(text)
    protocol, path = form[1].lower(), form[2]
    if protocol in LOCAL:
        return Path(path)
    return Url(protocol, path.rstrip("/"))


def checked_place(text: str | Path) -> Path | Url:
    """The same; a URL is checked.

    Raises:
        UsageError: see `Url.check`.
    """
    place = place_from(text)
    if isinstance(place, Url):
        place.check()
    return place


def local_folder(root: Place) -> Path:
    """The folder for what is written on this machine beside a store: the store's own, or one named by its URL."""
    if isinstance(root, Path):
        return root
    assert isinstance(root, Url)
    words = [root.protocol, *(re.sub(r"[^\w.-]|^\.+$", "_", word) for word in root.path.split("/") if word)]
    return SCRATCH.joinpath(*words)


def is_private(root: Place) -> bool:
    """No other process sees what is written there."""
    return isinstance(root, Url) and root.protocol == PRIVATE
