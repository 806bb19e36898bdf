"""Many points to few, without losing what a reader would have seen."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from erasurehead_cli.results.series import FloatArray


def thin(x: FloatArray, y: FloatArray, n_bins: int = 160) -> tuple[FloatArray, FloatArray]:
    """Return the finite points of a line, at most 2 n_bins + 2 of them.

    Points are cut into runs of equal count; of each its lowest and its highest stay, so every
    spike does, as do the first and the last point.
    """
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    if len(x) <= 2 * n_bins + 2:
        return x, y
    keep = {0, len(x) - 1}
    for part in np.array_split(np.arange(len(x)), n_bins):
        keep.add(int(part[np.argmin(y[part])]))
        keep.add(int(part[np.argmax(y[part])]))
    index = np.array(sorted(keep))
    return x[index], y[index]


class Bins(NamedTuple):
    """Means, lowest and highest values of neighbouring points, and how many share a bin."""

    x: FloatArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray
    size: int


def binned(x: FloatArray, y: FloatArray, n_bins: int = 120) -> Bins:
    """Return the finite points, as bins of equal count once there are more than `n_bins`."""
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    size = max(1, -(-len(x) // n_bins))
    if not len(x):
        return Bins(x, y, y, y, size)
    starts = np.arange(0, len(x), size)
    counts = np.diff(np.append(starts, len(x)))
    return Bins(
        np.add.reduceat(x, starts) / counts,
        np.add.reduceat(y, starts) / counts,
        np.minimum.reduceat(y, starts),
        np.maximum.reduceat(y, starts),
        size,
    )
