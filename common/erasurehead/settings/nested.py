"""Nested mappings of settings, read and changed by the path of a key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple[str, ...]
Tree = dict[str, Any]


def paths(tree: Mapping[str, Any], prefix: Path = ()) -> Iterator[Path]:
    """Yield the path of every value; an empty mapping counts as one."""
    for key, value in tree.items():
        path = (*prefix, str(key))
        if isinstance(value, Mapping) and value:
            yield from paths(value, path)
        else:
            yield path


def holds(tree: Mapping[str, Any], path: Path) -> bool:
    """Tell whether there is a value, or a branch, at a path."""
    for key in path:
        if not isinstance(tree, Mapping) or key not in tree:
            return False
        tree = tree[key]
    return True


def value_at(tree: Mapping[str, Any], path: Path) -> Any:
    """Return what `holds` has found."""
    for key in path:
        tree = tree[key]
    return tree


def put(tree: Tree, path: Path, value: Any) -> None:
    """Set a value, with the branches that lead to it."""
    for key in path[:-1]:
        tree = tree.setdefault(key, {})
    tree[path[-1]] = value


def take(tree: Tree, path: Path) -> Any:
    """Remove a value and return it; branches that are empty then go as well."""
    key, rest = path[0], path[1:]
    if not rest:
        return tree.pop(key)
    value = take(tree[key], rest)
    if not tree[key]:
        del tree[key]
    return value


def merge(into: Tree, tree: Mapping[str, Any]) -> None:
    """Let the values of `tree` take the place of those in `into`."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = plain(value) if isinstance(value, Mapping) else value


def plain(tree: Mapping[Any, Any]) -> Tree:
    """Return a copy of dictionaries with keys of text."""
    return {
        str(key): plain(value) if isinstance(value, Mapping) else value
        for key, value in tree.items()
    }
