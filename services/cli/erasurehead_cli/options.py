"""Command-line options made from the settings tree, so that no setting is listed twice.

A command that takes settings is written as ``def train(given: Given, store: ...)`` and decorated
with `with_settings`; typer then sees its own parameters, one option a leaf of the tree, and
``--config``.
"""

from __future__ import annotations

import functools
import inspect
import math
import types
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from rich.markup import escape

from erasurehead.errors import UsageError
from erasurehead.settings.sources import S, load
from erasurehead.settings.tree import Section, TreeSettings

SettingPath = tuple[str, ...]


@dataclass(frozen=True)
class Setting:
    """A leaf of the tree.

    Attributes
    ----------
    path: keys from the root.
    group: what the class that declares it says of itself, in its first line.
    """

    path: SettingPath
    field: FieldInfo
    group: str

    @property
    def flag(self) -> str:
        """The option without its dashes: ``wire-max-frame-bytes``."""
        return "-".join(self.path).replace("_", "-")

    @property
    def kind(self) -> Any:
        """The type of its value; None aside."""
        kind = self.field.annotation
        if get_origin(kind) in (Union, types.UnionType):
            [kind] = [k for k in get_args(kind) if k is not type(None)]
        while get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        return kind

    @property
    def values(self) -> str:
        """What may stand after the option, in one word."""
        if get_origin(self.kind) is Literal:
            return "|".join(str(value) for value in get_args(self.kind))
        return {int: "N", float: "NUMBER", Path: "PATH", bool: "yes|no"}.get(self.kind, "TEXT")

    @property
    def default(self) -> str | None:
        """The default as text; None where there is none or the description tells it."""
        if self.field.is_required() or self.field.default is None:
            return None
        return str(self.field.default)

    @property
    def help(self) -> str:
        """Description, unit and default."""
        told = self.field.description or ""
        return told if self.default is None else f"{told} [default: {self.default}]"


def settings_of(cls: type[BaseModel], prefix: SettingPath = ()) -> Iterator[Setting]:
    """Yield every leaf of a tree, in order."""
    for name, field in cls.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from settings_of(kind, (*prefix, name))
        else:
            declared_in = next(
                c for c in reversed(cls.__mro__) if name in vars(c).get("__annotations__", {})
            )
            yield Setting((*prefix, name), field, _first_line(declared_in))


@dataclass(frozen=True)
class Given:
    """What the command line gave, before environment, file and defaults are asked."""

    tree: Mapping[str, Any]
    config: Path | None

    def load(self, cls: type[S], otherwise: Mapping[str, Any] | None = None, **arguments: Any) -> S:
        """Merge with the other sources and check the whole.

        Parameters
        ----------
        otherwise: what takes the place of the tree's own defaults.
        arguments: settings that a command takes as an argument of its own; None: not given.

        Raises
        ------
        UsageError: a setting is wrong, or given both ways.
        """
        tree = dict(self.tree)
        for name, value in arguments.items():
            if value is None:
                continue
            if tree.get(name, value) != value:
                raise UsageError(
                    f"{name} is given twice, as argument '{value}' and as --{name} {tree[name]};"
                    " give it once"
                )
            tree[name] = value
        return load(cls, tree, config=self.config, otherwise=otherwise)


def with_settings(
    cls: type[TreeSettings], leave_out: Collection[str] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command one option for each setting of a tree.

    Parameters
    ----------
    leave_out: top-level settings that the command takes in another way.
    """
    options = {
        "setting__" + "__".join(s.path): s for s in settings_of(cls) if s.path[0] not in leave_out
    }

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]

        @functools.wraps(command)
        def run(**values: Any) -> Any:
            config = values.pop("config")
            tree: dict[str, Any] = {}
            for name, setting in options.items():
                value = values.pop(name)
                if value is not None:
                    branch = tree
                    for key in setting.path[:-1]:
                        branch = branch.setdefault(key, {})
                    branch[setting.path[-1]] = value
            return command(Given(tree, config), **values)

        parameters = [p.replace(kind=p.KEYWORD_ONLY) for p in own]
        parameters.append(_parameter("config", Path | None, _CONFIG))
        parameters += [_option(name, setting) for name, setting in options.items()]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate


_CONFIG = typer.Option(
    "--config",
    metavar="FILE",
    help="YAML file of settings; options and ERASUREHEAD_... variables come before it",
)


def _option(name: str, setting: Setting) -> inspect.Parameter:
    switch = setting.kind is bool
    info = typer.Option(
        f"--{setting.flag}/--no-{setting.flag}" if switch else f"--{setting.flag}",
        metavar=None if switch else setting.values,
        help=escape(setting.help),
        rich_help_panel=setting.group,
    )
    # Text: the tree itself reads and checks the value, with one sentence of its own.
    return _parameter(name, bool | None if switch else str | None, info)


def _parameter(name: str, kind: Any, info: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, info]
    )


def _first_line(cls: type) -> str:
    return (cls.__doc__ or cls.__name__).strip().splitlines()[0].rstrip(".")


def check_target(target: float | None) -> None:
    """Refuse a target that no metric reaches.

    Raises
    ------
    UsageError: it is not finite.
    """
    if target is not None and not math.isfinite(target):
        raise UsageError(f"--target {target} is not a number to reach")
