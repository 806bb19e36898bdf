"""What a coding makes of the rounds of a run, as methods are told of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from erasurehead.estimating.base import GradientEstimate
from erasurehead.optimizing.base import RoundKind
from erasurehead.optimizing.unit_curvature import UnitCurvature
from erasurehead.schemes.coding import Coding
from erasurehead.stopping import STOPS
from erasurehead.theory.moments import uncovered_probability

USUAL_SHARE = 0.1
"""Share of all arrivals that is taken to arrive where a stop rule does not count arrivals."""


def kind_of_rounds(
    coding: Coding,
    estimate: GradientEstimate,
    curvatures: Callable[[], Sequence[UnitCurvature]] | None = None,
    *,
    whole: bool = True,
) -> RoundKind:
    """Return what is to be expected of the rounds of a coding, with its gradient estimate.

    Parameters
    ----------
    curvatures: finds how the code's units curve.
    whole: rounds use all rows of a task.
    """
    memory = estimate.memory
    if memory is None or not estimate.sums_memory:
        return RoundKind(coding.exact and whole, whole=whole, unbiased=coding.unbiased)
    copies = [len(arrivals) for arrivals in memory.units.arrivals if arrivals]
    if coding.exact:
        return RoundKind(True, len(copies), len(copies))
    n_arrivals = coding.code.n_arrivals
    arrivals = STOPS.build(coding.scheme.stop, coding.code).arrivals
    if arrivals is None:
        arrivals = max(2, round(USUAL_SHARE * n_arrivals))
    missed = uncovered_probability(n_arrivals, copies, min(arrivals, n_arrivals))
    return RoundKind(False, len(copies), float(len(copies) - missed.sum()), curvatures)
