"""Checks of the numbers a user may give to a delay model."""

from __future__ import annotations

from erasurehead.errors import UsageError

MOST = 1e9
"""Of any number here; as seconds that is thirty years."""


def positive(model: str, option: str, value: float) -> float:
    """Return `value` if it is above 0 and at most `MOST`, else raise UsageError."""
    if not 0 < value <= MOST:
        raise UsageError(
            f"{option}={value:g} of delay model '{model}' must be above 0 and at most {MOST:g}"
        )
    return value


def not_negative(model: str, option: str, value: float) -> float:
    """Return `value` if it is from 0 to `MOST`, else raise UsageError."""
    if not 0 <= value <= MOST:
        raise UsageError(f"{option}={value:g} of delay model '{model}' must be from 0 to {MOST:g}")
    return value


def probability(model: str, option: str, value: float) -> float:
    """Return `value` if it is from 0 to 1, else raise UsageError."""
    if not 0 <= value <= 1:
        raise UsageError(f"{option}={value:g} of delay model '{model}' must be from 0 to 1")
    return value
