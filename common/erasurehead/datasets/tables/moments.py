"""Mean and deviation of numbers that come in pieces."""

from __future__ import annotations

import math

import numpy as np

from erasurehead.arrays import FloatArray

ROUNDING = 8.0
"""A deviation of so many units in the last place of the mean is one of rounding alone."""

HUGE = 2.0**1000


class Moments:
    """Mean and deviation (of the population) of numbers of one column.

    Numbers are brought to at most 1 by a power of two before they are squared, so that no square
    overflows or vanishes. Pieces are joined as in Chan, Golub and LeVeque, "Updating formulae and a
    pairwise algorithm for computing sample variances", 1979, equation 2.1; of a single piece the
    results are those of `numpy.mean` and `numpy.std`, to the last bit.

    Parameters
    ----------
    largest: no number is larger in size.
    """

    def __init__(self, largest: float) -> None:
        # At most 1023, because 2 ** 1024 is no number.
        self._exponent = min(math.frexp(largest)[1], 1023) if largest else 0
        self._count = 0
        self._mean = 0.0
        self._squares = 0.0
        self._least, self._most = math.inf, -math.inf

    def add(self, numbers: FloatArray) -> None:
        """Take numbers in, shape (n,)."""
        if not len(numbers):
            return
        self._least = min(self._least, float(numbers.min()))
        self._most = max(self._most, float(numbers.max()))
        scaled = np.ldexp(numbers, -self._exponent)
        mean = float(scaled.mean())
        scaled -= mean
        squares = float(np.square(scaled, out=scaled).sum())
        total = self._count + len(numbers)
        apart = mean - self._mean
        self._squares += squares
        if self._count:
            self._squares += apart * apart * self._count * len(numbers) / total
            self._mean += apart * len(numbers) / total
        else:
            self._mean = mean
        self._count = total

    @property
    def mean(self) -> float:
        """The mean of the numbers so far."""
        return self._least if self._is_constant else math.ldexp(self._mean, self._exponent)

    @property
    def deviation(self) -> float:
        """Their deviation; 0 if it is what rounding alone makes."""
        if self._is_constant:
            return 0.0
        scaled = math.sqrt(self._squares / self._count)
        if scaled <= ROUNDING * np.finfo(np.float64).eps * abs(self._mean):
            return 0.0
        return math.ldexp(scaled, self._exponent)

    @property
    def _is_constant(self) -> bool:
        return self._least == self._most


def moments(numbers: FloatArray) -> tuple[float, float]:
    """Return mean and deviation of numbers, shape (n,)."""
    found = Moments(float(np.abs(numbers).max(initial=0.0)))
    found.add(numbers)
    return found.mean, found.deviation


def standardised(
    numbers: FloatArray, mean: float, deviation: float, out: FloatArray | None = None
) -> FloatArray:
    """Return numbers less the mean, over the deviation (0: over one), shape (n,); in `out`, if any.

    The difference of two numbers near the largest that there are is taken at a quarter of them.
    """
    over = deviation or 1.0
    if max(abs(mean), over) < HUGE:
        out = np.subtract(numbers, mean, out=out)
    else:
        out = np.subtract(numbers * 0.25, mean * 0.25, out=out)
        over *= 0.25
    out /= over
    return out
