"""Named parts chosen by a short text: ``frc:c=3``, ``exponential:mean_s=0.5``.

A registry maps a name to a *factory*. The factory's positional parameters are the context that
the program supplies (number of workers, a generator, ...); its keyword-only parameters are the
options a user may write, converted to the annotated type. A new part is one new file and one
line in its registry.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from erasurehead.errors import UsageError
from erasurehead.misfits import misfit

T = TypeVar("T")

_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` when a known word is near, else an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


@dataclass(frozen=True)
class Spec:
    """A name with options, as written by a user; `str(spec)` is the text form."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Spec:
        """Read ``name`` or ``name:key=value,key=value``.

        A first piece that names a function of a module, ``name:package.module:function``, is the
        option ``build``.

        Raises
        ------
        UsageError: a piece after the colon is not ``key=value``, or a key comes twice.
        """
        name, _, rest = text.strip().partition(":")
        if not name:
            raise UsageError(f"'{text}' names nothing; expected 'name' or 'name:key=value,...'")
        options: dict[str, str] = {}
        for piece in filter(None, (p.strip() for p in rest.split(","))):
            key, equals, value = (s.strip() for s in piece.partition("="))
            if not equals and not options and _FUNCTION.fullmatch(piece):
                key, equals, value = "build", "=", piece
            if not equals or not key or not value:
                raise UsageError(f"'{piece}' in '{text}' is not of the form key=value")
            if key in options:
                raise UsageError(f"'{key}' is given twice in '{text}'; give it once")
            options[key] = value
        return cls(name, options)

    def __hash__(self) -> int:
        return hash((self.name, frozenset(self.options.items())))

    def __str__(self) -> str:
        if not self.options:
            return self.name
        return self.name + ":" + ",".join(f"{k}={v}" for k, v in self.options.items())


class Registry(Generic[T]):
    """The named factories of one kind of part.

    Parameters
    ----------
    what: the kind in words, for messages ("delay model").
    entries: name -> factory.
    example: how an option is given, for messages.
    """

    def __init__(
        self,
        what: str,
        entries: Mapping[str, Callable[..., T]],
        example: str = "{name}:{option}=...",
    ) -> None:
        self.what = what
        self._example = example
        self._entries = dict(entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def register(self, name: str, factory: Callable[..., T]) -> None:
        """Add a part from outside our packages.

        Raises
        ------
        UsageError: the name is taken.
        """
        if name in self._entries:
            raise UsageError(f"{self.what} '{name}' exists already; choose another name")
        self._entries[name] = factory

    def factory(self, name: str) -> Callable[..., T]:
        """Return the factory called `name`, or raise UsageError naming the nearest one."""
        try:
            return self._entries[name]
        except KeyError:
            raise UsageError(
                f"unknown {self.what} '{name}'{nearest(name, self._entries)};"
                f" known: {', '.join(self._entries)}"
            ) from None

    def options(self, name: str) -> dict[str, inspect.Parameter]:
        """Return the options the factory `name` takes, in order."""
        return _keyword_only(self.factory(name))

    def choices(self, name: str) -> dict[str, tuple[str, ...]]:
        """Return those options of the factory `name` that choose among names, with the names."""
        factory = self.factory(name)
        hints = _hints(factory)
        return {
            option: get_args(hints[option])
            for option in _keyword_only(factory)
            if get_origin(hints[option]) is Literal
        }

    def build(self, spec: Spec | str, /, *context: Any) -> T:
        """Make the part that `spec` names, in the given context.

        Raises
        ------
        UsageError: an unknown name or option, a missing option, a value of the wrong type, or
            whatever the factory itself refuses.
        """
        if isinstance(spec, str):
            spec = Spec.parse(spec)
        return self.factory(spec.name)(*context, **self._values(spec))

    def check(self, spec: Spec | str) -> None:
        """Refuse what `build` would refuse in any context.

        Raises
        ------
        UsageError: an unknown name or option, a missing option, or a value of the wrong type.
        """
        self._values(Spec.parse(spec) if isinstance(spec, str) else spec)

    def forms(self) -> list[str]:
        """Return each name with the options that must be given: ``exponential:mean_s=``."""
        return [_form(name, factory) for name, factory in self._entries.items()]

    def _values(self, spec: Spec) -> dict[str, Any]:
        """Return the options that a text gives, converted to the factory's types."""
        factory = self.factory(spec.name)
        accepted = _keyword_only(factory)
        hints = _hints(factory)
        values: dict[str, Any] = {}
        for key, text in spec.options.items():
            if key not in accepted:
                listing = ", ".join(accepted) or "none"
                raise UsageError(
                    f"{self.what} '{spec.name}' has no option '{key}'"
                    f"{nearest(key, accepted)}; its options: {listing}"
                )
            try:
                values[key] = TypeAdapter(hints[key]).validate_strings(text)
            except ValidationError as error:
                what = f"option {key}={text} of {self.what} '{spec.name}'"
                raise UsageError(misfit(what, key, error)) from None
        missing = [k for k, p in accepted.items() if p.default is p.empty and k not in values]
        if missing:
            raise UsageError(
                f"{self.what} '{spec.name}' needs {', '.join(missing)};"
                f" write for example {self._example.format(name=spec.name, option=missing[0])}"
            )
        return values


def _form(name: str, factory: Callable[..., Any]) -> str:
    required = [f"{k}=" for k, p in _keyword_only(factory).items() if p.default is p.empty]
    return f"{name}:{','.join(required)}" if required else name


@functools.cache
def _keyword_only(factory: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(factory).parameters
    return {k: p for k, p in parameters.items() if p.kind is p.KEYWORD_ONLY}


@functools.cache
def _hints(factory: Callable[..., Any]) -> dict[str, Any]:
    target = factory.__init__ if inspect.isclass(factory) else factory
    return get_type_hints(target)
