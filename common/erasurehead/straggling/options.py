"""Checks of the numbers a user may give to a delay model."""

from __future__ import annotations

import math

from erasurehead.errors import UsageError


def positive(model: str, option: str, value: float) -> float:
    """Return `value` if it is finite and above 0, else raise UsageError."""
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"{option}={value:g} of delay model '{model}' must be above 0 and finite")
    return value


def not_negative(model: str, option: str, value: float) -> float:
    """Return `value` if it is finite and at least 0, else raise UsageError."""
    if not (math.isfinite(value) and value >= 0):
        raise UsageError(
            f"{option}={value:g} of delay model '{model}' must be 0 or more and finite"
        )
    return value


def probability(model: str, option: str, value: float) -> float:
    """Return `value` if it is from 0 to 1, else raise UsageError."""
    if not 0 <= value <= 1:
        raise UsageError(f"{option}={value:g} of delay model '{model}' must be from 0 to 1")
    return value
