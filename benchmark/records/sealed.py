"""Files that carry their own SHA-256: one that was torn, changed or put in another's place is noticed when it is read.

Archives of torch and numpy are zip files, whose comment it is; in JSON it is the key "sha256". Everything else that
reads such files still does.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from accord.benchmark.places import Place
from accord.benchmark.records.files import rename

log = logging.getLogger("accord")
KEY = "sha256"
WORD = b"sha256 "
COMMENT = len(WORD) + hashlib.sha256().digest_size * 2
NO_COMMENT = b"\0\0"  # the length of a zip's comment, which is its end
ASIDE = ".damaged"


class DamagedError(Exception):
    """The bytes of a file are not those that were written there."""


def seal_zip(content: bytes) -> bytes:
    """A zip file without a comment, with its digest as one.

    Raises:
        ValueError: it ends in a comment.
    """
    if content[-2:] != NO_COMMENT:
        raise ValueError("the archive ends in a comment")
    body = content[:-2]
    return body + COMMENT.to_bytes(2, "little") + _word(body)


def check_zip(content: bytes) -> None:
    """Hold a zip file against its comment.

    Raises:
        DamagedError: it has none, or another.
    """
    body, length, word = content[: -COMMENT - 2], content[-COMMENT - 2 : -COMMENT], content[-COMMENT:]
    if length != COMMENT.to_bytes(2, "little") or not word.startswith(WORD):
        raise DamagedError("has no digest at its end")
    if word != _word(body):
        raise DamagedError("is not what its digest says")


def seal_json(fields: Mapping[str, Any]) -> bytes:
    """JSON of some fields, with their digest as the first."""
    plain = json.loads(json.dumps(fields))
    return (json.dumps({KEY: _digest(plain), **plain}, indent=1) + "\n").encode()


def open_json(content: bytes) -> dict[str, Any]:
    """The fields of sealed JSON.

    Raises:
        DamagedError: it is no JSON, or has no digest, or another.
    """
    try:
        fields = json.loads(content)
    except ValueError as fault:
        raise DamagedError(f"is cut short or no JSON ({fault})") from None
    if not isinstance(fields, dict) or KEY not in fields:
        raise DamagedError("has no digest")
    if fields.pop(KEY) != _digest(fields):
        raise DamagedError("is not what its digest says")
    return fields


def open_kept(path: Place, of: Mapping[str, Any], then: str) -> dict[str, Any] | None:
    """The fields of sealed JSON; None where there is none, and where it is damaged, which sets it aside.

    Args:
        path: The file.
        of: Fields that it must have: what it was worked out for.
        then: What happens where it is damaged, see `set_aside`.
    """
    try:
        fields = open_json(path.read_bytes())
        if any(fields.get(name) != value for name, value in of.items()):
            raise DamagedError("is of something else")
        return fields
    except FileNotFoundError:
        return None
    except DamagedError as fault:
        set_aside(path, str(fault), then)
        return None


def set_aside(path: Place, why: str, then: str) -> None:
    """Move a damaged file or folder out of the way, in the place of an earlier one, and say so in one line.

    Args:
        path: Where it is.
        why: What is wrong, to follow its name.
        then: What happens next.
    """
    name = f".{path.name.lstrip('.')}{ASIDE}"
    with suppress(FileNotFoundError):  # another process was first
        rename(path, name)
    log.warning("%s: %s; kept as %s, and %s", path, why, name, then)


def _word(body: bytes) -> bytes:
    return WORD + hashlib.sha256(body).hexdigest().encode()


def _digest(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
