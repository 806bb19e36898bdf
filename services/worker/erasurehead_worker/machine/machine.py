"""The worker without I/O: greet, load, then one round at a time, always the newest.

`Worker.handle(event, now) -> actions` is the only way its state changes; `wake_at` says when it
wants to be woken. The shell (`loop.py`) owns the socket and does the arithmetic in chunks between
two looks at its inbox, so a newer round, a stop or a heartbeat never waits for a long gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum

import msgspec
import numpy as np

from erasurehead.errors import (
    EXIT_INTERNAL,
    EXIT_MASTER_LOST,
    EXIT_OK,
    EXIT_REFUSED,
    EXIT_USAGE,
    ErasureHeadError,
    UsageError,
)
from erasurehead.models import MODELS
from erasurehead.models.base import Model
from erasurehead.records import Level
from erasurehead.wire.messages import (
    Assign,
    Drain,
    Goodbye,
    Handover,
    Heartbeat,
    Hello,
    Ready,
    Refuse,
    Register,
    Step,
    Stop,
    Task,
    ToMaster,
    ToWorker,
)
from erasurehead_worker.machine.actions import Abandon, Action, Compute, Exit, Load, Notice, Send
from erasurehead_worker.machine.contact import Contact
from erasurehead_worker.machine.events import (
    Event,
    Loaded,
    PartDone,
    Received,
    Shutdown,
    StoreUnreadable,
    Woke,
)
from erasurehead_worker.machine.loading import Loading
from erasurehead_worker.machine.models import MisfitError
from erasurehead_worker.machine.work import Work

SLEPT_S = 1.0
"""A wake-up that is later than this was slept through."""


class Phase(Enum):
    """What the worker is at."""

    GREETING = "greeting"
    LOADING = "loading"
    IDLE = "idle"
    DELAYED = "delayed"
    COMPUTING = "computing"
    EXITED = "exited"


class Worker:
    """One worker process's conversation with the master.

    Parameters
    ----------
    hello: how it introduces itself.
    now: the clock's reading at the start.
    rng: for the jitter of retries.
    retry_limit_s: seconds without a master after which to give up; None: never.
    load_average: read for each heartbeat.
    drain_s: seconds that the round at hand may still take once the process was asked to end.
    """

    def __init__(
        self,
        hello: Hello,
        now: float,
        rng: np.random.Generator,
        retry_limit_s: float | None = None,
        load_average: Callable[[], float] = lambda: 0.0,
        drain_s: float = 5.0,
    ) -> None:
        self.hello = hello
        self.phase = Phase.GREETING
        self.assign: Assign | None = None
        self.abandoned = 0
        """Rounds given up."""
        self._contact = Contact(now, rng, retry_limit_s)
        self._loading = Loading()
        self._work: Work | None = None
        """Under `assign`."""
        self._load_average = load_average
        self._drain_s = drain_s
        self._leaving: str | None = None
        """Why this process ends after the round at hand, if it does."""
        self._leave_at = math.inf
        self._actions: list[Action] = []
        self.wake_at = self._next_wake_at()
        """When the machine wants a `Woke` at the latest."""

    @property
    def round(self) -> int:
        """The newest round that was begun under the assignment; 0: none."""
        return 0 if self._work is None else self._work.round

    @property
    def loaded(self) -> Loaded | None:
        """The rows of the slot, once they are in memory."""
        return self._loading.rows

    @property
    def spare(self) -> bool:
        """True when a master has registered this process, and had no slot for it."""
        return self._contact.spare

    @property
    def placed(self) -> bool:
        """True while it has a place in a run: its rows at hand, or that of a spare."""
        return self.spare or self.phase in (Phase.IDLE, Phase.DELAYED, Phase.COMPUTING)

    def _next_wake_at(self) -> float:
        contact = self._contact
        wake_at = min(contact.retry_at, contact.give_up_at, self._leave_at)
        if self._work is not None:
            wake_at = min(wake_at, self._work.until)
        if self.assign is not None and self.phase is not Phase.GREETING:
            beat_at = contact.beat_at(self.assign.heartbeat_interval_s)
            wake_at = min(wake_at, beat_at, contact.silent_at)
        return wake_at

    def handle(self, event: Event, now: float) -> list[Action]:
        """Take one event and return what must be done, in order."""
        actions: list[Action] = []
        self._actions = actions
        if self.phase is Phase.EXITED:
            return actions
        if now > self.wake_at + SLEPT_S:
            # This process did not run (it was stopped, or its whole machine was), and nor, perhaps,
            # did the master: that is no silence.
            self._contact.excuse(now - self.wake_at)
        match event:
            case Received(message):
                self._contact.heard(now)
                self._received(message, now)
                if self.assign is not None:
                    self._contact.silent_at = now + self.assign.silence_limit_s
            case PartDone():
                self._part_done(event, now)
            case Woke():
                self._woke(now)
            case Loaded():
                self._loaded(event, now)
            case StoreUnreadable(why):
                self._unreadable(why, now)
            case Shutdown(reason, at_once):
                self._shut_down(reason, now, at_once=at_once)
        self.wake_at = self._next_wake_at()
        return actions

    def validate(self) -> None:
        """Assert every invariant (on in tests)."""
        work, busy = self._work, self.phase in (Phase.DELAYED, Phase.COMPUTING)
        assert busy == (work is not None and work.at_hand)
        assert (self.phase is Phase.DELAYED) == (work is not None and work.until < math.inf)
        assert self._leaving is None or busy or self.phase is Phase.EXITED
        assert self.wake_at == self._next_wake_at()
        assert (work is None) == (self.assign is None)
        if busy or self.phase is Phase.IDLE:
            assert self.loaded is not None
            assert self.assign is not None

    # What the master says

    def _received(self, message: ToWorker, now: float) -> None:
        if self._leaving is not None and isinstance(message, Assign | Step | Register | Handover):
            # Whatever else the master wants: the round at hand is of no use to it any more.
            if not (isinstance(message, Step) and message.round <= self.round):
                self._leave(self._leaving, now)
        elif isinstance(message, Step):
            self._take_step(message, now)
        elif isinstance(message, Assign):
            self._take_assign(message, now)
        elif isinstance(message, Task):
            self._take_task(message, now)
        elif isinstance(message, Register):
            self._greet(now)
        elif isinstance(message, Heartbeat):
            if self.phase is Phase.GREETING:
                self._contact.registered(now)
        elif isinstance(message, Handover):
            self._look_for_successor(message, now)
        elif isinstance(message, Refuse):
            self._exit(EXIT_REFUSED, message.reason)
        elif isinstance(message, Stop):
            unwanted = message.code in ("set-aside", "wrong-data")
            self._exit(EXIT_REFUSED if unwanted else EXIT_OK, message.reason)

    def _look_for_successor(self, handover: Handover, now: float) -> None:
        """Wait for another master of the same run, with the rows at hand."""
        self._notice("info", f"waiting for another master: {handover.reason}")
        self._drop()
        if self.phase is Phase.IDLE:
            self.phase = Phase.GREETING
        self._contact.lost(now)

    def _take_assign(self, assign: Assign, now: float) -> None:
        self._drop()
        try:
            work, model = Work(assign), _model_of(assign)
        except ErasureHeadError as error:
            reason = f"{error}; a worker needs --plugin for parts that are not built in"
            self._send(Goodbye(reason), now)
            self._exit(EXIT_USAGE, reason)
            return
        same_rows = self.assign is not None and _same_rows(self.assign, assign)
        self.assign, self._work = assign, work
        self._contact.settled()
        loading = self._loading
        if same_rows and loading.rows is not None:
            self._loaded(loading.rows, now)
        elif same_rows and self.phase is Phase.LOADING:
            if loading.asks:
                self._ask(now)
        else:
            self.phase = Phase.LOADING
            loading.begin()
            self._actions.append(Load(assign, model))

    # Rows

    def _unreadable(self, why: str, now: float) -> None:
        """Have the master send the rows, unless it has."""
        if self._loading.streams:
            reason = f"the rows that the master sent cannot be used: {why}"
            self._send(Goodbye(reason), now)
            self._exit(EXIT_INTERNAL, reason)
        elif self.phase is Phase.LOADING and self.assign is not None:
            self._notice("info", f"asking the master for my rows: {why}")
            self._loading.stream(self.assign)
            self._ask(now)

    def _take_task(self, task: Task, now: float) -> None:
        if self.phase is not Phase.LOADING or self.assign is None:
            return
        feed = self._loading.take(task, self.assign)
        if feed is None:
            return
        self._actions.append(feed)
        if self._loading.asks:
            self._ask(now)
        else:
            self._contact.retry_at = math.inf

    def _ask(self, now: float) -> None:
        assert self.assign is not None
        self._contact.retry_at = now + self.assign.silence_limit_s
        self._send(self._loading.wish(self.assign), now)

    def _loaded(self, loaded: Loaded, now: float) -> None:
        assign = self.assign
        assert assign is not None
        support = loaded.support
        if support is not None and support.nbytes > assign.max_frame_bytes:
            # The master would hang up each time, and neither side would know why.
            reason = (
                f"the rows need {support.size} parameters by number, {support.nbytes} bytes, and"
                f" the master takes frames of {assign.max_frame_bytes}; raise"
                " wire.max_frame_bytes there, or lower wire.dense_share"
            )
            self._send(Goodbye(reason), now)
            self._exit(EXIT_USAGE, reason)
            return
        self.phase = Phase.IDLE
        self._loading.rows = loaded
        self._send(Ready(assign.epoch, assign.slot, loaded.rows, assign.digest, support), now)

    # Rounds

    def _take_step(self, step: Step, now: float) -> None:
        assign, work, rows = self.assign, self._work, self.loaded
        if rows is None or assign is None or work is None:
            return
        if step.epoch != assign.epoch:
            if step.epoch > assign.epoch:  # the code was rebuilt, and its ASSIGN was lost
                self._greet(now)
            return
        if not work.wants(step):
            return
        width = assign.n_parameters if rows.support is None else rows.support.size
        if step.model.n != width:
            self._notice("error", f"a model of {step.model.n} values came, {width} are needed")
            return
        try:
            model = work.models.take(step)
        except MisfitError as misfit:
            self._notice("error", f"a model came that cannot be read: {misfit}")
            return
        if model is None:  # the STEP before was lost; after an ASSIGN a whole one comes
            self._greet(now)
            return
        self._drop()
        self._go_on(work.begin(step.round, model, now))

    def _go_on(self, compute: Compute | None) -> None:
        """Compute a part of the result, or wait out the delay that comes first."""
        if compute is None:
            self.phase = Phase.DELAYED
        else:
            self.phase = Phase.COMPUTING
            self._actions.append(compute)

    def _part_done(self, done: PartDone, now: float) -> None:
        work = self._work
        if work is None or self.phase is not Phase.COMPUTING or not work.awaits(done):
            return
        self._send(work.result(done), now)
        if work.at_hand:
            self._go_on(work.go_on(now))
            return
        self.phase = Phase.IDLE
        if self._leaving is not None:
            self._leave(self._leaving, now)

    def _drop(self) -> None:
        """Forget the round at hand."""
        if self._work is not None and self._work.at_hand:
            self._work.drop()
            self.abandoned += 1
            self._actions.append(Abandon())
            self.phase = Phase.IDLE

    # Time, and the end

    def _woke(self, now: float) -> None:
        contact = self._contact
        if now >= contact.give_up_at:
            limit_s = contact.retry_limit_s
            self._exit(EXIT_MASTER_LOST, f"no master answered for {limit_s:g} s; giving up")
            return
        if now >= self._leave_at:
            assert self._leaving is not None
            self._leave(self._leaving, now)
            return
        if self._work is not None and now >= self._work.until:
            self._go_on(self._work.compute())
        if now >= contact.retry_at:
            if self.phase is Phase.LOADING and self._loading.asks:
                self._ask(now)
            else:
                self._greet(now)
        if self.assign is not None and self.phase is not Phase.GREETING:
            if now >= contact.silent_at:
                self._notice("warning", "the master is silent; greeting it again")
                contact.silent_at = now + self.assign.silence_limit_s
                self._greet(now)
            elif now >= contact.beat_at(self.assign.heartbeat_interval_s):
                busy = self._work is not None and self._work.at_hand
                self._send(Heartbeat(self.round if busy else 0, self._load_average()), now)

    def _shut_down(self, reason: str, now: float, *, at_once: bool) -> None:
        """End, after the result of the round at hand if it can come in time."""
        work = self._work
        in_time = (
            work is not None
            and work.at_hand
            and (self.phase is Phase.COMPUTING or work.until < now + self._drain_s)
        )
        if at_once or self._leaving is not None or not in_time:
            self._leave(reason, now)
            return
        self._leaving = reason
        self._leave_at = now + self._drain_s
        self._send(Drain(self._drain_s, reason), now)

    def _leave(self, reason: str, now: float) -> None:
        self._send(Goodbye(reason), now)
        self._exit(EXIT_OK, reason, asked=True)

    def _greet(self, now: float) -> None:
        held = None if self.assign is None else self.assign.slot
        self._send(msgspec.structs.replace(self.hello, held=held), now)
        self._contact.greeted(now)

    def _notice(self, level: Level, text: str) -> None:
        self._actions.append(Notice(level, text))

    def _send(self, message: ToMaster, now: float) -> None:
        self._contact.sent(now)
        self._actions.append(Send(message))

    def _exit(self, code: int, reason: str, *, asked: bool = False) -> None:
        if self._work is not None:
            self._work.drop()
        self._contact.spare = False
        self._leave_at = math.inf
        self.phase = Phase.EXITED
        self._actions.append(Exit(code, reason, asked))


def _model_of(assign: Assign) -> Model:
    """Return the model that the master trains.

    Raises
    ------
    UsageError: this worker does not have it, or it is another one here.
    """
    model = MODELS.build(assign.model, assign.columns, None)
    if model.n_parameters != assign.n_parameters:
        raise UsageError(
            f"the master's {assign.model} has {assign.n_parameters} parameters, and this worker's"
            f" {model.n_parameters}; install the same version of it on both"
        )
    return model


def _same_rows(a: Assign, b: Assign) -> bool:
    """True when rows loaded for one assignment serve the other."""
    return (
        a.digest == b.digest
        and a.columns == b.columns
        and a.model == b.model
        and a.dense_share == b.dense_share
        and (a.batch, a.batch_seed) == (b.batch, b.batch_seed)
        and np.array_equal(a.row_ranges, b.row_ranges)
        and np.array_equal(a.coefficients, b.coefficients)
    )
