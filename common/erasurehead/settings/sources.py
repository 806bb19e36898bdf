"""Where settings come from: the command line, the environment, a YAML file, defaults."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from erasurehead.errors import UsageError
from erasurehead.misfits import misfit
from erasurehead.registry import nearest
from erasurehead.settings.tree import (
    MasterSettings,
    RunSettings,
    TreeSettings,
    WorkerSettings,
    leaves,
)

ENV_PREFIX = "ERASUREHEAD_"
ENV_NESTING = "__"

COMMAND_LINE = "the command line"
ENVIRONMENT = "the environment"

S = TypeVar("S", bound=TreeSettings)


def load(
    cls: type[S],
    given: Mapping[str, Any],
    *,
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
    otherwise: Mapping[str, Any] | None = None,
) -> S:
    """Merge and validate the sources of a settings tree.

    Parameters
    ----------
    given: values from the command line, nested like the tree.
    config: a YAML file, or None.
    environment: defaults to the process's own.
    otherwise: what takes the place of the tree's own defaults.

    Raises
    ------
    UsageError: one sentence naming the source, the key and what was expected.
    """
    sources = {
        COMMAND_LINE: dict(given),
        ENVIRONMENT: _from_environment(cls, os.environ if environment is None else environment),
        f"{config}": _from_yaml(config) if config else {},
    }
    for source, tree in sources.items():
        for path in _paths(tree):
            _check_known(cls, path, source)
            _check_switch(cls, path, tree, source)
    merged: dict[str, Any] = dict(otherwise or {})
    for tree in reversed(sources.values()):
        _merge(merged, tree)
    try:
        return cls(**merged)
    except ValidationError as error:
        first = error.errors()[0]
        path = tuple(str(p) for p in first["loc"])
        key = ".".join(path)
        if first["type"] == "missing":
            raise UsageError(f"setting '{key}' is missing; give it with --{_flag(key)}") from None
        if first["type"] == "value_error":
            raise UsageError(first["msg"].removeprefix("Value error, ")) from None
        source = next((s for s, tree in sources.items() if path in _paths(tree)), "the defaults")
        what = f"setting '{key}' = {first['input']!r} from {source}"
        raise UsageError(misfit(what, _given_as(path, source), error)) from None


def _given_as(path: tuple[str, ...], source: str) -> str:
    """Return what a setting is called where it was given."""
    if source == COMMAND_LINE:
        return f"--{_flag('.'.join(path))}"
    return _variable(path) if source == ENVIRONMENT else "it"


def _variable(path: tuple[str, ...]) -> str:
    return ENV_PREFIX + ENV_NESTING.join(path).upper()


def _flag(key: str) -> str:
    return key.replace(".", "-").replace("_", "-")


def _paths(tree: Mapping[str, Any], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in tree.items():
        path = (*prefix, str(key))
        if isinstance(value, Mapping) and value:
            yield from _paths(value, path)
        else:
            yield path


def _check_known(cls: type[TreeSettings], path: tuple[str, ...], source: str) -> None:
    known = list(leaves(cls))
    if path not in known and not any(k[: len(path)] == path for k in known):
        names = [".".join(k) for k in known]
        raise UsageError(
            f"unknown setting '{'.'.join(path)}' in {source}{nearest('.'.join(path), names)}"
        )


def _check_switch(
    cls: type[TreeSettings], path: tuple[str, ...], tree: Mapping[str, Any], source: str
) -> None:
    """Refuse yes and no, which YAML also reads where a number or a word was meant."""
    value: Any = tree
    field: Any = None
    fields = cls.model_fields
    for key in path:
        value, field = value[key], fields.get(key)
        kind = None if field is None else field.annotation
        fields = getattr(kind, "model_fields", {})
    if isinstance(value, bool) and field is not None and field.annotation is not bool:
        raise UsageError(
            f"setting '{'.'.join(path)}' = {str(value).lower()} from {source} is no switch; give a"
            " number or a text, quoted if YAML takes it for yes or no"
        )


def _merge(into: dict[str, Any], tree: Mapping[str, Any]) -> None:
    for key, value in tree.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def _from_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), _OneOfEach)
    except OSError as error:
        raise UsageError(f"cannot read configuration {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"configuration {path} is not UTF-8 text; save it as such") from None
    except (yaml.YAMLError, ValueError) as error:  # a date that there is not is a ValueError
        reason = " ".join(str(error).split())
        raise UsageError(f"configuration {path} is not YAML: {reason}") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise UsageError(f"configuration {path} must be a mapping of settings to values")
    try:
        return _plain(tree)
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


def _plain(tree: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a tree of dictionaries with keys of text."""
    return {
        str(key): _plain(value) if isinstance(value, Mapping) else value
        for key, value in tree.items()
    }


def _from_environment(cls: type[TreeSettings], environment: Mapping[str, str]) -> dict[str, Any]:
    """Read the variables of this tree; a variable of another root of the tree is left alone."""
    every = {p for root in (RunSettings, MasterSettings, WorkerSettings) for p in leaves(root)}
    mine = set(leaves(cls))
    tree: dict[str, Any] = {}
    for variable, value in environment.items():
        if not variable.startswith(ENV_PREFIX):
            continue
        path = tuple(variable.removeprefix(ENV_PREFIX).lower().split(ENV_NESTING))
        if path not in every:
            names = [_variable(p) for p in sorted(every)]
            raise UsageError(
                f"unknown setting in environment variable {variable}{nearest(variable, names)}"
            )
        if path in mine:
            branch = tree
            for key in path[:-1]:
                branch = branch.setdefault(key, {})
            branch[path[-1]] = value
    return tree
