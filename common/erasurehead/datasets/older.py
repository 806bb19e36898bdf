"""What older versions wrote into manifests, and users into options, in today's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from erasurehead.rows import Target

OLD_TASKS: Mapping[Target, str] = {"two classes": "logistic", "numbers": "least-squares"}
"""What version 1 called the labels that it knew, by the loss that it took for them."""

OLD_KINDS = {"auto": "auto", "logistic": "two-classes", "least-squares": "numbers"}
"""From the values of the option ``task`` to those of ``labels``, which took its place."""


def upgraded(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a manifest of version 1 or 2 says, with the keys and values of version 3.

    Version 3 may have one array more. What no manifest of version 1 can hold is left as it is, for
    the checks that follow.
    """
    keys = {**raw, "format_version": 3}
    if raw["format_version"] == 2:
        return keys
    if "task" in keys and "target" not in keys:
        task = keys.pop("task")
        keys["target"] = next((t for t, old in OLD_TASKS.items() if old == task), task)
    source = keys.get("provenance")
    if isinstance(source, dict) and isinstance(source.get("options"), dict):
        keys["provenance"] = {**source, "options": renamed(source["options"])}
    return keys


def renamed(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a data set with the names and values that they have today."""
    if "task" not in options or "labels" in options:
        return dict(options)
    kind = next((new for old, new in OLD_KINDS.items() if old == options["task"]), options["task"])
    return {**{k: v for k, v in options.items() if k != "task"}, "labels": kind}
