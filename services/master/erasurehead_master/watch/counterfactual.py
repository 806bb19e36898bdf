"""What a round would have cost if everyone had been waited for.

A straggler drops its work when the next round opens, so the time it would have taken is seldom
heard. Three sources, the best first: its late result; the delay that was injected into it, which is
known from the seed, plus its own usual time; nothing, and then it counts as if it had come at the
moment the round closed. The sum is therefore a lower bound, and close where stragglers are
injected. Pure: no clock, no I/O.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from erasurehead.arrays import FloatArray
from erasurehead.monitoring.totals import Total
from erasurehead.records import RoundRecord

HORIZON_ROUNDS = 16
"""Rounds that a late result is waited for before its round is compared."""

FORGETTING = 0.9
"""Of a slot's usual time without injected delays."""


@dataclass(slots=True)
class _Pending:
    duration_s: float
    closed_after_s: float
    stragglers: set[int]
    injected_s: FloatArray | None
    last_s: float = 0.0
    heard: set[int] = field(default_factory=set)


class WaitingForAll:
    """Sums of actual and counterfactual round durations.

    Parameters
    ----------
    injected: the injected delay of every slot in a round, shape (k,); None without injection.

    Attributes
    ----------
    compared: seconds that the compared rounds took.
    waiting: seconds that they would at least have taken if everyone had been waited for.
    """

    def __init__(self, injected: Callable[[int], FloatArray] | None = None) -> None:
        self.injected = injected
        self.compared = Total()
        self.waiting = Total()
        self._usual_s: dict[int, float] = {}
        self._pending: OrderedDict[int, _Pending] = OrderedDict()

    def round_over(self, record: RoundRecord) -> None:
        """Take a round and the late results heard during it."""
        for late in record.late:
            pending = self._pending.get(late.round)
            if pending is not None and late.slot in pending.stragglers:
                pending.heard.add(late.slot)
                pending.last_s = max(pending.last_s, late.after_s)
        for arrival in record.arrivals:
            own_s = arrival.after_s - arrival.delay_s
            usual_s = self._usual_s.get(arrival.slot, own_s)
            self._usual_s[arrival.slot] = FORGETTING * usual_s + (1 - FORGETTING) * own_s
        if record.stragglers:
            self._pending[record.round] = _Pending(
                record.duration_s,
                record.duration_s - record.step_s,
                set(record.stragglers),
                None if self.injected is None else self.injected(record.round),
            )
        else:
            self._count(record.duration_s, record.duration_s)
        while self._pending and next(iter(self._pending)) <= record.round - HORIZON_ROUNDS:
            self._compare(self._pending.popitem(last=False)[1])

    def _compare(self, pending: _Pending) -> None:
        last_s = pending.last_s
        if pending.injected_s is not None:
            for slot in pending.stragglers - pending.heard:
                expected_s = float(pending.injected_s[slot]) + self._usual_s.get(slot, 0.0)
                last_s = max(last_s, expected_s)
        longer_s = max(0.0, last_s - pending.closed_after_s)
        self._count(pending.duration_s, pending.duration_s + longer_s)

    def _count(self, actual_s: float, waiting_s: float) -> None:
        self.compared.add(actual_s)
        self.waiting.add(waiting_s)
