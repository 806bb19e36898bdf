"""What a round has found out about the objective."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from erasurehead.arrays import FloatArray, IntArray, Vector

ROUNDING = 1e-14
"""Decode errors up to this are none."""

Ages = Sequence[int | None]
"""For each unit, how many rounds ago its remembered gradient was asked for; None: there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class UnitGradient:
    """A unit's gradient at one point; arrays are only to be read.

    Attributes
    ----------
    point: where it was taken, as the unit received it, shape (n_parameters,): its anchor, if it is
        the one that is remembered.
    support: the parameters that the values belong to, ascending; None: all of them.
    values: the sum over the unit's rows of their gradients, shape (len(support),).
    loss: the sum of their losses.
    """

    point: FloatArray
    support: IntArray | None
    values: Vector
    loss: float


@dataclass(frozen=True, slots=True, eq=False)
class Renewal:
    """What an arrival changes in what is remembered of its unit.

    Attributes
    ----------
    unit: its number.
    share: what the unit's sums count in the mean loss over all rows: sum_u share_u loss_u is the
        mean loss if all are taken at one point, and so for gradients.
    fresh: what has arrived.
    known: what was remembered when the round opened; None: the unit had never been heard.
    """

    unit: int
    share: float
    fresh: UnitGradient
    known: UnitGradient | None


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """What a closed round says of f(theta) = mean loss + penalty.

    The gradient leaves the penalty out: only a method knows the point at which it wants the
    penalty's own gradient, and a proximal step wants none.

    Attributes
    ----------
    round: counted from 1.
    loss: estimate of f at `Method.query`, the penalty included.
    gradient: estimate of the mean loss's gradient, shape (n_parameters,); only to be read, and
        valid until the next round.
    decode_error: how far the decoder is from the sum of all tasks, ||alpha - 1||^2 / n for the
        weights alpha that the tasks got; 0: the round is exact.
    renewals: of the units that have arrived, one each, in order of arrival. Here and in `ages`
        there is something only for a method that `follows_units`.
    ages: of all units when the round opened: 1 for those that the last round has renewed.
    anchors: for each unit, where its gradient was taken that was remembered when the round opened;
        None: there was none. Units that were heard in one round have the same array, which is also
        the point of what is known of them in `renewals`.
    """

    round: int
    loss: float
    gradient: FloatArray
    decode_error: float
    renewals: Sequence[Renewal] = ()
    ages: Ages = ()
    anchors: Sequence[FloatArray | None] = ()

    @property
    def is_exact(self) -> bool:
        """Whether the round has the full gradient, at the point that was broadcast."""
        return self.decode_error <= ROUNDING
