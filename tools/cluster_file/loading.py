"""Reading of ``cluster.yaml``, which refuses a key that stands twice: YAML would take the last one."""

from __future__ import annotations

from typing import Any, TypeAlias

import yaml

Json: TypeAlias = dict[str, Any]


class ClusterFileError(Exception):
    """The file is no YAML mapping with unique keys."""


def load(text: str) -> Json:
    """Return the content of the file. Raises ClusterFileError."""
    try:
        _refuse_duplicates(yaml.compose(text, yaml.SafeLoader), set())
        loaded = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ClusterFileError(f"no YAML: {error}") from None
    if not isinstance(loaded, dict):
        raise ClusterFileError("no mapping")
    return loaded


def _refuse_duplicates(node: yaml.Node | None, seen: set[int]) -> None:
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_duplicates(item, seen)
    if isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if key.value in keys:
                raise ClusterFileError(f"line {key.start_mark.line + 1}: the key {key.value} stands twice")
            keys.add(key.value)
            _refuse_duplicates(value, seen)
