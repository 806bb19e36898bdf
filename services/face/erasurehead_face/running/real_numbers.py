"""What a user hands in as real numbers, and in nothing else's place."""

from __future__ import annotations

from typing import Any

import numpy as np

from erasurehead.arrays import Array, FloatArray
from erasurehead.errors import DataError
from erasurehead.rows import LARGEST_SQUARED

NUMBERS, TEXTS, OBJECTS = "biuf", "SUT", "O"
"""Kinds of numpy's types. Dates and spans of time are none of these: numpy would take them for
counts of some unit, and one that is missing for -2^63."""


def array_of(given: Any, what: str) -> Array:
    """Return an array; it may be the user's own, which is only read.

    Raises
    ------
    DataError: its entries have no common shape, or some are masked: numpy takes what lies under the
        mask for numbers like others.
    """
    if np.ma.isMaskedArray(given) and np.ma.is_masked(given):
        raise DataError(f"{what} has masked entries; fill them in or leave their rows out")
    try:
        return np.asarray(given)
    except ValueError:
        raise DataError(
            f"{what} has entries of different lengths; give as many numbers in each row"
        ) from None


def numbers_of(given: Any, what: str, advice: str) -> FloatArray:
    """Return an array of any shape in float64; it may be the user's own, which is only read.

    Parameters
    ----------
    what: the array in words.
    advice: what to do where it holds something other than numbers.

    Raises
    ------
    DataError: it holds something other than real numbers, or missing ones among objects.
    """
    table = array_of(given, what)
    if table.dtype.kind == OBJECTS and any(map(is_missing, table.flat)):
        raise DataError(f"{what} holds missing entries; fill them in or leave their rows out")
    try:
        if table.dtype.kind not in NUMBERS + TEXTS + OBJECTS or _holds_others(table):
            raise TypeError
        with np.errstate(over="ignore"):  # what is beyond float64 becomes infinite
            return table.astype(np.float64, copy=False)
    except OverflowError:
        raise DataError(
            f"{what} holds a whole number beyond what a float can say; give it in larger units"
        ) from None
    except (TypeError, ValueError):
        raise DataError(
            f"{what} holds entries of type {table.dtype}, which are no real numbers; {advice}"
        ) from None


def check_size(numbers: FloatArray, what: str) -> None:
    """Refuse what is not finite, or too large for its square, and so for a loss.

    Raises
    ------
    DataError: there is such a number.
    """
    low, high = float(numbers.min(initial=0.0)), float(numbers.max(initial=0.0))
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError(
            f"{what} holds NaN or infinite entries; fill them in or leave their rows out"
        )
    largest = max(-low, high)
    if largest > LARGEST_SQUARED:
        raise DataError(
            f"{what} holds {high if high == largest else low:g}, whose square is no number; give it"
            " in larger units"
        )


def is_missing(value: Any) -> bool:
    """Tell None, NaN and pandas' NA, which is neither equal to itself nor different from it."""
    if value is None:
        return True
    different = value != value
    return not isinstance(different, bool | np.bool_) or bool(different)


def _holds_others(table: Array) -> bool:
    """Tell whether there are objects that numpy makes numbers of although they are none."""
    others = np.datetime64 | np.timedelta64 | np.complexfloating | complex
    return table.dtype.kind == OBJECTS and any(isinstance(value, others) for value in table.flat)
