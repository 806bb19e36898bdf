"""What no rows of a store can be; looked for in pieces, because rows are mapped."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from erasurehead.arrays import Array
from erasurehead.rows import CsrRows

LOOKED_AT_ONCE = 1 << 22
"""Entries that are looked at together."""


def wrong_array(rows: CsrRows) -> tuple[str, str] | None:
    """Return which array of some rows cannot be, and why; None: all can."""
    checks: tuple[tuple[str, Array | None, Callable[[Array], str | None]], ...] = (
        ("indptr", rows.indptr, _decreasing),
        ("indices", rows.indices, partial(_beyond, rows.n_columns)),
        ("values", rows.values, _not_finite),
        ("weights", rows.weights, _no_weights),
        ("offsets", rows.offsets, _not_finite),
    )
    for name, array, check in checks:
        for lo in range(0, 0 if array is None else len(array), LOOKED_AT_ONCE):
            # One more, because what is wrong may lie between two pieces.
            reason = check(np.asarray(array)[lo : lo + LOOKED_AT_ONCE + 1])
            if reason is not None:
                return name, reason
    return None


def _decreasing(indptr: Array) -> str | None:
    return "a row ends before it begins" if (np.diff(indptr) < 0).any() else None


def _beyond(n_columns: int, indices: Array) -> str | None:
    low, high = int(indices.min()), int(indices.max())
    if low >= 0 and high < n_columns:
        return None
    return f"it names columns {low} to {high}, expected 0 to {n_columns - 1}"


def _not_finite(numbers: Array) -> str | None:
    return None if np.isfinite(numbers).all() else "some entries are not finite"


def _no_weights(weights: Array) -> str | None:
    fits = np.isfinite(weights) & (weights >= 0)
    return None if fits.all() else "some are no weights: finite and not below 0"
