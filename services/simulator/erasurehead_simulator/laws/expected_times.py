"""What order statistics say of the time of a round."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from erasurehead.coding.base import GradientCode, RepetitionCode
from erasurehead.decoding.base import Decoder
from erasurehead.decoding.first_copy import FirstCopyDecoder
from erasurehead.decoding.fixed import FixedDecoder
from erasurehead.decoding.least_squares import LeastSquaresDecoder
from erasurehead.stopping.base import StopRule
from erasurehead.stopping.deadline import DeadlineStop
from erasurehead.stopping.exact import ExactStop
from erasurehead.stopping.fraction import FractionStop
from erasurehead.straggling.base import DelayModel
from erasurehead.straggling.exponential import ExponentialDelay
from erasurehead.straggling.none import NoDelay
from erasurehead.straggling.pareto import ParetoDelay
from erasurehead.straggling.shifted_exponential import ShiftedExponentialDelay
from erasurehead.theory import order_statistics
from erasurehead.theory.runtimes import (
    erasurehead_time,
    printed_exact_time,
    repetition_time_pareto,
)
from erasurehead_simulator.laws.quantities import Claim, Quantity, Relation
from erasurehead_simulator.laws.survivors import survivors_under, times_are_alike
from erasurehead_simulator.virtual.compute_times import compute_times_s

LARGE = 200
"""Above so many slots covering all groups before the r-th arrival is not computed: the r-th
arrival alone is an upper bound, and a close one."""

ANY_SUFFICIENT = ("cyclic-repetition",)
"""Codes that decode from any k - s arrivals and from no fewer."""

SUFFICES = FirstCopyDecoder | LeastSquaresDecoder
"""Decoders that are exact as soon as the arrivals hold the full gradient."""

SOMETIMES_FEWER = ("cyclic-mds", "reed-solomon", "heterogeneous")
"""Codes that decode from any k - s arrivals, and now and then from fewer."""


def time_claims(
    code: GradientCode, decoder: Decoder, stop: StopRule, delays: DelayModel, pass_s: float
) -> Iterator[Claim]:
    """Yield what is known of the mean time of a round for slots that are alike.

    arXiv 1901.09671, Lemma 8, as printed and corrected, and order statistics.
    """
    if isinstance(stop, DeadlineStop):
        if survivors_under(code, stop, delays, pass_s) is not None:
            yield _claim(Relation.AT_MOST, stop.after_s, "the deadline")
        return
    if code.n_messages > 1 or not times_are_alike(code, delays, pass_s):
        return
    arrivals = _Arrivals.under(code, delays, pass_s)
    if arrivals is None:
        return
    k = code.n_workers
    # Other decoders are not exact as soon as every group is there.
    size = group_size(code) if isinstance(decoder, SUFFICES) else None
    if isinstance(stop, ExactStop) and size is not None:
        yield _claim(Relation.EQUAL, arrivals.coverage_s(size), "corrected Lemma 8")
        printed_s = _printed(code, size, delays, pass_s)
        if printed_s is not None:
            yield _claim(Relation.MISPRINT, printed_s, "Lemma 8 as printed, too low")
        last = "all arrivals, order statistics"
        yield _claim(Relation.AT_MOST, arrivals.arrival_s(k), last)
    elif isinstance(stop, ExactStop) and has_tolerance(code, decoder):
        relation = Relation.EQUAL if code.name in ANY_SUFFICIENT else Relation.AT_MOST
        needed = k - code.tolerance
        yield _claim(relation, arrivals.arrival_s(needed), f"{needed} of {k} arrivals")
    elif isinstance(stop, FractionStop):
        last_s = arrivals.arrival_s(stop.r)
        if size is not None and k <= LARGE:
            mean_s = erasurehead_time(k, size, stop.r, arrivals.arrival_s)
            yield _claim(Relation.EQUAL, mean_s, "r-th arrival or full coverage")
        elif isinstance(decoder, FixedDecoder):
            # Taken for exact when everybody has arrived and not before.
            yield _claim(Relation.EQUAL, last_s, "r-th arrival")
            return
        yield _claim(Relation.AT_MOST, last_s, "Lemma 8, r-th arrival")


def has_tolerance(code: GradientCode, decoder: Decoder) -> bool:
    """True when any k - s arrivals decode exactly, with the code's s."""
    named = code.name in (*ANY_SUFFICIENT, *SOMETIMES_FEWER)
    return named and isinstance(decoder, LeastSquaresDecoder)


def group_size(code: GradientCode) -> int | None:
    """Return the slots in each group of a repetition code with equal groups."""
    if isinstance(code, RepetitionCode) and len(np.unique(code.group_sizes)) == 1:
        return int(code.group_sizes[0])
    return None


def _claim(relation: Relation, value: float, source: str) -> Claim:
    return Claim(Quantity.ROUND_S, relation, value, source)


def _printed(code: GradientCode, size: int, delays: DelayModel, pass_s: float) -> float | None:
    """Return Lemma 8's printed time where its model holds: n = k, times in proportion to loads."""
    n = code.n_tasks
    if not isinstance(delays, ShiftedExponentialDelay) or n != code.n_workers:
        return None
    shift_s = delays.shift_s + pass_s
    return (
        size / n * shift_s
        + delays.mean_s * printed_exact_time(n, size, 1.0)
        - (size / n * delays.mean_s)
    )


class _Arrivals:
    """Expected times of arrivals under a delay model with a closed form.

    Parameters
    ----------
    order: (slots, r, copies) -> E of the r-th of so many minima of so many copies' delays.
    """

    def __init__(
        self, n_workers: int, compute_s: float, order: Callable[[int, int, int], float]
    ) -> None:
        self._k = n_workers
        self._compute_s = compute_s
        self._order = order

    @classmethod
    def under(cls, code: GradientCode, delays: DelayModel, pass_s: float) -> _Arrivals | None:
        """Return the times for a code of equal loads, None without a closed form."""
        share = float(code.loads[0]) / code.n_tasks
        order: Callable[[int, int, int], float]
        match delays:
            case NoDelay():
                order = _nothing
            case ExponentialDelay(mean_s=mean_s):

                def order(k: int, r: int, copies: int) -> float:
                    return order_statistics.exponential(k, r, mean_s / copies)

            case ShiftedExponentialDelay(mean_s=mean_s, shift_s=shift_s):

                def order(k: int, r: int, copies: int) -> float:
                    random_s = order_statistics.exponential(k, r, mean_s / copies)
                    return share * (shift_s + random_s)

            case ParetoDelay(shape=shape, scale_s=scale_s, by_load=by_load):
                scale = scale_s * share if by_load else scale_s

                def order(k: int, r: int, copies: int) -> float:
                    if copies == 1:
                        return order_statistics.pareto(k, r, shape, scale)
                    return repetition_time_pareto(k * copies, copies, shape, scale)

            case _:
                return None
        return cls(code.n_workers, float(compute_times_s(code, pass_s)[0, 0]), order)

    def arrival_s(self, r: int) -> float:
        """E of the r-th arrival."""
        return self._order(self._k, r, 1) + self._compute_s

    def coverage_s(self, size: int) -> float:
        """E of the last group's first arrival."""
        n_groups = self._k // size
        return self._order(n_groups, n_groups, size) + self._compute_s


def _nothing(k: int, r: int, copies: int) -> float:
    return 0.0
