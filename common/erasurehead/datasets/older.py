"""What older versions wrote into manifests, and users into options, in today's words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from erasurehead.datasets.encodings.table import (
    Categories,
    Numbers,
    TableEncoding,
    Value,
    ValueType,
)
from erasurehead.rows import Target

OLD_TASKS: Mapping[Target, str] = {"two classes": "logistic", "numbers": "least-squares"}
"""What version 1 called the labels that it knew, by the loss that it took for them."""

OLD_COLUMNS = "columns.json"
"""File of a store of version 1 to 3 that was made from a table."""

OLD_CLASSES = ("-1", "+1")
"""The notes that held the names of two classes until version 4."""

OLD_KINDS = {"auto": "auto", "logistic": "two-classes", "least-squares": "numbers"}
"""From the values of the option ``task`` to those of ``labels``, which took its place."""


def upgraded(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a manifest of version 1 to 3 says, with the keys and values of version 4.

    Version 3 may have one array more than those before, version 4 has the classes' names and the
    entry of the encoding's file. What no manifest of an older version can hold is left as it is,
    for the checks that follow.
    """
    keys = {**raw, "format_version": 4}
    if not {"classes", "encoding"} & raw.keys():
        keys.update(classes=[], encoding=None)
    source = keys.get("provenance")
    if isinstance(source, dict) and isinstance(source.get("notes"), dict):
        notes = dict(source["notes"])
        keys["classes"] = [notes.pop(label) for label in OLD_CLASSES if label in notes]
        keys["provenance"] = {**source, "notes": notes}
    if raw["format_version"] > 1:
        return keys
    if "task" in keys and "target" not in keys:
        task = keys.pop("task")
        keys["target"] = next((t for t, old in OLD_TASKS.items() if old == task), task)
    source = keys.get("provenance")
    if isinstance(source, dict) and isinstance(source.get("options"), dict):
        keys["provenance"] = {**source, "options": renamed(source["options"])}
    return keys


def table_encoding(columns: bytes, labels: Target) -> TableEncoding:
    """Return the encoding that ``columns.json`` of a store of version 1 to 3 says.

    These stores did not say how columns were read; the values themselves tell it.

    Raises
    ------
    ValueError, LookupError, TypeError, AttributeError: it is none.
    """
    held = json.loads(columns)
    classes = tuple(map(str, held["classes"] or ()))
    return TableEncoding(
        target=held["target"],
        target_type=_type_of_names(classes),
        labels=labels,
        classes=classes,
        categorical=tuple(
            Categories(name, _type_of(values), tuple(values))
            for name, values in held["categorical"].items()
        ),
        numeric=tuple(
            Numbers(name, mean, deviation) for name, (mean, deviation) in held["numeric"].items()
        ),
    )


def _type_of_names(classes: Sequence[str]) -> ValueType:
    """Return how classes are compared of which the file kept the names only."""
    try:
        return _type_of([float(name) for name in classes])
    except ValueError:
        return "boolean" if set(classes) == {"False", "True"} else "text"


def _type_of(values: Sequence[Value]) -> ValueType:
    kinds: tuple[tuple[ValueType, Any], ...] = (
        ("boolean", bool),
        ("integer", int),
        ("number", int | float),
    )
    for value_type, python in kinds:
        if all(isinstance(value, python) for value in values):
            return value_type
    return "text"


def renamed(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a data set with the names and values that they have today."""
    if "task" not in options or "labels" in options:
        return dict(options)
    kind = next((new for old, new in OLD_KINDS.items() if old == options["task"]), options["task"])
    return {**{k: v for k, v in options.items() if k != "task"}, "labels": kind}
