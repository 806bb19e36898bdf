"""A YAML file of settings, as nested mappings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from erasurehead.errors import UsageError, reason_of
from erasurehead.settings.nested import plain
from erasurehead.settings.tree import TreeSettings

FORMAT = "# Settings in groups: format 2. (Format 1 had those of the main groups at the root.)\n"
"""The first line of a file, for people; `load` tells the formats apart by their keys."""


def as_yaml(settings: TreeSettings) -> str:
    """Return effective settings as text that `erasurehead.settings.sources.load` reads back."""
    return FORMAT + yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a file.

    Raises
    ------
    UsageError: it cannot be read, is no YAML, gives a key twice, or is no mapping.
    """
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), _OneOfEach)
    except OSError as error:
        raise UsageError(f"cannot read configuration {path}: {reason_of(error)}") from None
    except UnicodeDecodeError:
        raise UsageError(f"configuration {path} is not UTF-8 text; save it as such") from None
    except (yaml.YAMLError, ValueError) as error:  # a date that there is not is a ValueError
        reason = reason_of(error)
        raise UsageError(f"configuration {path} is not YAML: {reason}") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise UsageError(f"configuration {path} must be a mapping of settings to values")
    try:
        return plain(tree)
    except RecursionError:
        raise UsageError(
            f"configuration {path} holds something that contains itself; write the values out"
        ) from None


class _OneOfEach(yaml.SafeLoader):
    """Refuses keys that are given twice, of which YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is not None and key in seen:
                line = key_node.start_mark.line + 1
                raise yaml.YAMLError(f"'{key}' is given twice, the second time in line {line}")
            seen.add(key)
        return super().construct_mapping(node, deep)
