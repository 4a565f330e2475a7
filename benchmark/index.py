"""What there is by name: methods, their settings, addresses, metrics; kept in a file, so that lists come at once.

To know them every method is imported, and torch with them, which takes seconds. The file lies in the user's folder of
caches. It holds for one state of the sources: those of Accord and of the packages that plug in, and what is installed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import astuple
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

import platformdirs
from pydantic import BaseModel

import accord

log = logging.getLogger("accord")
ROOMS = ("envs", "baselines", "benchmark")
SOURCES = (".py", ".yaml")
INSTALLED = ("site-packages", "dist-packages")
Row = list[str]


class Index(BaseModel):
    """Rows of tables as they are shown.

    Attributes:
        methods: Name, what it is, what it sees; bounds below.
        settings: By method: name, default, unit, what is allowed, what it does.
        addresses: Words of addresses, and what they mean.
        metrics: Name, unit, which way is better, what it is.
    """

    methods: list[Row]
    settings: dict[str, list[Row]]
    addresses: list[Row]
    metrics: list[Row]


class _Kept(BaseModel):
    """The file's content."""

    sources: str
    index: Index


def index(imports: Sequence[Path] = (), tell: Callable[[str], None] = log.info) -> Index:
    """What there is now: read from the file where it holds, else found out by importing everything, and kept.

    Args:
        imports: Files that --import names. What they register is nobody else's, so nothing is read or kept.
        tell: Called with a line before what takes seconds.
    """
    if imports or "torch" in sys.modules:  # there is no time left to save, and more may be registered than files say
        return _found_out()
    sources, path = stamp(), kept_at()
    with suppress(OSError, ValueError):  # none yet, or no file of ours: found out anew
        kept = _Kept.model_validate_json(path.read_bytes())
        if kept.sources == sources:
            return kept.index
    tell("reading methods and tasks, which takes seconds; the next list comes at once")
    warnings = _Warnings()
    log.addHandler(warnings)
    found = _found_out()
    log.removeHandler(warnings)
    if not warnings.heard:  # what is broken is told every time, and may be mended elsewhere
        from accord.benchmark.records.files import write_file

        with suppress(OSError):  # a folder that nobody may write to
            write_file(path, _Kept(sources=sources, index=found).model_dump_json().encode())
    return found


def kept_at() -> Path:
    """The file: one for every place that Accord is imported from, and every environment."""
    place = hashlib.sha256(f"{accord.__file__}\n{sys.prefix}".encode()).hexdigest()[:16]
    return platformdirs.user_cache_path("accord", appauthor=False) / f"index-{place}.json"


def stamp() -> str:
    """A digest that changes with a source of Accord or of a package that plugs in, and with what is installed."""
    points = sorted(_entry_points(), key=lambda point: (point.group, point.name, point.value))
    tops = {point.module.partition(".")[0] for point in points}
    folders = [Path(accord.__file__).parent / room for room in ROOMS]
    files = sorted({file for place in (*folders, *_places(tops)) for file in _sources(place)})
    libraries = [Path(path) for path in sys.path if Path(path).name in INSTALLED]
    stats = [(str(path), path.stat()) for path in (*files, *libraries) if path.exists()]
    state = [
        sys.version,
        [(point.group, point.name, point.value) for point in points],
        [(name, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size) for name, stat in stats],
    ]
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def _found_out() -> Index:
    from accord.baselines import METHODS, REFERENCES
    from accord.benchmark.evaluation.metrics import METRICS
    from accord.benchmark.specs.settings import settings_of
    from accord.envs.catalogue import words

    methods = [[name, _first_line(entry.method), entry.sees] for name, entry in sorted(METHODS.items())]
    methods += [[name, _first_line(kind), kind.summary] for name, kind in sorted(REFERENCES.items())]
    settings = {name: [list(astuple(setting)) for setting in settings_of(name)] for name, *_ in methods}
    metrics = [
        [
            name,
            metric.unit,
            f"{metric.better}er" if metric.better else "",
            _first_line(metric.compute) or "measured around the rollout",
        ]
        for name, metric in METRICS.items()
    ]
    return Index(methods=methods, settings=settings, addresses=[list(pair) for pair in words()], metrics=metrics)


def _first_line(thing: object) -> str:
    """The first line of a docstring; empty without one."""
    return (getattr(thing, "__doc__", None) or "").strip().partition("\n")[0]


def _entry_points() -> Iterator[EntryPoint]:
    """Those of packages that plug in."""
    found = entry_points()
    for group in found.groups:
        if group.startswith("accord."):
            yield from found.select(group=group)


def _places(packages: set[str]) -> Iterator[Path]:
    """Folders and files of packages, which are not imported; of one that cannot be found, none."""
    for package in packages:
        with suppress(ImportError, ValueError):
            spec = find_spec(package)
            if spec is not None:
                yield from map(Path, spec.submodule_search_locations or ([spec.origin] if spec.origin else []))


def _sources(place: Path) -> Iterator[Path]:
    """A file itself, or all sources in a folder."""
    place = place.resolve()  # a link to a folder is not followed below
    yield from (file for file in place.rglob("*") if file.suffix in SOURCES) if place.is_dir() else [place]


class _Warnings(logging.Handler):
    """Notes that something was passed over."""

    heard = False

    def emit(self, record: logging.LogRecord) -> None:
        """Note it."""
        self.heard = True
