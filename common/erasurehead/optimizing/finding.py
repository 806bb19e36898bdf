"""What a round has found out about the objective."""

from __future__ import annotations

from dataclasses import dataclass

from erasurehead.arrays import FloatArray


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
    """

    round: int
    loss: float
    gradient: FloatArray
    decode_error: float
