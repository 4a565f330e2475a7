"""Which records are replications of each other: same names, same set-up, another seed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from accord.benchmark.records.record import Record

# suite, scenario, method, variant, set-up
Key = tuple[str, str, str, str, str]

MOST_WORDS = 3  # settings that are named, before the others are counted
CODE, TRAINING = "identity.code", "identity.training"
DIGESTS = {
    "identity.data": "other data",
    "identity.network": "other network",
    CODE: "code of another version",
    TRAINING: "trained by another version",
}
WORDS = {"catalogue": "catalogue", "schema_version": "spec of schema", "device": "on"}
_UNNAMED = object()


def groups(records: Iterable[Record]) -> dict[Key, list[Record]]:
    """The records of all seeds by suite, scenario, method, variant and set-up, in the order of seeds.

    A set-up is all that a run's result depends on beside its names and its seed: every field of its spec, and the
    digests of data, network and code in its identity. How a run ended is no part of it. The last word of the key says
    what tells one set-up from others of the same names: `20,000 steps`, `ppo.lr=0.001`, `on cuda`.
    It is empty where there is one, and for the set-up of most runs where digests alone differ; what was computed on a
    GPU says so in any case. Where seeds agree, records of different set-ups come in the order of what is written of
    these.
    """
    named: dict[tuple[str, str, str, str], dict[str, list[Record]]] = {}
    placed = [(setup_of(record), record) for record in records]
    for setup, record in sorted(placed, key=lambda pair: (*_names(pair[1]), pair[1].spec.seed, pair[0])):
        named.setdefault(_names(record), {}).setdefault(setup, []).append(record)
    found: dict[Key, list[Record]] = {}
    for names, setups in named.items():
        for label, own in zip(_labels(setups), setups.values(), strict=True):
            found[(*names, label)] = own
    return found


def setup_of(record: Record) -> str:
    """A record's set-up as canonical JSON: equal for runs that differ in seed and outcome alone."""
    fields = record.spec.identity()
    del fields["seed"]
    identity = None if record.identity is None else record.identity.model_dump()
    return json.dumps(fields | {"identity": identity}, sort_keys=True)


def _names(record: Record) -> tuple[str, str, str, str]:
    spec = record.spec
    return spec.suite, spec.scenario, spec.method, spec.variant


def _labels(setups: Mapping[str, Sequence[Record]]) -> list[str]:
    """What tells each set-up from the others, each another word, and in any case what is not the processor's."""
    flat = [_flat(json.loads(setup)) for setup in setups]
    names = sorted({name for fields in flat for name in fields})
    differing = [n for n in names if n == "device" or any(f.get(n, _UNNAMED) != flat[0].get(n, _UNNAMED) for f in flat)]
    runs = zip(flat, setups.values(), strict=True)
    # The first of those with most runs, and of those that kept digests, if any did.
    common, _ = max(runs, key=lambda pair: ("identity" not in pair[0], len(pair[1])))
    labels: list[str] = []
    seen: Counter[str] = Counter()
    for fields in flat:
        words = [_word(name, fields, common) for name in differing]
        if DIGESTS[CODE] in words:  # which says it all
            words = [word for word in words if word != DIGESTS[TRAINING]]
        label = _sentence(list(dict.fromkeys(word for word in words if word)))
        seen[label] += 1
        labels.append(label if seen[label] == 1 else f"{label} ({seen[label]})".strip())
    return labels


def _sentence(words: Sequence[str]) -> str:
    left = len(words) - MOST_WORDS
    shown = words if left <= 0 else [*words[:MOST_WORDS], f"{left} more"]
    return ", ".join(shown)


def _flat(fields: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested fields by dotted names."""
    out: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, dict):
            out |= _flat(value, f"{above}{name}.")
        else:
            out[above + name] = value
    return out


def _word(name: str, fields: Mapping[str, Any], common: Mapping[str, Any]) -> str:
    """What a set-up says of a field in which set-ups differ; empty where another field says it."""
    if name in DIGESTS:
        known = name in fields and name in common
        return DIGESTS[name] if known and fields[name] != common[name] else ""
    if name == "identity":  # None in records from before there were digests, and no field of its own elsewhere
        return "data, network and code not on record" if name in fields else ""
    if name not in fields:
        return f"without {name.removeprefix('config.')}" if name.startswith("config.") else ""
    value = fields[name]
    if name == "effort.steps":
        return f"{value:,} steps"
    if name == "effort.seconds":
        return f"limit of {value:g} s"
    if name == "trained_on":
        return f"trained on {value}" if value else ""
    if name in WORDS:
        return f"{WORDS[name]} {value}"
    return f"{name.removeprefix('config.').removeprefix('effort.')}={value}"
