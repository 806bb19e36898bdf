"""The worker's one thread: look at the inbox, do one chunk of work, look again.

Arithmetic runs in chunks of some milliseconds between two looks, which is what makes a second
thread (and its hand-over in every round) unnecessary: heartbeats go out, newer rounds replace older
ones and SIGTERM is answered while a long gradient is being computed.
"""

from __future__ import annotations

import logging
import select
import signal
import time
from collections.abc import Iterator
from typing import Any

import zmq

from erasurehead.errors import ErasureHeadError
from erasurehead.models.partial_sums import CodedGradient, PartialSums
from erasurehead.network import sockets
from erasurehead.network.handshakes import Handshakes
from erasurehead.network.limits import LogLimit
from erasurehead.process.pulse import Pulse
from erasurehead.process.signals import SignalWatch
from erasurehead.wire.frames import decode, encode
from erasurehead.wire.messages import TO_WORKER, ProtocolError, Result
from erasurehead_worker.machine.actions import (
    Abandon,
    Action,
    Compute,
    Exit,
    Feed,
    Load,
    Notice,
    Send,
)
from erasurehead_worker.machine.events import (
    Event,
    Loaded,
    PartDone,
    Received,
    Shutdown,
    StoreUnreadable,
    Woke,
)
from erasurehead_worker.machine.machine import Worker
from erasurehead_worker.shell.rows import RowSource
from erasurehead_worker.shell.turns import Turns
from erasurehead_worker.watch.tally import Tally

log = logging.getLogger(__name__)

_POLLIN = int(zmq.POLLIN)
"""As a plain number, as in `sockets`."""

LONG_ENTRIES = 35_000
"""Entries of rows from which a gradient takes longer (0.3 ms) than asking for a turn."""


class WorkerLoop:
    """Carries out what the worker's state machine wants, until it exits.

    Parameters
    ----------
    machine: the state machine, fresh.
    socket: a DEALER connected to the master.
    source: where rows come from.
    signals: tells when the process was asked to end.
    tally: where work done is added up.
    pulse: is told of every turn of the loop.
    handshakes: knows why there is no connection, and tries again.
    turns: asked before a long computation.
    """

    def __init__(
        self,
        machine: Worker,
        socket: zmq.Socket[bytes],
        source: RowSource,
        signals: SignalWatch,
        tally: Tally,
        pulse: Pulse,
        handshakes: Handshakes,
        turns: Turns,
    ) -> None:
        self._machine = machine
        self._socket = socket
        self._source = source
        self._signals = signals
        self._tally = tally
        self._pulse = pulse
        self._handshakes = handshakes
        self._turns = turns
        self._exit: Exit | None = None
        self._ordered: Compute | None = None
        self._sums: PartialSums | None = None
        self._work: Iterator[Event | None] | None = None
        self._computation: CodedGradient | None = None
        # What listens there may be no master at all, and answer every attempt to connect.
        self._refusals = LogLimit(burst=3, per_s=0.05)

    def run(self) -> Exit:
        """Work until the master or a signal ends it; return the exit code and the reason."""
        signal_descriptor = self._signals.fileno()
        descriptors = (self._socket.fileno(), signal_descriptor)
        news, readable = True, [signal_descriptor]
        while self._exit is None:
            self._pulse.beat()
            # All that waits is looked at before any work: only the newest round is worked on.
            if news:
                self._receive()
                if self._signals.came or signal_descriptor in readable:
                    self._take_signals()
                self._turns.look()
            now, wake_at = time.monotonic(), self._machine.wake_at
            if now >= wake_at:
                self._handle(Woke(), now)
                if self._ordered is None:  # not when a delay is over: that is hurried
                    self._look_at_handshakes()
            news, readable = self._has_news, []
            if news:
                continue
            if self._has_work:
                self._advance()
            else:
                # The descriptor is edge-triggered: it signals again only once the inbox is drained.
                # poll() would do, but rounds its limit up to a millisecond, and so each delay.
                wait_s = max(0.0, self._machine.wake_at - time.monotonic())
                wait_s = min(wait_s, self._pulse.longest_rest_s)
                watched = descriptors + self._turns.descriptors
                readable = select.select(watched, (), (), wait_s)[0]
                news = bool(readable)
        return self._exit

    @property
    def _has_news(self) -> bool:
        """True when a message waits, or a signal came."""
        events = self._socket.get(zmq.EVENTS)
        assert isinstance(events, int)
        return bool(events & _POLLIN) or self._signals.came

    @property
    def _has_work(self) -> bool:
        """True when the next chunk can be done, if need be because it is our turn."""
        at_hand = self._work is not None or self._ordered is not None
        return at_hand and not self._turns.awaited

    def _take_signals(self) -> None:
        while (number := self._signals.take()) is not None:
            at_once = number == signal.SIGINT
            self._handle(Shutdown("asked to end", at_once), time.monotonic())

    def _look_at_handshakes(self) -> None:
        if (sentence := self._handshakes.news()) is not None:
            log.warning("%s", sentence)
        self._handshakes.try_again(self._socket)

    def _receive(self) -> None:
        """Hand the next waiting message to the machine."""
        frames = sockets.receive(self._socket)
        if frames is None:
            return
        try:
            message = decode(frames, TO_WORKER)
        except ProtocolError as error:
            told = f"refused a message of the master ({error.reason}): {error}"
            line = self._refusals.admit(error.reason, told, time.monotonic())
            if line is not None:
                log.warning("%s", line)
            return
        self._handle(Received(message), time.monotonic())

    def _advance(self) -> None:
        """Do one chunk of whatever is at hand."""
        if self._ordered is not None:
            assert self._sums is not None
            self._work, self._ordered = self._compute(self._sums, self._ordered), None
        if self._work is None:
            return
        try:
            event = next(self._work, _DONE)
        except ErasureHeadError as error:
            self._work = None
            event = StoreUnreadable(str(error))
        if event is _DONE:
            self._work = None
        elif event is not None:
            done = isinstance(event, PartDone)
            if done:
                self._work = None  # rather than find out by another turn of the loop
            self._handle(event, time.monotonic())
            if done and self._ordered is None:  # else the turn goes on with the next part
                self._turns.give_back()

    def _compute(self, sums: PartialSums, ordered: Compute) -> Iterator[Event | None]:
        """Yield None after a chunk of arithmetic, `PartDone` at the end."""
        part = ordered.part
        computation = self._computation = sums.gradient(part, ordered.theta, ordered.round)
        spent_s = 0.0
        finished = False
        while not finished:
            start = time.perf_counter()
            finished = computation.advance()
            chunk_s = time.perf_counter() - start
            spent_s += chunk_s
            self._tally.compute_s += chunk_s
            self._tally.chunks += 1
            if not finished:
                yield None
        yield PartDone(ordered.round, part, computation.values, computation.loss, spent_s)

    def _handle(self, event: Event, now: float) -> None:
        for action in self._machine.handle(event, now):
            self._carry_out(action)

    def _carry_out(self, action: Action) -> None:
        match action:
            case Send(message):
                try:
                    sockets.send(self._socket, encode(message))
                    if isinstance(message, Result):
                        self._tally.results += 1
                        self._tally.delay_s += message.delay_s
                except sockets.UnsendableError:
                    log.debug("the master does not read; dropped %s", message.kind)
            case Compute():
                self._ordered = action
                long = self._sums is not None and self._sums.n_entries >= LONG_ENTRIES
                if long and not self._turns.granted:
                    self._turns.ask()
            case Abandon():
                self._turns.give_back()
                if self._work is not None and self._computation is not None:
                    self._tally.chunks_dropped += self._computation.chunks_ahead
                self._ordered = self._work = self._computation = None
            case Load():
                self._sums = None
                self._work = self._load(self._source.read(action))
            case Feed(task, last):
                try:
                    self._source.feed(task)
                except ErasureHeadError as error:
                    self._handle(StoreUnreadable(str(error)), time.monotonic())
                    return
                if last:
                    self._work = self._load(self._source.finish())
            case Notice(level, text):
                log.log(logging.getLevelName(level.upper()), "%s", text)
            case Exit():
                self._exit = action

    def _load(self, pieces: Iterator[PartialSums | None]) -> Iterator[Event | None]:
        """Yield None after each piece of the rows, `Loaded` at the end."""
        for sums in pieces:
            if sums is None:
                yield None
            else:
                self._sums = sums
                yield Loaded(sums.n_rows, sums.support)


_DONE: Any = object()
