"""The decoder that a code is made for, said where the code is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

ANY_CODE = "least-squares"
"""The decoder of codes that say nothing."""


def decoded_by(decoder: str) -> Callable[[F], F]:
    """Mark a code's factory with the text of the decoder that schemes take if they name none."""

    def mark(factory: F) -> F:
        vars(factory)["decoder"] = decoder
        return factory

    return mark


def suitable_decoder(factory: Callable[..., Any]) -> str:
    """Return the text of the decoder that a code's factory was marked with."""
    return str(vars(factory).get("decoder", ANY_CODE))
