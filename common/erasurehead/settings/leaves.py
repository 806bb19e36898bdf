"""Every setting of a tree, with its names: in a file, on the command line, in the environment."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from erasurehead.settings.parts import Choice
from erasurehead.settings.section import MainSection, Section

SettingPath = tuple[str, ...]

ENV_PREFIX = "ERASUREHEAD_"
ENV_NESTING = "__"

_DEFAULT = " [default: "
"""Where the default is no value but a rule, the description ends in it."""


@dataclass(frozen=True)
class Setting:
    """A leaf of the tree.

    Attributes
    ----------
    path: keys from the root, as YAML has them.
    name: the same without the name of a main group, as command line and environment have them.
    group: what the class that declares it says of itself, in its first line.
    """

    path: SettingPath
    name: SettingPath
    field: FieldInfo
    group: str

    @property
    def flag(self) -> str:
        """The option without its dashes: ``wire-max-frame-bytes``."""
        return flag(self.name)

    @property
    def kind(self) -> Any:
        """The type of its value; None and words in its place aside."""
        kind = self.field.annotation
        if get_origin(kind) in (Union, types.UnionType):
            kind = next(k for k in get_args(kind) if k is not type(None))
        while get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        return kind

    @property
    def words(self) -> tuple[str, ...]:
        """What may stand in place of a value of that type."""
        kinds = get_args(self.field.annotation)
        return tuple(str(w) for k in kinds if get_origin(k) is Literal for w in get_args(k))

    @property
    def is_list(self) -> bool:
        """True when it takes several values: an option that may be repeated."""
        return get_origin(self.kind) is tuple

    @property
    def values(self) -> str:
        """What may stand after the option, in one word."""
        if get_origin(self.kind) is Literal:
            return "|".join(str(value) for value in get_args(self.kind))
        if self.is_list:
            return "TEXT" if _choices(self.field) else "FILE|MODULE"
        kinds = {int: "N", float: "NUMBER", Path: "PATH", bool: "yes|no"}
        return "|".join([kinds.get(self.kind, "TEXT"), *self.words])

    @property
    def forms(self) -> list[str]:
        """What may be written, where a registry knows; this loads it."""
        return [form for choice in _choices(self.field) for form in choice.forms()]

    @property
    def default(self) -> str | None:
        """The default as text; None where there is none or the description tells it."""
        if self.field.is_required() or self.field.default in (None, ()):
            return None
        default = self.field.default
        return " ".join(default) if self.is_list else str(default)

    @property
    def help(self) -> str:
        """Description, unit, what may be written, and default; this loads the registry."""
        return f"{self.told} [default: {self.rule}]" if self.rule else self.told

    @property
    def told(self) -> str:
        """The description without the default, and what may be written."""
        told, _, _ = (self.field.description or "").partition(_DEFAULT)
        return f"{told}: {' | '.join(self.forms)}" if self.forms else told

    @property
    def rule(self) -> str:
        """The default: a value, or the rule in which the description ends; may be empty."""
        _, _, rule = (self.field.description or "").partition(_DEFAULT)
        return rule.rstrip("]") if self.default is None else self.default


def settings_of(cls: type[BaseModel]) -> Iterator[Setting]:
    """Yield every leaf of a tree, in order."""
    yield from _below(cls, (), ())


def key(path: SettingPath) -> str:
    """Return a path as messages and docs write it: ``wire.max_frame_bytes``."""
    return ".".join(path)


def flag(name: SettingPath) -> str:
    """Return the option without its dashes: ``wire-max-frame-bytes``."""
    return "-".join(name).replace("_", "-")


def variable(name: SettingPath) -> str:
    """Return the environment variable: ``ERASUREHEAD_WIRE__MAX_FRAME_BYTES``."""
    return ENV_PREFIX + ENV_NESTING.join(name).upper()


def _below(cls: type[BaseModel], path: SettingPath, name: SettingPath) -> Iterator[Setting]:
    for own, field in cls.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            inner = name if issubclass(kind, MainSection) else (*name, own)
            yield from _below(kind, (*path, own), inner)
        else:
            declared_in = next(
                c for c in reversed(cls.__mro__) if own in vars(c).get("__annotations__", {})
            )
            yield Setting((*path, own), (*name, own), field, _first_line(declared_in))


def _choices(field: FieldInfo) -> list[Choice]:
    """Return the metadata that says which texts are taken; ``X | None`` keeps it in the type."""
    inner = [m for kind in get_args(field.annotation) for m in getattr(kind, "__metadata__", ())]
    return [m for m in (*field.metadata, *inner) if isinstance(m, Choice)]


def _first_line(cls: type) -> str:
    return (cls.__doc__ or cls.__name__).strip().splitlines()[0].rstrip(".")
