"""What order statistics say of the time of a round."""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch

import numpy as np

from erasurehead.coding.base import GradientCode
from erasurehead.decoding.base import Decoder
from erasurehead.stopping.base import StopRule
from erasurehead.straggling.base import DelayModel
from erasurehead.straggling.shifted_exponential import ShiftedExponentialDelay
from erasurehead.theory.runtimes import erasurehead_time, printed_exact_time
from erasurehead_simulator.laws.arrival_times import ArrivalTimes
from erasurehead_simulator.laws.quantities import Claim, Quantity, Relation
from erasurehead_simulator.laws.survivors import survivors_under, times_are_alike

LARGE = 200
"""Above so many slots covering all groups before the r-th arrival is not computed: the r-th
arrival alone is an upper bound, and a close one."""


def time_claims(
    code: GradientCode, decoder: Decoder, stop: StopRule, delays: DelayModel, pass_s: float
) -> Iterator[Claim]:
    """Yield what is known of the mean time of a round for slots that are alike.

    arXiv 1901.09671, Lemma 8, as printed and corrected, and order statistics.
    """
    if stop.after_s is not None:
        if survivors_under(code, stop, delays, pass_s) is not None:
            yield _claim(Relation.AT_MOST, stop.after_s, "the deadline")
        return
    if code.n_parts > 1 or not times_are_alike(code, delays, pass_s):
        return
    arrivals = ArrivalTimes.under(code, delays, pass_s)
    if arrivals is None:
        return
    k = code.n_workers
    # Other decoders are not exact as soon as every group is there.
    size = group_size(code) if decoder.exact_when_decodable else None
    if stop.waits_for_all and size is not None:
        yield _claim(Relation.EQUAL, arrivals.coverage_s(size), "corrected Lemma 8")
        printed_s = printed_time_s(delays, code, size, pass_s)
        if printed_s is not None:
            yield _claim(Relation.MISPRINT, printed_s, "Lemma 8 as printed, too low")
        last = "all arrivals, order statistics"
        yield _claim(Relation.AT_MOST, arrivals.arrival_s(k), last)
    elif stop.waits_for_all and has_tolerance(code, decoder):
        relation = Relation.AT_MOST if code.fewer_suffice else Relation.EQUAL
        needed = k - code.tolerance
        yield _claim(relation, arrivals.arrival_s(needed), f"{needed} of {k} arrivals")
    elif stop.arrivals is not None:
        last_s = arrivals.arrival_s(stop.arrivals)
        if size is not None and k <= LARGE:
            mean_s = erasurehead_time(k, size, stop.arrivals, arrivals.arrival_s)
            yield _claim(Relation.EQUAL, mean_s, "r-th arrival or full coverage")
        elif decoder.exact_needs_all:
            yield _claim(Relation.EQUAL, last_s, "r-th arrival")
            return
        yield _claim(Relation.AT_MOST, last_s, "Lemma 8, r-th arrival")


def has_tolerance(code: GradientCode, decoder: Decoder) -> bool:
    """True when any k - s arrivals decode exactly, with the code's s."""
    return code.fewer_suffice is not None and decoder.exact_when_decodable


def group_size(code: GradientCode) -> int | None:
    """Return the slots in each group of a repetition code with equal groups."""
    if code.groups is not None and len(np.unique(code.groups.sizes)) == 1:
        return int(code.groups.sizes[0])
    return None


@singledispatch
def printed_time_s(
    delays: DelayModel, code: GradientCode, size: int, pass_s: float
) -> float | None:
    """Return Lemma 8's printed time for groups of so many slots, None where it says nothing."""
    return None


@printed_time_s.register
def _(
    delays: ShiftedExponentialDelay, code: GradientCode, size: int, pass_s: float
) -> float | None:
    n = code.n_tasks
    if n != code.n_workers:
        return None
    shift_s = delays.shift_s + pass_s
    return (
        size / n * shift_s
        + delays.mean_s * printed_exact_time(n, size, 1.0)
        - (size / n * delays.mean_s)
    )


def _claim(relation: Relation, value: float, source: str) -> Claim:
    return Claim(Quantity.ROUND_S, relation, value, source)
