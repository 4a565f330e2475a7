"""Typed specs from YAML files: a mistake is one line that names file and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from accord.baselines.registry import explain
from accord.envs.errors import UsageError

M = TypeVar("M", bound=BaseModel)
MOST_VALUES = 100_000  # of a file; the largest suite has some hundreds


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


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Values in a node where every alias is written out."""
    if id(node) not in known:
        known[id(node)] = 1  # one that holds itself has no end, which the constructor says
        inside = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        parts = [] if isinstance(node, yaml.ScalarNode) else inside
        known[id(node)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(node)]


class _Loader(yaml.SafeLoader):
    """Plain values; no key twice in a mapping, of which YAML would take the last; no aliases that multiply."""

    def compose_document(self) -> yaml.Node | None:
        node = super().compose_document()
        if node is not None and _size(node, {}) > MOST_VALUES:
            raise yaml.MarkedYAMLError(problem=f"with its aliases it has more than {MOST_VALUES} values")
        return node

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
