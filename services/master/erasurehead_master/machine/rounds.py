"""One round after another, without I/O: which slots have arrived, and whether that is enough.

This is the part of the master that the simulator drives for tens of thousands of workers, so an
arrival costs a few microseconds and nothing here depends on the size of the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import replace

import numpy as np

from erasurehead.coding.base import GradientCode
from erasurehead.decoding.base import Decoder, Decoding
from erasurehead.records import Arrival
from erasurehead.schemes.session import Session
from erasurehead.stopping.base import StopRule

NOBODY_LEFT = "nobody else can arrive"
WAITED = "; then waited for overdue units"


class Rounds:
    """The state of the current round. Implements `erasurehead.stopping.base.RoundView`.

    A round is *open* from `open` until `closed` holds the reason it closed for; `close` then
    returns its decoding. Arrivals are reported once per (slot, part). A slot has arrived when
    its last part is in; where parts count, each is an arrival, and `arrivals` has the first one of
    each slot. Arrivals are numbered as by `GradientCode.n_arrivals`.

    Parameters
    ----------
    session: decoder and stop rule, fresh; the rounds use them up.
    """

    def __init__(self, session: Session) -> None:
        self.decoder: Decoder = session.decoder
        self.stop: StopRule = session.stop
        self.code: GradientCode = session.decoder.code
        self.is_open = False
        self.closed: str | None = None
        self.arrivals: list[Arrival] = []
        self.wake_at: float | None = None
        self.arrived: set[int] = set()
        """The arrivals by number."""
        self._came: list[tuple[int, float]] = []
        """The arrivals by number, and their seconds after opening, where parts count."""
        self._waiting: set[int] = set()
        """Slots that may still send something."""
        self._wanted: list[Set[int]] = []
        self._enough: str | None = None
        self._parts: set[tuple[int, int]] = set()
        self._spent: dict[int, tuple[float, float]] = {}
        """Seconds of computing and of delay, of the parts that are in of each slot."""
        self._sent: set[int] = set()
        self._opened = 0.0
        self._now = 0.0
        self._deadline_s = 0.0
        self._due_s = 0.0

    @property
    def n_arrived(self) -> int:
        """Slots whose last part is in; parts, where these count."""
        return len(self.arrived)

    @property
    def came(self) -> Sequence[tuple[int, float]]:
        """The arrivals by number, and their seconds after opening, in order."""
        if self.code.counts_parts:
            return self._came
        return [(arrival.slot, arrival.after_s) for arrival in self.arrivals]

    @property
    def n_sent(self) -> int:
        """Slots the round was sent to."""
        return len(self._sent)

    @property
    def n_arrivals(self) -> int:
        """How many there would be of all slots of the code, filled or not."""
        return self.code.n_arrivals

    @property
    def elapsed_s(self) -> float:
        """Seconds since the round opened."""
        return max(self._now - self._opened, self._due_s)

    def open(self, now: float, slots: Iterable[int]) -> None:
        """Open a round that was sent to these slots.

        Raises
        ------
        RuntimeError: a round is open already.
        """
        if self.is_open:
            raise RuntimeError("a round is open already; close it first")
        self.is_open, self.closed = True, None
        self._opened = self._now = now
        self._waiting = set(slots)
        self._sent = set(self._waiting)
        self._wanted = []
        self._enough = None
        self._parts.clear()
        self.arrivals = []
        self._came = []
        self.arrived = set()
        self._spent.clear()
        self.decoder.begin()
        deadline_s = self.stop.deadline_s()
        self.wake_at = None if deadline_s is None else now + deadline_s
        self._deadline_s, self._due_s = deadline_s or 0.0, 0.0

    def want(self, groups: Sequence[Set[int]]) -> None:
        """Keep the open round open, whatever the stop rule says, until one of each group is in.

        Groups are of arrivals, by number. One of which nothing can still arrive is not waited for.
        Who wants groups follows units, which the stop rule is told.
        """
        self.stop.follow()
        self._wanted = [group for group in groups if not group & self.arrived]

    def join(self, slot: int) -> bool:
        """Let a slot take part in the open round; False if all of it is in already."""
        if self._is_complete(slot):
            return False
        self._waiting.add(slot)
        self._sent.add(slot)
        return True

    def waits_only_for(self, slots: Set[int]) -> bool:
        """Return whether nobody but these slots can still arrive."""
        return self._waiting <= slots

    def expects(self, slot: int, part: int) -> bool:
        """True when this part of this slot's result is new and the round is open."""
        if not self.is_open or self.closed is not None or part >= self.code.n_parts:
            return False
        if self.code.n_parts == 1:
            return slot in self._waiting
        return slot in self._waiting and (slot, part) not in self._parts

    def arrive(
        self, slot: int, part: int, now: float, compute_s: float = 0.0, delay_s: float = 0.0
    ) -> tuple[float | None, ...]:
        """Take one result that `expects` allowed; return the decoder's weight of each vector."""
        self._now = now
        code, after_s = self.code, now - self._opened
        weights = tuple(map(self.decoder.arrive, code.symbols(slot, part)))
        if code.n_parts == 1:
            self._waiting.discard(slot)
            self.arrivals.append(Arrival(slot, after_s, compute_s, delay_s))
            self.arrived.add(slot)
            if self._wanted:
                self._want_no_more(slot)
        else:
            self._take_part(slot, part, after_s, compute_s, delay_s)
        self._judge()
        return weights

    def _take_part(
        self, slot: int, part: int, after_s: float, compute_s: float, delay_s: float
    ) -> None:
        """Take one of several results of a slot."""
        counts = self.code.counts_parts
        before = self._spent.get(slot)
        if before is not None:
            compute_s, delay_s = before[0] + compute_s, before[1] + delay_s
        self._spent[slot] = compute_s, delay_s
        self._parts.add((slot, part))
        complete = self._is_complete(slot)
        if complete:
            self._waiting.discard(slot)
        if before is None if counts else complete:
            self.arrivals.append(Arrival(slot, after_s, compute_s, delay_s))
        if counts:
            number = slot * self.code.n_parts + part
            self._came.append((number, after_s))
            self.arrived.add(number)
            self._want_no_more(number)
        elif complete:
            self.arrived.add(slot)
            self._want_no_more(slot)

    def _want_no_more(self, number: int) -> None:
        """An arrival is in: groups that it is one of are not waited for."""
        self._wanted = [group for group in self._wanted if number not in group]

    def _is_complete(self, slot: int) -> bool:
        """Return whether all results of a slot are in."""
        if self.code.n_parts == 1:
            return slot in self.arrived
        return all((slot, part) in self._parts for part in range(self.code.n_parts))

    def lose(self, slot: int, now: float) -> None:
        """Nothing more will come from this slot in this round."""
        if self.is_open and slot in self._waiting:
            self._now = now
            self._waiting.discard(slot)
            if self._enough is not None:
                self._judge()  # perhaps only this slot was waited for
            elif self.closed is None:
                self._nobody_left()

    def wake(self, now: float) -> None:
        """Ask the stop rule again because time has passed."""
        if self.is_open and self.closed is None and self.wake_at is not None:
            self._now = now
            if now >= self.wake_at:
                self.wake_at = None
                # now - opened may round to just below the deadline, and no wake-up would follow.
                self._due_s = self._deadline_s
                self._judge()

    def excuse(self, missed_s: float) -> None:
        """Take some seconds in which the master slept out of the open round."""
        self._opened += missed_s
        if self.wake_at is not None:
            self.wake_at += missed_s

    def close(self) -> tuple[Decoding, tuple[int, ...]]:
        """Close the round; return its decoding and the stragglers.

        These are slots that it was sent to, and of which no result was in time.
        """
        if self.closed is None:
            raise RuntimeError("the round has no reason to close yet")
        self.is_open = False
        self.wake_at = None
        decoding = self.decoder.finish()
        if self.stop.sums_all(self) and not decoding.erased_tasks:
            whole = np.ones(self.code.n_tasks)
            decoding = replace(decoding, task_weights=whole, decode_error=0.0)
        self.stop.observe(self.came, self.elapsed_s)
        heard = self.arrived
        if self.code.counts_parts:
            heard = {arrival.slot for arrival in self.arrivals}
        return decoding, tuple(sorted(self._sent - heard))

    def abandon(self) -> None:
        """Forget the open round without decoding it."""
        self.is_open, self.closed, self.wake_at = False, None, None

    def validate(self) -> None:
        """Assert every invariant (on in tests)."""
        heard = {a.slot for a in self.arrivals}
        assert len(heard) == len(self.arrivals), "a slot arrived twice"
        assert self.arrived == {number for number, _ in self.came}
        assert len(self.arrived) == len(self.came), "a part arrived twice"
        assert {number // self.code.arrivals_per_slot for number in self.arrived} == heard
        waited = [slot for slot in self._waiting if self._is_complete(slot)]
        assert not waited, "a slot is waited for although all of it is in"
        assert heard <= self._sent
        assert self._waiting <= self._sent
        assert all(0 <= s < self.code.n_workers for s in self._sent)
        times = [a.after_s for a in self.arrivals]
        assert times == sorted(times), "arrivals out of order"
        assert self.is_open or self.wake_at is None
        if self.is_open and self.closed is None and self._sent and not self._waiting:
            assert not self.arrivals, "a round stayed open although nobody else can arrive"

    def _judge(self) -> None:
        if self.closed is not None:
            return
        reason = self.stop.judge(self)
        if reason is None:
            self._nobody_left()
        elif self._wanted and any(map(self._may_come, self._wanted)):
            self._enough = self._enough or reason
        else:
            self.closed = reason if self._enough is None else self._enough + WAITED

    def _may_come(self, group: Set[int]) -> bool:
        """Return whether one of these arrivals, of which none has come, may still come."""
        per_slot = self.code.arrivals_per_slot
        return any(number // per_slot in self._waiting for number in group)

    def _nobody_left(self) -> None:
        """Close a round that can learn nothing more, unless it has nothing at all."""
        if not self._waiting and (self.arrivals or self._parts):
            self.closed = NOBODY_LEFT
