"""Values of a JSON file, checked: a mistake is a `UsageError` that says where it stands and what is needed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accord.envs.districts.csv_columns import LARGEST
from accord.envs.errors import UsageError, quoted


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object that a file holds; no object in it may have a key twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise UsageError(f"{path}: the key {quoted(twice)} is there twice in one object; allowed: once")
        return found

    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=once)
    except UsageError:
        raise
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not valid JSON: {error}") from None
    return as_object(str(path), found)


def flag(where: str, entry: Mapping[str, Any], key: str, default: bool) -> bool:
    """A yes or no, true or false in JSON."""
    value = entry.get(key, default)
    if not isinstance(value, bool):
        raise UsageError(f"{where}: {key} is {quoted(value)}; allowed: true or false")
    return value


def attributes(where: str, entry: Mapping[str, Any], device: str) -> dict[str, Any] | None:
    """The figures of a device, or None where the building has none."""
    if entry.get(device) is None:
        return None
    description = as_object(f"{where}: {device}", entry[device])
    if flag(f"{where}: {device}", description, "autosize", False):
        raise UsageError(f"{where}: {device} has autosize; give its figures and set autosize to false")
    return as_object(f"{where}: {device}: attributes", description.get("attributes"))


def size(where: str, attributes: Mapping[str, Any], key: str) -> float:
    """A figure of a device that is 0 or more."""
    value = _figure(where, attributes, key)
    if value < 0:
        raise UsageError(f"{where}: {key} is {value:g}; it must be at least 0")
    return value


def efficiency(where: str, attributes: Mapping[str, Any]) -> float:
    """A device's efficiency, in (0, 1]."""
    value = _figure(where, attributes, "efficiency")
    if not 0 < value <= 1:
        raise UsageError(f"{where}: efficiency is {value:g}; it must lie in (0, 1]")
    return value


def _figure(where: str, attributes: Mapping[str, Any], key: str) -> float:
    value = attributes.get(key)
    # json reads whole numbers of any length, and NaN, which is not at most anything.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise UsageError(f"{where}: {key} is {quoted(value)}; a number of at most {LARGEST:g} is needed")
    return float(value)


def file_name(where: str, entry: Mapping[str, Any], key: str) -> str:
    """The name of a file."""
    value = entry.get(key)
    if not isinstance(value, str):
        raise UsageError(f"{where}: {key} is {quoted(value)}; the name of a CSV file is needed")
    return value


def as_object(where: str, value: Any) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise UsageError(f"{where}: a JSON object is needed, not {quoted(value)}")
    return value
