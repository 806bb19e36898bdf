"""L-BFGS for objectives that are not convex, by Powell's damping."""

from __future__ import annotations

from typing import ClassVar

from erasurehead.optimizing.lbfgs import Lbfgs


class DampedLbfgs(Lbfgs):
    """`Lbfgs` that learns from every step, also where the objective curves downwards along it.

    `Lbfgs` leaves out a pair whose change y has no curvature s·y, and goes on with an image of
    places that it has left. Here such a pair, and one with less than a fifth of what was foreseen,
    is mixed with what H foresees itself (`NewtonSteps`), so that H stays positive definite.

    For neural networks, and other models that are not convex; on convex ones it seldom differs.
    """

    damping: ClassVar[float] = 0.2
