"""How each source spells a setting, and the spellings of older versions that it still takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from erasurehead.errors import UsageError
from erasurehead.settings.leaves import Setting, SettingPath, flag, key, settings_of, variable
from erasurehead.settings.nested import Tree, holds, put, take
from erasurehead.settings.tree import TreeSettings


@dataclass(frozen=True)
class Spelling:
    """How a source names settings.

    Attributes
    ----------
    path: the keys under which the source has a setting.
    show: such keys as a user writes them there.
    """

    path: Callable[[Setting], SettingPath]
    show: Callable[[SettingPath], str]


COMMAND_LINE = Spelling(lambda setting: setting.name, lambda name: f"--{flag(name)}")
PYTHON = Spelling(lambda setting: setting.name, key)
ENVIRONMENT = Spelling(lambda setting: setting.name, variable)
YAML = Spelling(lambda setting: setting.path, key)


@dataclass(frozen=True)
class Renamed:
    """A setting that had another name, or other words for its values.

    Attributes
    ----------
    old: what all sources called it.
    new: its path in the tree now.
    values: old value -> new value, where it is another.
    """

    old: SettingPath
    new: SettingPath
    values: Mapping[str, str] = field(default_factory=dict)


RENAMED = (
    Renamed(("objective",), ("problem", "model")),
    Renamed(("wire", "dtype"), ("wire", "format"), {"<f8": "f8", "<f4": "f4"}),
    Renamed(("membership", "elastic"), ("refit", "elastic")),
    Renamed(("membership", "rebuild_after_s"), ("refit", "rebuild_after_s")),
    Renamed(("membership", "regroup_after_rounds"), ("refit", "regroup_after_rounds")),
)
"""Besides these, YAML had the settings of the main groups at its root (until 0.2)."""


def renamed(cls: type[TreeSettings], spelling: Spelling) -> Iterator[tuple[Renamed, Setting]]:
    """Yield what a source may still call otherwise, with the setting that it means."""
    settings = {setting.path: setting for setting in settings_of(cls)}
    for entry in RENAMED:
        if entry.new in settings:
            yield entry, settings[entry.new]
    for setting in settings.values():
        if setting.name != spelling.path(setting):
            yield Renamed(setting.name, setting.path), setting


def modernise(cls: type[TreeSettings], tree: Tree, spelling: Spelling, source: str) -> str | None:
    """Put the values of old spellings, in place, where they belong now.

    Returns what a user should write instead, in one sentence; None if nothing was old.

    Raises
    ------
    UsageError: something is given in both spellings.
    """
    instead = []
    for entry, setting in renamed(cls, spelling):
        if not holds(tree, entry.old):
            continue
        new = spelling.path(setting)
        was, now = spelling.show(entry.old), spelling.show(new)
        if holds(tree, new):
            raise UsageError(f"{was} and {now} in {source} are the same setting; keep {now} alone")
        value: Any = take(tree, entry.old)
        if isinstance(value, str) and value in entry.values:
            put(tree, new, entry.values[value])
            was, now = f"{was}={value}", f"{now}={entry.values[value]}"
        else:
            put(tree, new, value)
        instead.append(f"{now} for {was}")
    if not instead:
        return None
    return f"{source} has old spellings, which are still taken; write {', '.join(instead)}"
