"""YAML as people type it: plain values, no key twice, no aliases that multiply, no numbers that read as others."""

from __future__ import annotations

import re
from typing import Any

import yaml

from accord.envs.errors import UsageError

MOST_VALUES = 100_000  # of a file; the largest suite has some hundreds
OTHER_BASES = re.compile(r"[-+]?0[0-9_]+|.*:.*")  # 010 would be 8, and 1:30 be 90


def parse(text: str, where: str) -> Any:
    """What a text says.

    Args:
        text: YAML.
        where: What it is, for messages.

    Raises:
        UsageError: it is no YAML, or says what nobody means.
    """
    try:
        return yaml.load(text, _Loader)
    except RecursionError:
        raise UsageError(f"{where}: not valid YAML: it is nested too deeply") from None
    except (yaml.YAMLError, ValueError, AttributeError) as error:  # the last two where a value does not fit its tag
        raise UsageError(f"{where}: not valid YAML: {' '.join(str(error).split())}") from None


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Values in a node where every alias is written out."""
    if id(node) not in known:
        known[id(node)] = 1  # one that holds itself has no end, which the constructor says
        inside = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        parts = [] if isinstance(node, yaml.ScalarNode) else inside
        known[id(node)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(node)]


class _Loader(yaml.SafeLoader):
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

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        _check_decimal(node)
        return int(super().construct_yaml_int(node))

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        _check_decimal(node)
        return float(super().construct_yaml_float(node))


def _check_decimal(node: yaml.ScalarNode) -> None:
    if OTHER_BASES.fullmatch(node.value):
        line = node.start_mark.line + 1
        raise yaml.MarkedYAMLError(problem=f"'{node.value}' in line {line} is no number; allowed: like 30, 0.5, 1e-3")


for _kind in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", getattr(_Loader, f"construct_yaml_{_kind}"))
