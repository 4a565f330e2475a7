"""Methods and references by name. Importing `baselines` fills it; outside packages add through entry points."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Protocol, TypeVar, get_args, runtime_checkable

import yaml
from pydantic import BaseModel, ValidationError

from accord.baselines.base import Method, Reference
from accord.envs.errors import UsageError, quoted
from accord.envs.plugins import loaded

M = TypeVar("M", bound=type[Method])
R = TypeVar("R", bound=type[Reference])


@dataclass(frozen=True)
class Entry:
    """A registered method: its class, what it sees, for tables, and the settings that its name brings.

    Attributes:
        method: Its class.
        implied: Settings that the name fixes.
        sees: The information that it acts on.
        registered_in: The module that registered it, where its class may have been made by a function of another.
    """

    method: type[Method]
    implied: dict[str, Any]
    sees: str
    registered_in: str = ""


@runtime_checkable
class NamesCode(Protocol):
    """A method whose settings name code or files that its runs depend on."""

    def modules(self) -> Sequence[str]:
        """Dotted names of modules, loaded."""

    def files(self) -> Sequence[Path]:
        """Files whose bytes count."""


# By method, what takes the place of its class's defaults.
TUNED: dict[str, dict[str, Any]] = yaml.safe_load(
    (resources.files("accord.baselines") / "tuned.yaml").read_text(encoding="utf-8")
)
METHODS: dict[str, Entry] = {}
REFERENCES: dict[str, type[Reference]] = {}


def register(name: str, sees: str, **implied: Any) -> Callable[[M], M]:
    """Class decorator: make a method known by `name`.

    Args:
        name: As it is typed and shown.
        sees: The information that it acts on, in a few words for tables.
        implied: Settings that the name fixes.
    """
    caller = str(sys._getframe(1).f_globals["__name__"])

    def add(method: M) -> M:
        known = METHODS.get(name)
        # A notebook's cell that is run again defines its class again.
        if known is None or _where(known.method) != _where(method):
            _check_free(name)
        METHODS[name] = Entry(method, implied, sees, caller)
        return method

    return add


def register_reference(name: str) -> Callable[[R], R]:
    """Class decorator: make a reference known by `name`."""

    def add(reference: R) -> R:
        _check_free(name)
        REFERENCES[name] = reference
        return reference

    return add


def make_method(name: str, settings: dict[str, Any] | None = None, *, tuned: bool = True) -> Method:
    """A method by name, with settings on top of its defaults: those of `tuned.yaml`, or else of its class alone.

    Raises:
        UsageError: unknown name, unknown setting, wrong type or value out of range.
    """
    entry = METHODS.get(name)
    if entry is None:
        raise UsageError(unknown_name(name))
    clash = set(entry.implied) & set(settings or {})
    if clash:
        raise UsageError(f"method '{name}': '{sorted(clash)[0]}' is fixed by the name; choose another method instead")
    below = nest(TUNED.get(name, {})) if tuned else {}
    try:
        refuse_flags(entry.method.config_type, settings or {})
        config = entry.method.config_type(**entry.implied, **merge(below, settings or {}))
    except ValidationError as error:
        raise UsageError(f"method '{name}': {explain(error)}") from None
    except UsageError as error:
        raise UsageError(f"method '{name}': {error}") from None
    return entry.method(config)


def nest(settings: dict[str, Any]) -> dict[str, Any]:
    """Dotted names as nested mappings: {"ppo.lr": 1} is {"ppo": {"lr": 1}}."""
    out: dict[str, Any] = {}
    for name, value in settings.items():
        *path, last = name.split(".")
        place = out
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return out


def merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Nested mappings, those of `above` on top."""
    out = dict(below)
    for name, value in above.items():
        both = isinstance(value, dict) and isinstance(out.get(name), dict)
        out[name] = merge(out[name], value) if both else value
    return out


def known_names() -> list[str]:
    """Every method and reference."""
    return sorted([*METHODS, *REFERENCES])


def learns(name: str) -> bool:
    """It is a method that is trained."""
    return name in METHODS and METHODS[name].method.learns


def has_randomness(name: str) -> bool:
    """It is a method whose results depend on a seed."""
    return name in METHODS and METHODS[name].method.random


def unknown_name(name: str, also: Iterable[str] = ()) -> str:
    """The message for a name that nobody registered; methods that differ in their suffix are named together.

    Args:
        name: What was given.
        also: Other names that are allowed there.
    """
    known = sorted({*known_names(), *also})
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    families = dict.fromkeys(stem + "-*" * bool(suffix) for stem, _, suffix in (n.partition("-") for n in known))
    return (
        f"unknown method {quoted(name)}; {hint}allowed: {', '.join(families)}; `accord methods` names all of a family"
    )


def explain(error: ValidationError) -> str:
    """The first fault of a pydantic error in one line: key, what was wrong, what was given."""
    fault = error.errors()[0]
    key = ".".join(str(part) for part in fault["loc"])
    if not key:  # of several keys together, and the whole of the settings says nothing more
        return str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        return f"unknown key '{key}'"
    return f"key '{key}': {fault['msg'][0].lower()}{fault['msg'][1:]}, got {quoted(fault['input'])}"


def refuse_flags(model: type[BaseModel], values: Mapping[str, Any], above: str = "") -> None:
    """See that true and false are given to what is one of them alone: elsewhere they would count as 1 and 0.

    Args:
        model: What the values are for.
        values: As they are given.
        above: Where the model lies in another.

    Raises:
        UsageError: a number or a text is true or false.
    """
    for name, value in values.items():
        if name in model.model_fields:
            _refuse_flag(model.model_fields[name].annotation, value, f"{above}{name}")


def load_plugins() -> None:
    """Import the packages that registered entry points in `accord.methods`."""
    for _ in loaded("accord.methods"):
        pass  # its module registers what it has


def _refuse_flag(kind: Any, value: Any, key: str) -> None:
    kinds = (kind, *get_args(kind))
    if isinstance(value, bool) and not any(part is bool or part is Any for part in kinds):
        raise UsageError(f"key '{key}': {str(value).lower()} is neither a number nor a text")
    if isinstance(value, Mapping):
        for part in kinds:
            if isinstance(part, type) and issubclass(part, BaseModel):
                refuse_flags(part, value, f"{key}.")
    elif isinstance(value, list | tuple) and len(kinds) > 1:
        for n, part in enumerate(value):
            _refuse_flag(kinds[1], part, f"{key}.{n}")


def _where(kind: type) -> tuple[str, str]:
    return kind.__module__, kind.__qualname__


def _check_free(name: str) -> None:
    if name in METHODS or name in REFERENCES:
        raise ValueError(f"method '{name}' is registered twice")
