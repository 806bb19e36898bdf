"""How far an inverse Hessian must reach to tell what is left of the way to a minimum."""

from __future__ import annotations

import math
from collections.abc import Sequence


def far_scale(stretches: Sequence[float]) -> float:
    """Return the scale of the first inverse Hessian, far_scale D^-1, with which pairs predict.

    A quasi-Newton step starts from the scale s·y / y·D^-1 y, which is right where f curves much.
    What is left far into a run lies where f is flat, and g·H g / 2 is then ten to a hundred times
    too small. The other scale of a pair, s·D s / s·y, is never smaller, and right where f is flat:
    with its geometric mean over the pairs, g·H g / 2 is right within a factor of three in four
    rounds out of five (docs/finishing.md).

    Parameters
    ----------
    stretches: s·D s / s·y of each pair of changes s of the point and y of the gradient, in the
        metric D; above 0, at least one.
    """
    return math.exp(sum(map(math.log, stretches)) / len(stretches))
