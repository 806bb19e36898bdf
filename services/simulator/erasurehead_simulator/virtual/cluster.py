"""A master and workers that differ from the real ones in their shells only.

Messages take a (possibly random) time and arithmetic takes none unless told; everything else is
what `erasurehead_master` and `erasurehead_worker` decide themselves. Workers can be killed, frozen,
thawed, cut off, and started late, so a race seen live becomes a few lines of a test.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from erasurehead.records import Level, Observer, RoundRecord
from erasurehead.wire.messages import (
    Result,
    Step,
    Task,
    ToMaster,
    ToWorker,
)
from erasurehead.wire.vectors.base import Packed
from erasurehead_master.machine.actions import Finish, Notice, SendTask
from erasurehead_master.machine.events import Departed, Received, Woke
from erasurehead_master.machine.events import Event as MasterEvent
from erasurehead_master.machine.machine import Master
from erasurehead_master.run.conductor import Conductor
from erasurehead_master.run.descent import Descent
from erasurehead_master.run.finishing import make_finishing
from erasurehead_master.run.seams import Clock, Rating
from erasurehead_simulator.virtual.clock import VirtualClock
from erasurehead_simulator.virtual.timing import Timing
from erasurehead_simulator.virtual.worker import Arithmetic, VirtualWorker
from erasurehead_worker.machine.events import Received as WorkerReceived


class VirtualCluster:
    """One master and its workers under a virtual clock; the post between them.

    Implements `erasurehead_master.run.seams.Post`: a parcel is the message itself.

    Parameters
    ----------
    machine: the master's state machine, fresh at time 0.
    descent: the master's arithmetic.
    arithmetic: the workers'.
    timing: how long things take.
    observers: get what those of a real run get.
    rating: rates models at the rounds of evaluation; it takes no time.
    checked: whether to assert all invariants after every event.
    clock: another than a fresh virtual one.
    stopwatch: for the master's own phases, which take no virtual time.
    """

    def __init__(
        self,
        machine: Master,
        descent: Descent,
        arithmetic: Arithmetic,
        timing: Timing,
        observers: Sequence[Observer] = (),
        *,
        rating: Rating | None = None,
        checked: bool = False,
        clock: VirtualClock | None = None,
        stopwatch: Clock = lambda: 0.0,
    ) -> None:
        self.clock = VirtualClock() if clock is None else clock
        self.machine = machine
        self.arithmetic = arithmetic
        self.timing = timing
        self.workers: dict[bytes, VirtualWorker] = {}
        self.told = Told()
        self.observers = [self.told, *observers]
        self.finishing = make_finishing(machine.plan, descent, rated=rating is not None)
        self.conductor = Conductor[ToWorker](
            machine,
            descent,
            self,
            clock=lambda: self.clock.now,
            stopwatch=stopwatch,
            observers=self.observers,
            rating=rating,
            read_rows=_no_rows,
            finishing=self.finishing,
        )
        self._checked = checked
        self._peers = 0
        self._woken_for = -1.0
        self._broadcast: tuple[float, int, int] | None = None
        self._sent = 0
        self._bytes_out = self._bytes_in = 0

    @property
    def records(self) -> list[RoundRecord]:
        """Of the rounds so far."""
        return self.told.records

    @property
    def notices(self) -> list[Notice]:
        """What was told so far."""
        return self.told.notices

    @property
    def finished(self) -> Finish | None:
        """How the run has ended."""
        return self.conductor.finish

    def next_peer(self) -> int:
        """Return a number no connection has had."""
        self._peers += 1
        return self._peers

    def check(self, validate: Callable[[], None]) -> None:
        """Assert a machine's invariants where that is on."""
        if self._checked:
            validate()

    def start(self, name: str, slot: int | None = None) -> VirtualWorker:
        """Start a worker process now."""
        worker = VirtualWorker(self, name, slot)
        self.workers[worker.peer] = worker
        return worker

    def run(self, until_s: float = math.inf) -> None:
        """Let time pass until the run is over, nothing can happen, or `until_s`."""
        self._wake_master()
        while self.finished is None and self.clock.now < until_s and self.clock.step():
            pass

    def depart(self, worker: VirtualWorker) -> None:
        """Kill a worker and let the master know at once, as it does for its own children."""
        worker.kill()
        self.handle(Departed(worker.name, "was killed"))

    def handle(self, event: MasterEvent) -> None:
        """Let an event reach the master."""
        if self.finished is not None:
            return
        if isinstance(event, Received) and isinstance(event.message, Result):
            self._bytes_in += sum(map(_n_bytes, event.message.vectors))
        self.conductor.handle(event)
        self.conductor.finish_work()
        self.check(self.machine.validate)
        self._wake_master()

    # The post

    def to_master(self, worker: VirtualWorker, message: ToMaster) -> None:
        """Put a worker's message on the way."""
        if not worker.cut:
            peer = worker.peer
            self.clock.after(self.timing.message_s(), lambda: self.handle(Received(peer, message)))

    def wrap(self, message: ToWorker) -> ToWorker:
        """Return the message."""
        return message

    def send(self, peer: bytes, parcel: ToWorker) -> bool:
        """Put a message on the way to a worker; the models of one broadcast leave one by one."""
        later_s = 0.0
        if isinstance(parcel, Step):
            broadcast = (self.clock.now, parcel.epoch, parcel.round)
            self._sent = self._sent + 1 if broadcast == self._broadcast else 0
            self._broadcast = broadcast
            later_s = self._sent * self.timing.send_s
            self._bytes_out += _n_bytes(parcel.model)
        worker = self.workers.get(peer)
        if worker is not None and not worker.cut:
            self.clock.after(
                later_s + self.timing.message_s(),
                lambda: worker.deliver(WorkerReceived(parcel)),
            )
        return True

    def refused(self, peer: bytes) -> None:
        """No peer is a nuisance here."""

    def traffic(self) -> tuple[int, int]:
        """Return the bytes of models and results; nothing is encoded, so no others are counted."""
        moved = self._bytes_out, self._bytes_in
        self._bytes_out = self._bytes_in = 0
        return moved

    def _wake_master(self) -> None:
        at = self.conductor.wake_at
        if at != self._woken_for:
            self._woken_for = at
            self.clock.at(at, self._woke)

    def _woke(self) -> None:
        if self.conductor.wake_at <= self.clock.now:
            self._woken_for = -1.0
            self.handle(Woke())


class Told(Observer):
    """Keeps what the master told."""

    def __init__(self) -> None:
        self.records: list[RoundRecord] = []
        self.notices: list[Notice] = []

    def round_over(self, record: RoundRecord) -> None:
        """Keep a record."""
        self.records.append(record)

    def notice(self, level: Level, text: str) -> None:
        """Keep a notice."""
        self.notices.append(Notice(level, text))


def _n_bytes(vector: Packed) -> int:
    return sum(array.nbytes for array in vector.arrays)


def _no_rows(asked: SendTask) -> Task:
    raise AssertionError(f"virtual workers have the rows of task {asked.task}")
