"""The master's shell: socket, clock and arithmetic around the state machine.

One thread, one loop: poll until the machine wants to be woken, drain the inbox, carry out what the
machine says. Evaluations run in small pieces while there is nothing to receive.
"""

from __future__ import annotations

import logging
import math
import resource
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import zmq

from erasurehead.models.scoring import Evaluator
from erasurehead.network import sockets
from erasurehead.network.limits import LogLimit
from erasurehead.network.sockets import Origin
from erasurehead.process.pulse import Pulse
from erasurehead.process.signals import SignalWatch
from erasurehead.records import Level, Observer, RoundRecord, RunStart, RunSummary
from erasurehead.wire.frames import Buffer, decode, encode
from erasurehead.wire.messages import TO_MASTER, ProtocolError, Step, ToWorker
from erasurehead_master.keep.checkpoint import Outcome, RunTimes
from erasurehead_master.keep.checkpointing import CheckpointKeeper
from erasurehead_master.machine.actions import (
    Action,
    CloseRound,
    Finish,
    Fold,
    FoldLate,
    Notice,
    OpenRound,
    Rebuild,
    Send,
    SendStep,
    SendTask,
)
from erasurehead_master.machine.events import (
    Event,
    Garbage,
    Received,
    Refused,
    Shutdown,
    Stepped,
    Unreachable,
    Woke,
)
from erasurehead_master.machine.machine import Master
from erasurehead_master.run.descent import Descent
from erasurehead_master.run.ledger import NO_TIMES, RoundLedger
from erasurehead_master.run.streaming import TaskStreamer
from erasurehead_master.shell.door import Door

log = logging.getLogger(__name__)

Watched = tuple[int, Callable[[], list[Event]]]
"""A descriptor that becomes readable when the function has events to return."""

MOST_AT_ONCE = 1000
"""Messages handled between two looks at the clock, if there are not very many peers."""


class MasterServer:
    """Runs one training run over a bound ROUTER socket.

    Parameters
    ----------
    machine: the state machine, fresh.
    descent: holds the model.
    evaluator: rates models on the test rows.
    streamer: reads rows for workers without the store.
    socket: bound ROUTER.
    door: says whose messages are looked at.
    signals: tells when the process was asked to end.
    observers: watch the run; called in order on this thread.
    watched: further descriptors to poll, each with what reads its news.
    pulse: is told of every turn of the loop.
    begun: `time.monotonic()` when the work for this run began.
    keeper: takes checkpoints; None: the run has no directory.
    resumed: what the run had taken where it was interrupted.
    """

    def __init__(
        self,
        machine: Master,
        descent: Descent,
        evaluator: Evaluator,
        streamer: TaskStreamer,
        socket: zmq.Socket[bytes],
        door: Door,
        signals: SignalWatch,
        observers: Sequence[Observer],
        watched: Sequence[Watched],
        pulse: Pulse,
        begun: float,
        keeper: CheckpointKeeper | None = None,
        resumed: RunTimes = NO_TIMES,
    ) -> None:
        self._machine = machine
        self._descent = descent
        self._ledger = RoundLedger(machine, descent, time.perf_counter, resumed)
        self._evaluator = evaluator
        self._streamer = streamer
        self._socket = socket
        self._door = door
        self._signals = signals
        self._observers = observers
        self._begun = begun
        self._watched = dict(watched)
        self._pulse = pulse
        self._keeper = keeper
        self._lost_checkpoints = 0
        self._actions: deque[Action] = deque()
        self._finish: Finish | None = None
        self._settings = machine.plan.settings
        self._start: RunStart | None = None
        self._pending: RoundRecord | None = None
        """The record whose evaluation is not finished."""
        self._evaluation: Iterator[dict[str, float] | None] | None = None
        self._metrics: dict[str, float] = {}
        self._evaluation_s = resumed.evaluation_s
        self._encoded: dict[int, list[Buffer]] = {}
        self._times = resumed
        self._log_limit = LogLimit(burst=1000, per_s=10)

    def run(self) -> RunSummary:
        """Serve until the run is over and return how it ended."""
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._signals.fileno(), zmq.POLLIN)
        for descriptor in self._watched:
            poller.register(descriptor, zmq.POLLIN)
        asked = 0
        while self._finish is None:
            if self._evaluation is not None:
                timeout_ms = 0
            else:
                wait_s = min(self._machine.wake_at - time.monotonic(), self._pulse.longest_rest_s)
                timeout_ms = max(0, math.ceil(wait_s * 1000))
            ready = dict(poller.poll(timeout_ms))
            self._pulse.beat()
            self._drain()
            for event in self._door.news():
                self._handle(event)
            # Before departures: who is asked to end together with all workers ends as asked.
            while (number := self._signals.take()) is not None:
                asked += 1
                at_once = asked > 1 or number == signal.SIGINT
                self._handle(Shutdown(at_once, f"asked to end by {signal.Signals(number).name}"))
            for descriptor, events in self._watched.items():
                if descriptor in ready:
                    for event in events():
                        self._handle(event)
            if time.monotonic() >= self._machine.wake_at:
                self._handle(Woke())
            if self._evaluation is not None and not ready:
                self._evaluate_piece()
            if self._keeper is not None:
                self._checkpointed(self._keeper.outcomes())
        return self._conclude()

    # Messages

    def _drain(self) -> None:
        """Handle every message that is waiting; of a flood, so much before the time is looked at.

        The ROUTER takes from each peer in turn, so nobody's message waits behind a flood.
        """
        for _ in range(max(MOST_AT_ONCE, 4 * len(self._machine.membership.members))):
            if self._finish is not None:
                return
            routed = sockets.receive_routed(self._socket, keyed=self._door.keyed)
            if routed is None:
                return
            self._take(*routed)

    def _take(self, origin: Origin, frames: Sequence[Buffer]) -> None:
        self._ledger.bytes_in += sum(map(len, frames))
        self._door.delivered(origin, frames)
        now = time.monotonic()
        reason = self._door.turns_away(origin, now)
        if reason is not None:
            self._handle(Refused(reason))
            return
        refused = self._machine.refused.total()
        try:
            message = decode(frames, TO_MASTER, self._settings.wire.max_frame_bytes)
        except ProtocolError as error:
            self._handle(Garbage(origin.peer, error.reason, str(error), error.greeting))
        else:
            members = self._machine.membership.members
            stranger = origin.peer not in members
            self._handle(Received(origin.peer, message))
            if stranger and origin.peer in members and self._door.keyed:
                name, key = members[origin.peer].name, self._door.key_name(origin)
                self._notice("info", f"worker {name} came in under the key {key}")
        if self._machine.refused.total() != refused:
            self._door.refused(origin.peer, now)

    def _send(self, peer: bytes, frames: Sequence[Buffer]) -> bool:
        try:
            sockets.send(self._socket, [peer, *frames])
        except sockets.UnsendableError:
            return False
        self._ledger.bytes_out += sum(map(len, frames))
        return True

    # The machine and its actions

    def _handle(self, event: Event) -> None:
        self._actions.extend(self._machine.handle(event, time.monotonic()))
        while self._actions:
            self._carry_out(self._actions.popleft())

    def _carry_out(self, action: Action) -> None:
        match action:
            case Fold():
                self._ledger.fold(action)
            case SendStep(round_, targets):
                self._broadcast(round_, targets)
            case CloseRound():
                self._close(action)
            case OpenRound():
                self._open()
            case Send(peer, message):
                self._send_control(peer, message)
            case SendTask(peer, task, chunk):
                self._send_control(peer, self._streamer.chunk(self._machine.epoch, task, chunk))
            case FoldLate():
                self._ledger.fold_late(action)
            case Rebuild(plan):
                self._ledger.rebuild(action)
                self._streamer.plan = plan
            case Notice(level, text):
                self._notice(level, text)
            case Finish():
                self._finish = action

    def _send_control(self, peer: bytes, message: ToWorker) -> None:
        if not self._send(peer, encode(message)):
            self._queue(Unreachable(peer))

    def _queue(self, event: Event) -> None:
        """Let the machine hear of something that happened while carrying out its actions."""
        self._actions.extend(self._machine.handle(event, time.monotonic()))

    def _open(self) -> None:
        now = time.monotonic()
        if self._start is None:
            self._announce(now)
        self._ledger.open(now)
        self._encoded.clear()

    def _broadcast(self, round_: int, targets: Sequence[tuple[int, bytes]]) -> None:
        """Send the model; slots with one support share the encoded frames."""
        start = time.perf_counter()
        keys = self._machine.supports.keys
        lost: list[bytes] = []
        for slot, peer in targets:
            key = keys[slot]
            frames = self._encoded.get(key)
            if frames is None:
                step = Step(self._machine.epoch, round_, self._ledger.model(slot))
                frames = self._encoded[key] = encode(step)
            if not self._send(peer, frames):
                lost.append(peer)
        self._ledger.encoded(time.perf_counter() - start)
        for peer in lost:
            self._queue(Unreachable(peer))

    def _close(self, action: CloseRound) -> None:
        """Decode, step, let the machine open the next round, then report this one."""
        record, outcome = self._ledger.close(action, time.monotonic)
        self._finish_evaluation()
        snapshot = self._snapshot_if_due(action.round)
        self._times = RunTimes(record.closed_s, self._ledger.rounds_s, self._evaluation_s)
        if self._keeper is not None and outcome.diverged is None:
            self._keeper.closed(action.round, self._times, time.monotonic())
        # The next round is opened before this one is reported: nobody waits for a reporter.
        for follow in self._machine.handle(Stepped(outcome.diverged), time.monotonic()):
            self._carry_out(follow)
        if outcome.diverged is not None:
            return  # no step was taken, so it is no round of the run; its end says why
        if snapshot is not None and self._evaluator:
            self._evaluation = self._evaluator.steps(snapshot)
            self._pending = record
        else:
            self._report(record)

    # Reporting

    def _snapshot_if_due(self, round_: int) -> npt.NDArray[np.float64] | None:
        every, last = self._settings.descent.evaluate_every_rounds, self._settings.descent.rounds
        if round_ % every == 0 or round_ == last:
            return self._descent.model.copy()
        return None

    def _evaluate_piece(self) -> None:
        assert self._evaluation is not None
        metrics = next(self._evaluation)
        if metrics is not None:
            self._evaluated(metrics)

    def _finish_evaluation(self) -> None:
        """An evaluation that did not fit into the waiting is finished now, between two rounds."""
        if self._evaluation is None:
            return
        start = time.monotonic()
        while self._evaluation is not None:
            self._evaluate_piece()
        self._evaluation_s += time.monotonic() - start

    def _evaluated(self, metrics: dict[str, float]) -> None:
        self._evaluation = None
        self._metrics = metrics
        assert self._pending is not None
        self._report(replace(self._pending, metrics=metrics))
        self._pending = None

    def _report(self, record: RoundRecord) -> None:
        for observer in self._observers:
            observer.round_over(record)
        if self._keeper is not None:
            self._keeper.reported(record.round)

    def _checkpointed(self, outcomes: Sequence[Outcome]) -> None:
        """Tell of checkpoints that were written, and once of each spell of failures."""
        for round_, error in outcomes:
            if error is not None and self._lost_checkpoints == 0:
                self._notice(
                    "error",
                    f"cannot write the checkpoint of round {round_}: {error}; the older ones stay,"
                    " training goes on",
                )
            self._lost_checkpoints = 0 if error is None else self._lost_checkpoints + 1
            for observer in self._observers:
                observer.checkpointed(round_, error is None)

    def _notice(self, level: Level, text: str) -> None:
        line = self._log_limit.admit(level, text, time.monotonic())
        if line is None:
            return
        log.log(logging.getLevelName(level.upper()), "%s", line)
        for observer in self._observers:
            observer.notice(level, line)

    def _announce(self, now: float) -> None:
        step = str(self._descent.size)
        ready_s = now - self._begun
        self._start = self._machine.plan.start(step, self._machine.round, ready_s)
        for observer in self._observers:
            observer.started(self._start)

    def _tell_of_what_was_done(self) -> None:
        """The model of a run that was resumed, and had no round to do any more."""
        self._announce(time.monotonic())
        if self._evaluator:
            self._metrics = self._evaluator.now(self._descent.model)

    def _conclude(self) -> RunSummary:
        assert self._finish is not None
        self._finish_evaluation()
        if self._keeper is not None:
            done = self._machine.rounds_done
            self._times = replace(self._times, evaluation_s=self._evaluation_s)
            self._checkpointed(self._keeper.finish(done, self._times, time.monotonic()))
        if self._start is None and self._machine.rounds_done:
            self._tell_of_what_was_done()
        wall_s = self._times.closed_s
        if self._ledger.origin is not None:
            wall_s = time.monotonic() - self._ledger.origin
        usage = resource.getrusage(resource.RUSAGE_SELF)
        summary = RunSummary(
            reason=self._finish.reason,
            exit_code=self._finish.exit_code,
            rounds=self._machine.rounds_done,
            wall_s=wall_s,
            rounds_s=self._ledger.rounds_s,
            evaluation_s=self._evaluation_s,
            metrics=self._metrics,
            refused=dict(self._machine.refused.items()),
            peak_memory_bytes=usage.ru_maxrss * 1024,
            cpu_s=usage.ru_utime + usage.ru_stime,
        )
        for observer in self._observers:
            if self._start is not None:
                observer.model(self._descent.model, self._start, summary.rounds)
            observer.finished(summary)
        return summary
