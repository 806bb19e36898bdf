"""Numbers to places on an axis, and the ticks beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from erasurehead_cli.results.series import FloatArray

LEAST_SIZE = 1e-290
"""Nearer to zero a value is zero to an axis: steps and ratios of such values vanish or overflow."""


@dataclass(frozen=True)
class Axis:
    """A range of values.

    Attributes
    ----------
    lo, hi: in the unit of the data; lo < hi, and lo > 0 if `log`.
    unit: what one unit of the labels is in the unit of the data (1e-3: milliseconds).
    """

    name: str
    lo: float
    hi: float
    log: bool = False
    unit: float = 1.0

    def place(self, values: FloatArray) -> FloatArray:
        """Return the place of each value: 0 at the low end, 1 at the high end."""
        if self.log:
            lo, hi = math.log(self.lo), math.log(self.hi)
            return np.asarray((np.log(values) - lo) / (hi - lo))
        return np.asarray((values - self.lo) / (self.hi - self.lo))

    def at(self, value: float) -> float:
        """Return the place of one value."""
        return float(self.place(np.array(value)))

    def ticks(self) -> list[tuple[float, str]]:
        """Return (place, label) of four to seven ticks."""
        lo, hi = self.lo / self.unit, self.hi / self.unit
        marks = _log_marks(lo, hi) if self.log else _linear_marks(lo, hi)
        places = self.place(np.array(marks) * self.unit)
        thousands = hi >= 10_000 and not self.log
        return [
            (float(place), f"{mark / 1000:.10g}k" if thousands and mark else f"{mark:.10g}")
            for place, mark in zip(places, marks, strict=True)
            if -1e-9 <= place <= 1 + 1e-9
        ]


def fit(
    name: str,
    data: Iterable[FloatArray],
    *,
    zero: bool = False,
    log_above: float = math.inf,
    tight: bool = False,
) -> Axis:
    """Return an axis that holds all finite values.

    Parameters
    ----------
    zero: start at 0.
    log_above: be logarithmic if all values are positive and the largest is more than so many
        times the smallest.
    tight: end at the last value of a linear axis; else leave a little room.
    """
    values = np.concatenate([np.ravel(part) for part in data] or [np.zeros(0)])
    values = values[np.isfinite(values)]
    values = np.where(np.abs(values) < LEAST_SIZE, 0.0, values)
    if not values.size:
        return Axis(name, 0.0, 1.0)
    lo, hi = float(values.min()), float(values.max())
    if lo > 0 and hi / lo > log_above:
        room = (hi / lo) ** 0.04
        return Axis(name, lo / room, hi * room, log=True)
    if zero:
        lo, hi = min(lo, 0.0), max(hi, 0.0)
    if hi - lo <= 1e-12 * max(abs(lo), abs(hi)):
        # One value, or the same everywhere: in the middle, with room in proportion to it.
        around = 0.05 * abs(lo) or 0.5
        lo, hi = (0.0, 1.0) if zero else (lo - around, hi + around)
    room = 0.0 if tight else 0.05 * (hi - lo)
    return Axis(name, lo if zero and lo == 0 else lo - room, hi + room)


def in_seconds(axis: Axis) -> Axis:
    """Return an axis of seconds, named and labelled in the unit that suits them."""
    if axis.hi < 0.5:
        return replace(axis, name=f"{axis.name} (ms)", unit=1e-3)
    return replace(axis, name=f"{axis.name} (s)")


def _linear_marks(lo: float, hi: float) -> list[float]:
    rough = (hi - lo) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= 0.999 * rough)
    first, last = math.ceil(lo / step - 1e-9), math.floor(hi / step + 1e-9)
    # Rounded, or 0.30000000000000004 becomes a label.
    return [round(n * step, 12 - math.floor(math.log10(step))) for n in range(first, last + 1)]


def _log_marks(lo: float, hi: float) -> list[float]:
    first, last = math.floor(math.log10(lo)), math.ceil(math.log10(hi))
    for within in ((1, 2, 5), (1, 3), (1,)):
        marks = [m * 10.0**p for p in range(first, last + 1) for m in within]
        marks = [m for m in marks if 0.999 * lo <= m <= 1.001 * hi]
        if len(marks) <= 7:
            break
    else:
        marks = marks[:: -(-len(marks) // 7)]
    # Less than a decade may hold no such mark at all.
    return marks if len(marks) >= 2 else _linear_marks(lo, hi)
