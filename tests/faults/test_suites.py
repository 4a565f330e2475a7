"""Suites that were written wrong: refused by the name of the file, or run as what they say."""

import math
from pathlib import Path
from random import Random
from typing import Any

import yaml
from helpers.cases import Draw
from helpers.damage import DAMAGES

from accord.benchmark.specs.expand import runs_of
from accord.benchmark.specs.suite import Suite, load_suite
from accord.envs.errors import UsageError

SOUND: dict[str, Any] = {
    "name": "own",
    "description": "One's own.",
    "smoke": True,
    "subject": "consensus-gossip",
    "seeds": 2,
    "effort": {"steps": 1000, "seconds": 60.5, "snapshots": 3},
    "entries": [
        {
            "district": "synthetic_7-week",
            "networks": ["ring", "star+loss-0.3"],
            "budgets": ["average-0.4"],
            "methods": ["serve_now", "consensus-gossip"],
            "variants": {"": {}, "narrow": {"ppo": {"hidden": [8, 8], "lr": 0.001}, "copies": 4}},
            "steps": 500,
        },
        {"scenarios": ["games/two_step"], "methods": ["vdn"], "seeds": 1, "seconds": 5, "trained_on": "games/two_step"},
    ],
}
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2.5, math.nan, math.inf, 10**400, "", "text", "a\nb", "\0", "x" * 5000, [], {}),
    *([None], [[1]], {"a": 1}, {1: 2}, ["serve_now", 3], "games/two_step", ["games/two_step"], "1e3", "ring", "é"),
)
# In the place of a value, as text: what YAML makes something else of, or nothing.
TEXTS = (
    *(
        "2001-13-45",
        "2001-01-01",
        "1:30",
        "010",
        "0x10",
        "!!int a",
        "!!float x",
        "!!timestamp x",
        "!!binary x",
        "&a [*a]",
    ),
    *(
        "*a",
        "!x y",
        "[",
        "{",
        "'",
        '"',
        "!!python/object:os.system {}",
        "|",
        ">",
        "- 1",
        "? a",
        "@a",
        "%a",
        "`a",
        "<<: 1",
    ),
    *("[" * 2000, "{a: " * 2000, "yes", "~", "1_000", "1e3", ".inf", "=", "!!set {a}", "!!omap [a: 1]", "\t1", "# 1"),
)


def places(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to every value in a nest of mappings and lists."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way for key, part in inner for way in ((*above, key), *places(part, (*above, key)))]


def at(content: Any, way: tuple[Any, ...]) -> Any:
    for key in way:
        content = content[key]
    return content


def changed(generator: Random) -> str:
    """The text of a suite with one slip."""
    content = yaml.safe_load(yaml.safe_dump(SOUND))
    way = generator.choice(places(content))
    place, key = at(content, way[:-1]), way[-1]
    kind = generator.choice(("value", "value", "text", "text", "key", "gone", "bytes", "twice"))
    if kind == "value":
        place[key] = generator.choice(VALUES)
    elif kind == "text":
        place[key] = "SLIP"
    elif kind == "gone":
        del place[key]
    elif kind == "key" and isinstance(place, dict):
        place[generator.choice(("Seeds", "seed", "", "entries", "a\nb", "1", "null"))] = place.pop(key)
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    if kind == "text":
        return text.replace("SLIP", generator.choice(TEXTS))
    if kind == "twice":
        lines = text.splitlines()
        lines.insert(generator.randrange(len(lines)), generator.choice(lines))
        return "\n".join(lines)
    if kind == "bytes":
        return generator.choice(list(DAMAGES.values()))(text.encode(), generator).decode("latin-1")
    return text


def check_said(suite: Suite, text: str) -> None:
    """Numbers and words are those that another reader finds in the text."""
    said, read = yaml.safe_load(text), suite.model_dump(mode="json")
    for way in places(said):
        value = at(said, way)
        if isinstance(value, (dict, list)) or "variants" in way:
            continue
        found = at(read, way)
        assert str(found) == str(value) or float(found) == float(value), f"{way}: {value!r} is read as {found!r}"
        assert isinstance(value, bool) <= isinstance(found, bool), f"{way}: {value!r} is read as {found!r}"


def test_a_suite_is_refused_by_its_name_or_run_as_what_it_says(draw: Draw, tmp_path: Path) -> None:
    wrong, accepted = [], 0
    for number, (name, generator) in enumerate(draw("suites", 300)):
        path, text = tmp_path / f"suite_{number}.yaml", changed(generator)
        path.write_text(text, encoding="utf-8")
        case = f"{name} ({path})"
        try:
            suite = load_suite(str(path))
            specs = runs_of(suite)
        except UsageError as mistake:
            if str(path) not in str(mistake) and "suite '" not in str(mistake):
                wrong.append(f"{case}: no file is named: {mistake}"[:400])
            continue
        except Exception as fault:
            wrong.append(f"{case}: {type(fault).__name__}: {fault}"[:400])
            continue
        accepted += 1
        try:
            assert specs
            check_said(suite, text)
        except Exception as fault:
            wrong.append(f"{case}: {type(fault).__name__}: {fault}"[:400])
    assert not wrong, "\n".join(wrong)
    assert accepted
