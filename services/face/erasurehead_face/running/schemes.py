"""Schemes as calls: ``eh.agc(c=3, r=3)`` is the text ``agc:c=3,r=3``.

The options and their types are those of the shorthands themselves, so the two cannot part.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

from erasurehead.errors import UsageError
from erasurehead.registry import Spec
from erasurehead.schemes import shorthands
from erasurehead.schemes.scheme import Scheme

P = ParamSpec("P")


def _as_text(shorthand: Callable[P, Scheme]) -> Callable[P, str]:
    """Return a function that takes the options of a shorthand and returns the scheme's text."""
    name = shorthand.__name__

    @functools.wraps(shorthand)
    def text(*args: P.args, **options: P.kwargs) -> str:
        if args:
            raise UsageError(
                f"scheme '{name}' takes its options by name; write for example {name}(c=3)"
            )
        said = {key: str(value) for key, value in options.items() if value is not None}
        spec = Spec(name, said)
        shorthands.SHORTHANDS.build(spec)
        return str(spec)

    text.__doc__ = (shorthand.__doc__ or "").replace("Return", "Return the text of", 1)
    text.__annotations__ = {**shorthand.__annotations__, "return": "str"}
    return text


uncoded = _as_text(shorthands.uncoded)
egc = _as_text(shorthands.egc)
agc = _as_text(shorthands.agc)
cached = _as_text(shorthands.cached)
