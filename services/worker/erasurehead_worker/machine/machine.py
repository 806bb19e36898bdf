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

from erasurehead.arrays import Vector
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
from erasurehead.straggling import DELAYS
from erasurehead.straggling.base import DelayModel
from erasurehead.wire.messages import (
    Assign,
    Drain,
    Goodbye,
    Handover,
    Heartbeat,
    Hello,
    NeedTask,
    Ready,
    Refuse,
    Register,
    Result,
    Step,
    Stop,
    Task,
    ToMaster,
    ToWorker,
)
from erasurehead.wire.vectors import FORMATS
from erasurehead.wire.vectors.base import ROUNDING, Packer
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
from erasurehead_worker.machine.models import MisfitError, Models

FIRST_RETRY_S = 0.25
LONGEST_RETRY_S = 5.0
SPARE_RETRY_S = 1.0
"""A spare greets this often, which is also its sign of life."""

FORGOTTEN_S = 5 * SPARE_RETRY_S
"""A spare that no master answered for so long is none any more."""


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
        self.loaded: Loaded | None = None
        self.round = 0
        self.abandoned = 0
        self.spare = False
        """A master has registered this process, and had no slot for it."""
        self._rng = rng
        self._retry_limit_s = retry_limit_s
        self._load_average = load_average
        self._drain_s = drain_s
        self._leaving: str | None = None
        """Why this process ends after the round at hand, if it does."""
        self._leave_at = math.inf
        self._heard = now
        self._greet_if_silent_at = math.inf
        self._sent = now
        self._retry_at = now
        self._retry_s = FIRST_RETRY_S
        self._step: Step | None = None
        self._part = 0
        """Of the result of the round at hand: the one that is delayed or computed."""
        self._until = math.inf
        self._delay_s = 0.0
        """Of the round at hand."""
        self._part_delay_s = 0.0
        """Of the part at hand."""
        self._delays: DelayModel | None = None
        self._delay_shares: list[float] = []
        self._models: Models | None = None
        self._model: Vector | None = None
        """Of the round at hand."""
        self._packers: list[list[Packer]] = []
        """One for each vector of each part of a result."""
        self._wanted: list[tuple[int, int]] = []
        self._streams = False
        self._actions: list[Action] = []
        self.wake_at = self._next_wake_at()
        """When the machine wants a `Woke` at the latest."""

    @property
    def placed(self) -> bool:
        """True while it has a place in a run: its rows at hand, or that of a spare."""
        return self.spare or self.phase in (Phase.IDLE, Phase.DELAYED, Phase.COMPUTING)

    def _next_wake_at(self) -> float:
        wake_at = min(self._until, self._retry_at, self._leave_at)
        if self._retry_limit_s is not None:
            wake_at = min(wake_at, self._heard + self._retry_limit_s)
        if self.assign is not None and self.phase is not Phase.GREETING:
            beat_at = self._sent + self.assign.heartbeat_interval_s
            wake_at = min(wake_at, beat_at, self._greet_if_silent_at)
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
            slept_s = now - self.wake_at
            self._heard += slept_s
            self._greet_if_silent_at += slept_s
        match event:
            case Received(message):
                self._heard = now
                self._received(message, now)
                if self.assign is not None:
                    self._greet_if_silent_at = now + self.assign.silence_limit_s
            case PartDone():
                self._part_done(event, now)
            case Woke():
                self._woke(now)
            case Loaded():
                self._loaded(event, now)
            case StoreUnreadable(why):
                if self._streams:
                    reason = f"the rows that the master sent cannot be used: {why}"
                    self._send(Goodbye(reason), now)
                    self._exit(EXIT_INTERNAL, reason)
                else:
                    self._stream(why, now)
            case Shutdown(reason, at_once):
                self._shut_down(reason, now, at_once=at_once)
        self.wake_at = self._next_wake_at()
        return actions

    def validate(self) -> None:
        """Assert every invariant (on in tests)."""
        busy = self.phase in (Phase.DELAYED, Phase.COMPUTING)
        assert busy == (self._step is not None)
        assert (self.phase is Phase.DELAYED) == (self._until < math.inf)
        assert self._leaving is None or busy or self.phase is Phase.EXITED
        assert self.wake_at == self._next_wake_at()
        if busy or self.phase is Phase.IDLE:
            assert self.loaded is not None
            assert self.assign is not None
        if self._step is not None:
            assert self._step.round == self.round

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
            if self.phase is Phase.GREETING:  # registered as a spare: no need to hurry
                self._retry_at = now + SPARE_RETRY_S
                self.spare = True
        elif isinstance(message, Handover):
            self._look_for_successor(message, now)
        elif isinstance(message, Refuse):
            self._exit(EXIT_REFUSED, message.reason)
        elif isinstance(message, Stop):
            unwanted = message.code in ("set-aside", "wrong-data")
            self._exit(EXIT_REFUSED if unwanted else EXIT_OK, message.reason)

    def _look_for_successor(self, handover: Handover, now: float) -> None:
        """Wait for another master of the same run, with the rows at hand."""
        self._actions.append(Notice("info", f"waiting for another master: {handover.reason}"))
        self._drop()
        self.spare = False
        if self.phase is Phase.IDLE:
            self.phase = Phase.GREETING
        self._retry_s = FIRST_RETRY_S
        self._retry_at = now + self._retry_s

    def _take_assign(self, assign: Assign, now: float) -> None:
        held = self.assign
        self._drop()
        self.round = 0
        try:
            self._delays = DELAYS.build(assign.delay, assign.n_slots, assign.delay_seed)
            format = FORMATS.build(assign.vector_format)
            self._models = Models(assign)
            model = _model_of(assign)
        except ErasureHeadError as error:
            reason = f"{error}; a worker needs --plugin for parts that are not built in"
            self._send(Goodbye(reason), now)
            self._exit(EXIT_USAGE, reason)
            return
        self.assign = assign
        self._delay_shares = assign.delay_shares.tolist()
        self.spare = False
        rng = np.random.default_rng((assign.delay_seed, ROUNDING, assign.slot))
        parts, vectors, _ = assign.coefficients.shape
        self._packers = [[format.packer(rng) for _ in range(vectors)] for _ in range(parts)]
        self._retry_at, self._retry_s = math.inf, FIRST_RETRY_S
        if self.loaded is not None and held is not None and _same_rows(held, assign):
            self._loaded(self.loaded, now)
            return
        if self.phase is Phase.LOADING and held is not None and _same_rows(held, assign):
            if self._wanted:
                self._ask(now)
            return
        self.phase = Phase.LOADING
        self.loaded = None
        self._wanted = []
        self._streams = False
        self._actions.append(Load(assign, model))

    def _stream(self, why: str, now: float) -> None:
        """Ask the master for the rows, one chunk at a time."""
        if self.phase is not Phase.LOADING or self.assign is None:
            return
        self._streams = True
        self._actions.append(Notice("info", f"asking the master for my rows: {why}"))
        self._wanted = [(int(t), 0) for t in self.assign.tasks]
        self._ask(now)

    def _take_task(self, task: Task, now: float) -> None:
        if self.phase is not Phase.LOADING or self.assign is None or not self._wanted:
            return
        if task.epoch != self.assign.epoch or (task.task, task.chunk) != self._wanted[0]:
            return
        self._wanted.pop(0)
        if task.chunk + 1 < task.chunks:
            self._wanted.insert(0, (task.task, task.chunk + 1))
        self._actions.append(Feed(task, last=not self._wanted))
        if self._wanted:
            self._ask(now)
        else:
            self._retry_at = math.inf

    def _ask(self, now: float) -> None:
        assert self.assign is not None
        task, chunk = self._wanted[0]
        self._retry_at = now + self.assign.silence_limit_s
        self._send(NeedTask(self.assign.epoch, task, chunk), now)

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
        self.loaded = loaded
        self._send(
            Ready(assign.epoch, assign.slot, loaded.rows, assign.digest, loaded.support), now
        )

    def _take_step(self, step: Step, now: float) -> None:
        if self.loaded is None or self.assign is None:
            return
        if step.epoch != self.assign.epoch:
            if step.epoch > self.assign.epoch:  # the code was rebuilt, and its ASSIGN was lost
                self._greet(now)
            return
        # The same round again comes after a result that was lost on the way.
        if step.round < self.round or (step.round == self.round and self._step is not None):
            return
        support = self.loaded.support
        width = self.assign.n_parameters if support is None else support.size
        assert self._models is not None
        if step.model.n != width:
            self._actions.append(
                Notice("error", f"a model of {step.model.n} values came, {width} are needed")
            )
            return
        try:
            model = self._models.take(step)
        except MisfitError as misfit:
            self._actions.append(Notice("error", f"a model came that cannot be read: {misfit}"))
            return
        if model is None:  # the STEP before was lost; after an ASSIGN a whole one comes
            self._greet(now)
            return
        if self._step is not None:
            self._drop()
        self.round = step.round
        self._step = step
        self._model = model
        assert self._delays is not None
        self._delay_s = self._delays.delay_s(step.round, self.assign.slot, self.assign.load_share)
        self._begin_part(0, now)

    # Time and work

    def _begin_part(self, part: int, now: float) -> None:
        """Wait out the part's share of the injected delay, then compute it."""
        self._part = part
        self._part_delay_s = self._delay_s * self._delay_shares[part]
        if self._part_delay_s > 0:
            self.phase = Phase.DELAYED
            self._until = now + self._part_delay_s
        else:
            self._compute()

    def _compute(self) -> None:
        assert self._model is not None
        self.phase = Phase.COMPUTING
        self._until = math.inf
        self._actions.append(Compute(self.round, self._part, self._model))

    def _part_done(self, done: PartDone, now: float) -> None:
        assign = self.assign
        at_hand = self.phase is Phase.COMPUTING and (done.round, done.part) == (
            self.round,
            self._part,
        )
        if not at_hand or assign is None:
            return
        last = done.part + 1 == len(self._packers)
        if last:
            self._step = None
            self.phase = Phase.IDLE
        packers = self._packers[done.part]
        self._send(
            Result(
                epoch=assign.epoch,
                round=done.round,
                slot=assign.slot,
                part=done.part,
                vectors=tuple([p.pack(v) for p, v in zip(packers, done.values, strict=True)]),
                loss=done.loss,
                compute_s=done.compute_s,
                delay_s=self._part_delay_s,
            ),
            now,
        )
        if not last:
            self._begin_part(done.part + 1, now)
        elif self._leaving is not None:
            self._leave(self._leaving, now)

    def _shut_down(self, reason: str, now: float, *, at_once: bool) -> None:
        """End, after the result of the round at hand if it can come in time."""
        in_time = self._step is not None and (
            self.phase is Phase.COMPUTING or self._until < now + self._drain_s
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

    def _drop(self) -> None:
        """Forget the round at hand."""
        if self._step is not None:
            self.abandoned += 1
            self._actions.append(Abandon())
            self._step = None
            self._until = math.inf
            self.phase = Phase.IDLE

    def _woke(self, now: float) -> None:
        # The same sums as in `wake_at`: a difference may round to the other side of a limit, and
        # then the machine would ask to be woken at once, for ever.
        if self._retry_limit_s is not None and now >= self._heard + self._retry_limit_s:
            self._exit(
                EXIT_MASTER_LOST, f"no master answered for {self._retry_limit_s:g} s; giving up"
            )
            return
        if now >= self._leave_at:
            assert self._leaving is not None
            self._leave(self._leaving, now)
            return
        if now >= self._until:
            self._compute()
        if now >= self._retry_at:
            if self.phase is Phase.LOADING and self._wanted:
                self._ask(now)
            else:
                self._greet(now)
        if self.assign is not None and self.phase is not Phase.GREETING:
            if now >= self._greet_if_silent_at:
                self._actions.append(Notice("warning", "the master is silent; greeting it again"))
                self._greet_if_silent_at = now + self.assign.silence_limit_s
                self._greet(now)
            elif now >= self._sent + self.assign.heartbeat_interval_s:
                at_work = 0 if self._step is None else self.round
                self._send(Heartbeat(at_work, self._load_average()), now)

    def _greet(self, now: float) -> None:
        """Send HELLO; the next one after a pause that doubles, with jitter."""
        held = None if self.assign is None else self.assign.slot
        if now > self._heard + FORGOTTEN_S:
            self.spare = False
        self._send(msgspec.structs.replace(self.hello, held=held), now)
        self._retry_at = now + self._retry_s * float(self._rng.uniform(0.75, 1.25))
        self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)

    def _send(self, message: ToMaster, now: float) -> None:
        self._sent = now
        self._actions.append(Send(message))

    def _exit(self, code: int, reason: str, *, asked: bool = False) -> None:
        self._step = None
        self.spare = False
        self._until = self._leave_at = math.inf
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
