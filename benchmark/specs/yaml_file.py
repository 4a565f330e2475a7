"""Typed specs from YAML files: a mistake is one line that names file and key."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from accord.baselines.registry import explain, refuse_flags
from accord.benchmark.places import Place
from accord.benchmark.specs.plain_yaml import parse
from accord.envs.errors import UsageError

M = TypeVar("M", bound=BaseModel)


def read_model(path: Place, model: type[M], **defaults: Any) -> M:
    """What a file says, as a model.

    Args:
        path: The file.
        model: Its type.
        defaults: Values of keys that the file need not have.

    Raises:
        UsageError: it cannot be read, is not YAML, has a key twice, an unknown key, a wrong type or a value out of
            range.
    """
    if path.exists() and not path.is_file():  # a device may have no end
        raise UsageError(f"{path}: no file")
    try:
        content = parse(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise UsageError(
            f"{path}: a {model.__name__.lower()} is a mapping with the keys {', '.join(model.model_fields)}"
        )
    try:
        refuse_flags(model, content)
        return model.model_validate({**defaults, **content})
    except ValidationError as error:
        raise UsageError(f"{path}: {explain(error)}") from None
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
