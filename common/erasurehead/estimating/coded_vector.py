"""A vector that a worker sent."""

from __future__ import annotations

from dataclasses import dataclass

from erasurehead.arrays import IntArray, Vector


# Not frozen: one is made of every result, and freezing trebles what that costs.
@dataclass(slots=True, eq=False)
class CodedVector:
    """A coded gradient with the coded loss that belongs to it.

    Attributes
    ----------
    symbol: which row of the code's matrix it is coded by.
    support: the parameters that the values belong to, ascending; None: all parameters.
    values: the coded gradient on its support, shape (len(support),). An estimate may keep the
        array, so it must not change afterwards.
    loss: the sum of the tasks' losses, coded by the same row.
    """

    symbol: int
    support: IntArray | None
    values: Vector
    loss: float = 0.0
