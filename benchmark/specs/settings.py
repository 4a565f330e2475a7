"""A method's settings as people read them: default, unit, what is allowed, what each does."""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from accord.baselines.registry import METHODS, REFERENCES, make_method, unknown_name
from accord.envs.errors import UsageError

WORDS = {bool: "true, false", int: "whole number", float: "number", str: "text"}
UNIT = re.compile(r"Unit: (.+?)\.?$")


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        name: Dotted, as it is typed.
        default: What the method runs with unless somebody says otherwise, those of `tuned.yaml` included.
        unit: Physical unit, or what is counted; empty where there is none.
        allowed: Its type and range; that the method's name fixes it, where it does.
        meaning: One sentence.
    """

    name: str
    default: str
    unit: str
    allowed: str
    meaning: str


def settings_of(method: str) -> list[Setting]:
    """The settings of a method in the order of its class; none of a bound.

    Raises:
        UsageError: an unknown method.
    """
    if method in REFERENCES:
        return []
    if method not in METHODS:
        raise UsageError(f"METHOD: {unknown_name(method)}")
    return list(_settings(make_method(method).config, METHODS[method].implied))


def text_of(value: Any) -> str:
    """A setting's value as it is typed in YAML."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


@cache
def units_of(model: type[BaseModel]) -> dict[str, str]:
    """Units of a model's fields, as their docstrings say them: `Unit: hours.` on the line below the field.

    They are no part of the code that a run depends on. Empty for a class whose source is not in a file.
    """
    found: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        if kind in (BaseModel, object) or not issubclass(kind, BaseModel):
            continue
        try:
            (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
        except (OSError, TypeError):
            continue
        assert isinstance(tree, ast.ClassDef)
        for field, below in zip(tree.body, tree.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
                said = below.value.value if isinstance(below.value, ast.Constant) else None
                if isinstance(said, str) and (unit := UNIT.fullmatch(said)):
                    found[field.target.id] = unit[1]
    return found


def _settings(config: BaseModel, fixed: Mapping[str, Any], above: str = "") -> Iterator[Setting]:
    units = units_of(type(config))
    written = config.model_dump(mode="json")
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            inner = fixed.get(name, {})
            yield from _settings(value, inner if isinstance(inner, Mapping) else {}, f"{above}{name}.")
            continue
        allowed = "fixed by the name" if name in fixed else _allowed(field)
        meaning = " ".join((field.description or "").split())
        yield Setting(f"{above}{name}", text_of(written[name]), units.get(name, ""), allowed, meaning)


def _allowed(field: FieldInfo) -> str:
    """Type and range of a field."""
    kind, bounds = _kind(field.annotation), _bounds(field.metadata)
    least = next((f"at least {m.min_length}" for m in field.metadata if isinstance(m, MinLen)), "")
    return ", ".join(part for part in (f"{kind} {bounds}".strip(), least) if part)


def _annotated(annotation: Any) -> tuple[Any, str]:
    """The type and the range of an annotated one."""
    kind, *metadata = get_args(annotation)
    return kind, _bounds(metadata)


def _bounds(metadata: Iterable[Any]) -> str:
    """The range of a number."""
    known = [m for part in metadata for m in (part.metadata if isinstance(part, FieldInfo) else [part])]
    low = next((f"≥ {m.ge}" if isinstance(m, Ge) else f"> {m.gt}" for m in known if isinstance(m, (Ge, Gt))), "")
    high = next((f"≤ {m.le}" if isinstance(m, Le) else f"< {m.lt}" for m in known if isinstance(m, (Le, Lt))), "")
    return ", ".join(bound for bound in (low, high) if bound)


def _kind(annotation: Any) -> str:
    """A type in words."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(map(str, parts))
    if origin in (Union, UnionType):
        return " or ".join("null" if part is NoneType else _kind(part) for part in parts)
    if origin in (tuple, list):
        kind, bounds = (parts[0], "") if get_origin(parts[0]) is not Annotated else _annotated(parts[0])
        return f"list of {_kind(kind)}s {bounds}".strip()
    return WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))
