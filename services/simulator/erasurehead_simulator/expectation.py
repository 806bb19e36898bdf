"""What the theory expects of a scheme, to be shown beside what was simulated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from erasurehead.coding.base import GradientCode, RepetitionCode
from erasurehead.decoding.first_copy import FirstCopyDecoder
from erasurehead.stopping.exact import ExactStop
from erasurehead.stopping.fraction import FractionStop
from erasurehead.straggling.base import DelayModel
from erasurehead.straggling.exponential import ExponentialDelay
from erasurehead.straggling.none import NoDelay
from erasurehead.straggling.pareto import ParetoDelay
from erasurehead.straggling.shifted_exponential import ShiftedExponentialDelay
from erasurehead.theory import order_statistics
from erasurehead.theory.moments import uncovered_probability
from erasurehead.theory.runtimes import erasurehead_time, repetition_time_pareto
from erasurehead_simulator.ideal import SchemeParts
from erasurehead_simulator.work import compute_times_s

LARGE = 200
"""Above so many slots covering all groups before the r-th arrival is not computed: the r-th
arrival alone is an upper bound, and a close one."""

ANY_SUFFICIENT = ("cyclic-repetition", "cyclic-mds")
"""Codes that decode from any k - s arrivals and from no fewer."""


@dataclass(frozen=True)
class Expectation:
    """Means over rounds; None where there is no closed form.

    Attributes
    ----------
    round_s: time of a round.
    bound: True when `round_s` is an upper bound.
    erased_share: of the tasks.
    decode_error: ||alpha - 1||^2 / n.
    """

    round_s: float | None = None
    bound: bool = False
    erased_share: float | None = None
    decode_error: float | None = None


def expect(parts: SchemeParts, delays: DelayModel, pass_s: float) -> Expectation:
    """Return what arXiv 1901.09671 (Lemmas 2 and 8, the latter corrected) and order statistics say.

    Closed forms exist for slots with equal loads and independent exponential, shifted exponential
    or Pareto delays: fractional repetition with equal groups under `fraction` and `exact`, and
    codes for which any k - s arrivals are enough.
    """
    code, stop = parts.code, parts.stop
    if code.n_messages > 1 or len(np.unique(code.loads)) > 1:
        return Expectation()
    times = _Times(code, delays, pass_s)
    if isinstance(code, RepetitionCode) and len(np.unique(code.group_sizes)) == 1:
        size = int(code.group_sizes[0])
        if isinstance(stop, ExactStop):
            return Expectation(times.coverage(size, code.n_blocks), False, 0.0, 0.0)
        if isinstance(stop, FractionStop):
            return _fraction(parts, times, size, stop.r)
    elif code.name in ANY_SUFFICIENT and isinstance(stop, ExactStop):
        return Expectation(times.arrival(code.n_workers - code.tolerance), False, 0.0, 0.0)
    return Expectation()


def _fraction(parts: SchemeParts, times: _Times, size: int, r: int) -> Expectation:
    k = parts.code.n_workers
    erased = float(uncovered_probability(k, size, r))
    error = None
    if isinstance(parts.decoder, FirstCopyDecoder):
        if parts.decoder.scale == "none":
            error = erased
        elif parts.decoder.scale == "unbiased" and erased < 1.0:
            error = erased / (1.0 - erased)
    if times.arrival(r) is None:
        return Expectation(None, False, erased, error)
    if k > LARGE:
        return Expectation(times.arrival(r), True, erased, error)
    return Expectation(erasurehead_time(k, size, r, times.surely), False, erased, error)


class _Times:
    """Expected times of arrivals under one delay model; None where there is no closed form."""

    def __init__(self, code: GradientCode, delays: DelayModel, pass_s: float) -> None:
        self._k = code.n_workers
        share = float(code.loads[0]) / code.n_tasks
        self._compute_s = float(compute_times_s(code, pass_s)[0, 0])
        self._order: Callable[[int, int, int], float] | None = None
        """(slots, r, copies) -> E of the r-th of so many minima of so many copies' delays."""
        match delays:
            case NoDelay():
                self._order = lambda k, r, copies: 0.0
            case ExponentialDelay(mean_s=mean_s):
                self._order = lambda k, r, copies: order_statistics.exponential(
                    k, r, mean_s / copies
                )
            case ShiftedExponentialDelay(mean_s=mean_s, shift_s=shift_s):
                self._order = lambda k, r, copies: (
                    share * (shift_s + order_statistics.exponential(k, r, mean_s / copies))
                )
            case ParetoDelay(shape=shape, scale_s=scale_s, by_load=by_load):
                scale = scale_s * share if by_load else scale_s
                self._order = lambda k, r, copies: (
                    order_statistics.pareto(k, r, shape, scale)
                    if copies == 1
                    else repetition_time_pareto(k * copies, copies, shape, scale)
                )

    def arrival(self, r: int) -> float | None:
        """E of the r-th arrival."""
        return None if self._order is None else self._order(self._k, r, 1) + self._compute_s

    def surely(self, r: int) -> float:
        """E of the r-th arrival under a model with a closed form."""
        time_s = self.arrival(r)
        assert time_s is not None
        return time_s

    def coverage(self, size: int, n_groups: int) -> float | None:
        """E of the last group's first arrival."""
        if self._order is None:
            return None
        return self._order(n_groups, n_groups, size) + self._compute_s
