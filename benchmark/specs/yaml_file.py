"""Typed specs from YAML files: a mistake is one line that names file and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from accord.baselines.registry import explain
from accord.envs.errors import UsageError

M = TypeVar("M", bound=BaseModel)


def read_model(path: Path, model: type[M], **defaults: Any) -> M:
    """What a file says, as a model.

    Args:
        path: The file.
        model: Its type.
        defaults: Values of keys that the file need not have.

    Raises:
        UsageError: it cannot be read, is not YAML, has a key twice, an unknown key, a wrong type or a value out of
            range.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UsageError(
            f"{path}: a {model.__name__.lower()} is a mapping with the keys {', '.join(model.model_fields)}"
        )
    try:
        return model.model_validate({**defaults, **content})
    except ValidationError as error:
        raise UsageError(f"{path}: {explain(error)}") from None


class _Loader(yaml.SafeLoader):
    """Plain values, and no key twice in a mapping: YAML would take the last one and say nothing."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set[str]()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    line = key.start_mark.line + 1
                    raise yaml.MarkedYAMLError(problem=f"key '{key.value}' is given twice, in line {line}")
                seen.add(key.value)
        return node
