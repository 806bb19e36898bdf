"""Where settings come from: the command line, the environment, a YAML file, defaults."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from erasurehead.errors import UsageError
from erasurehead.misfits import misfit
from erasurehead.registry import Spec, nearest
from erasurehead.settings import spellings
from erasurehead.settings.leaves import ENV_NESTING, ENV_PREFIX, Setting, key, settings_of, variable
from erasurehead.settings.nested import Tree, holds, merge, paths, plain, put, take, value_at
from erasurehead.settings.parts import MISNAMED, RECORDED
from erasurehead.settings.plugins import load_plugins
from erasurehead.settings.service_variables import service_variables
from erasurehead.settings.spellings import RENAMED, Spelling, modernise
from erasurehead.settings.tree import (
    MasterSettings,
    RunSettings,
    SlurmSettings,
    TreeSettings,
    WorkerSettings,
)
from erasurehead.settings.yaml_file import read_yaml

log = logging.getLogger(__name__)

S = TypeVar("S", bound=TreeSettings)


@dataclass(frozen=True)
class Source:
    """What one place says.

    Attributes
    ----------
    what: the place in words.
    tree: values as it nests and spells them.
    """

    what: str
    tree: Tree
    spelling: Spelling

    def read(self, cls: type[TreeSettings]) -> Tree:
        """Return the values nested as in the tree.

        Raises
        ------
        UsageError: a key is unknown, or a switch stands where none is.
        """
        known = {self.spelling.path(setting): setting for setting in settings_of(cls)}
        for path in paths(self.tree):
            self._check_known(path, known)
            if path in known:
                self._check_switch(path, known[path])
        tree = plain(self.tree)
        for path, setting in known.items():
            if path != setting.path and holds(tree, path):
                put(tree, setting.path, take(tree, path))
        return tree

    def told(self, setting: Setting) -> str:
        """Return what a user writes there for a setting."""
        return self.spelling.show(self.spelling.path(setting))

    def _check_known(self, path: tuple[str, ...], known: Mapping[tuple[str, ...], Setting]) -> None:
        if any(k[: len(path)] == path for k in known):
            return
        # What is near may be another source's spelling of it: the answer is in ours.
        meant = {key(s.path): key(k) for k, s in known.items()}
        meant |= {key(s.name): key(k) for k, s in known.items()}
        raise UsageError(
            f"unknown setting '{key(path)}' in {self.what}{_did_you_mean(key(path), meant)}"
        )

    def _check_switch(self, path: tuple[str, ...], setting: Setting) -> None:
        """Refuse yes and no, which YAML also reads where a number or a word was meant."""
        value = value_at(self.tree, path)
        if isinstance(value, bool) and setting.kind is not bool:
            raise UsageError(
                f"setting '{key(path)}' = {str(value).lower()} from {self.what} is no switch; give"
                " a number or a text, quoted if YAML takes it for yes or no"
            )


def load(
    cls: type[S],
    given: Mapping[str, Any],
    *,
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
    otherwise: Mapping[str, Any] | None = None,
    recorded: bool = False,
    given_as: tuple[str, Spelling] = ("the command line", spellings.COMMAND_LINE),
    warn: Callable[[str], None] = log.warning,
) -> S:
    """Merge and validate the sources of a settings tree.

    Parameters
    ----------
    given: values spelled as on the command line: ``{"rounds": 5, "wire": {"dense_share": 1}}``.
    config: a YAML file, or None.
    environment: defaults to the process's own.
    otherwise: what takes the place of the tree's own defaults, spelled like `given`.
    recorded: the file was written by a run, perhaps of an older version: its spellings are no
        news, and the parts that it names are not looked up.
    given_as: where `given` comes from, in words, and how that place spells settings: its values
        nest as on the command line.
    warn: told, in one sentence a source, of spellings that are old.

    Raises
    ------
    UsageError: one sentence naming the source, the key and what was expected.
    """
    variables = _from_environment(cls, os.environ if environment is None else environment)
    sources = [
        Source(given_as[0], plain(given), given_as[1]),
        Source("the environment", variables, spellings.ENVIRONMENT),
        Source(f"{config}", read_yaml(config) if config else {}, spellings.YAML),
        Source("the defaults", plain(otherwise or {}), spellings.COMMAND_LINE),
    ]
    for source in sources:
        old = modernise(cls, source.tree, source.spelling, source.what)
        if old is not None and not recorded:
            warn(old)
    trees = [source.read(cls) for source in sources]
    # A group that has a setting without a default, so that this is found missing and not the group.
    merged: Tree = {name: {} for name, field in cls.model_fields.items() if field.is_required()}
    for tree in reversed(trees):
        merge(merged, tree)
    if not recorded:
        # Before the check, which looks names up.
        load_plugins(_names(merged.get("plugin", ())))
        load_plugins(_functions(merged))
    try:
        return cls.model_validate(merged, context={RECORDED: recorded})
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "value_error":
            raise UsageError(first["msg"].removeprefix("Value error, ")) from None
        path = tuple(str(p) for p in first["loc"])
        found = [s for s, tree in zip(sources, trees, strict=True) if path in paths(tree)]
        raise _refusal(cls, path, found[0] if found else sources[-1], error) from None


def _refusal(
    cls: type[TreeSettings], path: tuple[str, ...], source: Source, error: ValidationError
) -> UsageError:
    """Return one sentence on the first error, in the words of the source that the value is from."""
    first = error.errors()[0]
    setting = next((s for s in settings_of(cls) if s.path == path), None)
    called = key(path if setting is None else source.spelling.path(setting))
    if first["type"] == "missing" and setting is not None:
        return UsageError(
            f"setting '{key(setting.name)}' is missing; give it with --{setting.flag}"
        )
    in_file = source.spelling is spellings.YAML
    if first["type"] == MISNAMED and setting is not None:
        where = f"{called} in {source.what}" if in_file else source.told(setting)
        return UsageError(f"{where}: {first['msg']}")
    what = f"setting '{called}' = {first['input']!r} from {source.what}"
    name = "it" if setting is None or in_file else source.told(setting)
    return UsageError(misfit(what, name, error))


def _names(given: object) -> list[str]:
    """Return the plug-ins that a source names, as a list or in a text with commas."""
    if isinstance(given, str):
        return given.split(",")
    return [name for name in given if isinstance(name, str)] if isinstance(given, Sequence) else []


def _functions(merged: Tree) -> list[str]:
    """Return the function that a user names as a torch model, unless a plug-in has brought it.

    By naming it, its user lets it run in this process and in the workers that it starts.
    """
    try:
        model = merged["problem"]["model"]
        build = Spec.parse(model).options["build"] if isinstance(model, str) else ""
    except (KeyError, UsageError):
        return []  # what is wrong with it, the check says
    # Not at the top: the command line starts without numpy.
    from erasurehead.models.torch_module import BUILDS

    return [build] if ":" in build and build not in BUILDS else []


def _did_you_mean(word: str, meant: Mapping[str, str]) -> str:
    """Return `nearest`, answering with what the nearest known word stands for."""
    found = nearest(word, meant)
    return next((f" (did you mean '{meant[k]}'?)" for k in meant if f"'{k}'" in found), "")


def _from_environment(cls: type[TreeSettings], environment: Mapping[str, str]) -> Tree:
    """Read the variables of this tree; a variable of another root of the tree is left alone."""
    roots: set[type[TreeSettings]] = {
        RunSettings,
        MasterSettings,
        SlurmSettings,
        WorkerSettings,
        cls,
    }
    every = {root: list(settings_of(root)) for root in roots}
    old = {entry.old: entry.new for entry in RENAMED}
    known = {s.name for settings in every.values() for s in settings} | set(old)
    mine = {s.name for s in every[cls]}
    mine |= {name for name, new in old.items() if any(s.path == new for s in every[cls])}
    tree: Tree = {}
    foreign = service_variables(environment)
    for given, value in environment.items():
        if not given.startswith(ENV_PREFIX) or given in foreign:
            continue
        name = tuple(given.removeprefix(ENV_PREFIX).lower().split(ENV_NESTING))
        if name not in known:
            meant = {
                variable(spelled): variable(s.name)
                for settings in every.values()
                for s in settings
                for spelled in (s.path, s.name)
            }
            raise UsageError(
                f"unknown setting in environment variable {given}{_did_you_mean(given, meant)}"
            )
        if name in mine:
            put(tree, name, value)
    return tree
