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

import zmq

from erasurehead.errors import ErasureHeadError
from erasurehead.models.partial_sums import CodedGradient, PartialSums
from erasurehead.network import sockets
from erasurehead.network.handshakes import Handshakes
from erasurehead.network.limits import LogLimit
from erasurehead.process.pulse import Pulse
from erasurehead.process.signals import SignalWatch
from erasurehead.wire.frames import decode, encode
from erasurehead.wire.messages import TO_WORKER, ProtocolError, Result, ToMaster
from erasurehead_worker.machine.actions import (
    Abandon,
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
        self._sums: PartialSums | None = None
        self._loading: Iterator[PartialSums | None] | None = None
        self._ordered: Compute | None = None
        self._computation: CodedGradient | None = None
        """Of what was ordered, once it is begun."""
        self._spent_s = 0.0
        """In that computation."""
        # What listens there may be no master at all, and answer every attempt to connect.
        self._refusals = LogLimit(burst=3, per_s=0.05)

    def run(self) -> Exit:
        """Work until the master or a signal ends it; return the exit code and the reason."""
        machine, signals, turns = self._machine, self._signals, self._turns
        signal_descriptor = signals.fileno()
        descriptors = (self._socket.fileno(), signal_descriptor)
        news, readable = True, [signal_descriptor]
        while self._exit is None:
            now = self._pulse.beat()
            # All that waits is looked at before any work: only the newest round is worked on.
            if news:
                self._receive(now)
                if signals.came or signal_descriptor in readable:
                    self._take_signals()
                if turns.awaited:
                    turns.look()
            if now >= machine.wake_at:
                self._handle(Woke(), now)
                if self._ordered is None:  # not when a delay is over: that is hurried
                    self._look_at_handshakes()
            news, readable = sockets.has_message(self._socket) or bool(signals.came), []
            if news or self._exit is not None:
                continue
            if turns.awaited:
                watched = descriptors + turns.descriptors
            elif self._ordered is not None or self._loading is not None:
                self._advance()
                continue
            else:
                watched = descriptors
            # poll() would do, but rounds its limit up to a millisecond, and so each delay.
            wait_s = min(machine.wake_at - time.monotonic(), self._pulse.longest_rest_s)
            readable = select.select(watched, (), (), max(0.0, wait_s))[0]
            news = bool(readable)
        return self._exit

    def _take_signals(self) -> None:
        while (number := self._signals.take()) is not None:
            at_once = number == signal.SIGINT
            self._handle(Shutdown("asked to end", at_once), time.monotonic())

    def _look_at_handshakes(self) -> None:
        if (sentence := self._handshakes.news()) is not None:
            log.warning("%s", sentence)
        self._handshakes.try_again(self._socket)

    def _receive(self, now: float) -> None:
        """Hand the next waiting message to the machine."""
        frames = sockets.receive(self._socket)
        if frames is None:
            return
        try:
            message = decode(frames, TO_WORKER)
        except ProtocolError as error:
            told = f"refused a message of the master ({error.reason}): {error}"
            line = self._refusals.admit(error.reason, told, now)
            if line is not None:
                log.warning("%s", line)
            return
        self._handle(Received(message), now)

    def _advance(self) -> None:
        """Do one chunk of whatever is at hand."""
        try:
            event: Event | None = (
                self._load() if self._ordered is None else self._compute(self._ordered)
            )
        except ErasureHeadError as error:
            self._forget()
            event = StoreUnreadable(str(error))
        if event is not None:
            self._handle(event, time.monotonic())
            if self._turns.granted and self._ordered is None:  # else it goes on with the next part
                self._turns.give_back()

    def _compute(self, ordered: Compute) -> PartDone | None:
        """Do one chunk of arithmetic; return what it was the end of, if it was."""
        computation = self._computation
        if computation is None:
            assert self._sums is not None
            computation = self._sums.gradient(ordered.part, ordered.theta, ordered.round)
            self._computation, self._spent_s = computation, 0.0
        start = time.perf_counter()
        finished = computation.advance()
        chunk_s = time.perf_counter() - start
        self._spent_s += chunk_s
        self._tally.compute_s += chunk_s
        self._tally.chunks += 1
        if not finished:
            return None
        self._ordered = self._computation = None
        values, loss = computation.values, computation.loss
        return PartDone(ordered.round, ordered.part, values, loss, self._spent_s)

    def _load(self) -> Loaded | None:
        """Take one more piece of the rows; return what is loaded once it was the last one."""
        assert self._loading is not None
        sums = next(self._loading)
        if sums is None:
            return None
        self._sums, self._loading = sums, None
        return Loaded(sums.n_rows, sums.support)

    def _forget(self) -> None:
        """Have nothing at hand any more."""
        self._ordered = self._computation = self._loading = None

    def _handle(self, event: Event, now: float) -> None:
        """Hand an event to the machine, and do what it wants."""
        for action in self._machine.handle(event, now):
            match action:
                case Send(message):
                    self._send(message)
                case Compute():
                    self._ordered = action
                    long = self._sums is not None and self._sums.n_entries >= LONG_ENTRIES
                    if long and not self._turns.granted:
                        self._turns.ask()
                case Abandon():
                    self._turns.give_back()
                    if self._computation is not None:
                        self._tally.chunks_dropped += self._computation.chunks_ahead
                    self._forget()
                case Load():
                    self._sums = None
                    self._loading = self._source.read(action)
                case Feed(task, last):
                    try:
                        self._source.feed(task)
                    except ErasureHeadError as error:
                        self._handle(StoreUnreadable(str(error)), time.monotonic())
                    else:
                        if last:
                            self._loading = self._source.finish()
                case Notice(level, text):
                    log.log(logging.getLevelName(level.upper()), "%s", text)
                case Exit():
                    self._exit = action

    def _send(self, message: ToMaster) -> None:
        try:
            sockets.send(self._socket, encode(message))
        except sockets.UnsendableError:
            log.debug("the master does not read; dropped %s", message.kind)
        else:
            if isinstance(message, Result):
                self._tally.results += 1
                self._tally.delay_s += message.delay_s
