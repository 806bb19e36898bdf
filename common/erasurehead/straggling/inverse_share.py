"""The inverse of a share of rounds, from counts that forget."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray


def inverse_share(made: FloatArray, rounds: FloatArray, squares: FloatArray) -> FloatArray:
    """Return about 1/x for the share x of rounds in which something happened, at least 1.

    With N the weight of all rounds and X that of those in which it happened, N/X is too large on
    average, by (1-x) x S/X^2 in the second order (S the sum of the rounds' squared weights), as 1/X
    is convex; (N + d)/(X + d) with d = S/N is not. Infinite for what never happened, before any
    round.

    Parameters
    ----------
    made: X of each thing, shape (m,).
    rounds, squares: N and S, shape (m,) or (1,).
    """
    spread = squares / rounds
    with np.errstate(divide="ignore"):
        return np.asarray((rounds + spread) / (made + spread))
