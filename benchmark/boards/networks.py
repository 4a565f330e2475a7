"""Scenarios that differ in their network alone, and the rows that are the same on several of these."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from accord.benchmark.boards.leaderboard import number
from accord.benchmark.evaluation.context import Value
from accord.benchmark.evaluation.metrics import METRICS
from accord.benchmark.records.record import Record
from accord.benchmark.records.setups import Key
from accord.envs.catalogue import family_of
from accord.envs.demand_response.scenario import DISTRICTS

ALL = "all"


@dataclass(frozen=True)
class Place:
    """Scenarios that differ in their network alone, or one scenario.

    Attributes:
        title: The address, with * for the network where there are several.
        networks: By address, the network's name; ascending.
    """

    title: str
    networks: Mapping[str, str]

    @property
    def several(self) -> bool:
        """There is more than one network."""
        return len(self.networks) > 1


@dataclass(frozen=True)
class Shared:
    """Runs of one method, variant and set-up that gave the same numbers on several networks, or ran on one.

    Attributes:
        key: Of the runs on the first network, see `groups`.
        addresses: Where it is the same, ascending.
        records: The runs on the first network, in the order of seeds. What a clock measured is the median over the
            networks, seed by seed.
    """

    key: Key
    addresses: tuple[str, ...]
    records: tuple[Record, ...]

    def named(self, place: Place) -> str:
        """The networks as a cell of a table."""
        if len(self.addresses) == len(place.networks):
            return ALL
        return ", ".join(place.networks[address] for address in self.addresses)


def places(addresses: Iterable[str]) -> list[Place]:
    """Addresses by what is the same in them beside the network, in the order of their first addresses."""
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for address in sorted(set(addresses)):
        words = address.split("/")
        if family_of(address) is DISTRICTS and len(words) == 3:
            found.setdefault((words[0], words[2]), {})[address] = words[1]
        else:
            found[(address,)] = {address: ""}
    return [
        Place(f"{common[0]}/*/{common[1]}" if len(networks) > 1 else next(iter(networks)), networks)
        for common, networks in found.items()
    ]


def shared_rows(found: Mapping[Key, Sequence[Record]], place: Place) -> list[Shared]:
    """A place's rows: those whose runs agree on several networks are one.

    Runs agree where every seed ended alike with the same value of every metric that no clock measures.

    Args:
        found: Records by suite, scenario, method, variant and set-up, see `groups`.
        place: Whose rows are wanted.
    """
    alike: dict[tuple[object, ...], list[tuple[Key, Sequence[Record]]]] = {}
    for key, own in found.items():
        suite, scenario, *names = key
        if scenario in place.networks:
            alike.setdefault((suite, *names, *map(_outcome, own)), []).append((key, own))
    rows = []
    for same in alike.values():
        keys, runs = zip(*same, strict=True)
        rows.append(Shared(keys[0], tuple(key[1] for key in keys), tuple(map(_together, zip(*runs, strict=True)))))
    return sorted(rows, key=lambda row: (row.key[2:], row.addresses))


def _outcome(record: Record) -> tuple[object, ...]:
    """Seed, how it ended, and every metric that no clock measures and that has a value."""
    fixed = {name: value for name, value in record.metrics.items() if name not in METRICS or not METRICS[name].clocked}
    return record.spec.seed, record.status, frozenset((n, v) for n, v in fixed.items() if v is not None and v == v)


def _together(runs: Sequence[Record]) -> Record:
    """The first of runs that agree, with medians of what a clock measured."""
    if len(runs) == 1:
        return runs[0]
    clocked: dict[str, Value] = {}
    for name in (name for name, entry in METRICS.items() if entry.clocked):
        values = [value for run in runs if (value := number(run.metrics.get(name))) is not None]
        if values:
            clocked[name] = statistics.median(values)
    return runs[0].model_copy(update={"metrics": runs[0].metrics | clocked})
