"""A worker that differs from a real one in its shell only."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np

from erasurehead.arrays import FloatArray, Vector
from erasurehead.wire.messages import PROTOCOL_VERSION, Assign, Hello, ToMaster
from erasurehead_simulator.virtual.clock import VirtualClock
from erasurehead_simulator.virtual.timing import Timing
from erasurehead_worker.machine import actions, events
from erasurehead_worker.machine.machine import Worker


class Arithmetic(Protocol):
    """What a virtual worker computes with."""

    def load(self, load: actions.Load) -> tuple[int, np.ndarray | None]:
        """Return (rows, support)."""

    def gradient(
        self, assign: Assign, round_: int, theta: Vector, part: int
    ) -> tuple[list[FloatArray], list[float]]:
        """Return (values, loss) of one part of a round's result."""


class Site(Protocol):
    """Where a virtual worker runs: its clock, its arithmetic, and the way to its master."""

    clock: VirtualClock
    arithmetic: Arithmetic
    timing: Timing

    def next_peer(self) -> int:
        """Return a number no connection has had."""

    def check(self, validate: Callable[[], None]) -> None:
        """Assert a machine's invariants where that is on."""

    def to_master(self, worker: VirtualWorker, message: ToMaster) -> None:
        """Put a worker's message on the way."""


class VirtualWorker:
    """One worker process: alive, frozen or dead.

    Parameters
    ----------
    site: where it runs.
    name: its own.
    slot: the slot it asks for.
    """

    def __init__(self, site: Site, name: str, slot: int | None) -> None:
        self._site = site
        self.name = name
        self.alive = True
        self.frozen = False
        self.cut = False
        self.exit: actions.Exit | None = None
        self.peer = f"{name}/{site.next_peer()}".encode()
        self._inbox: list[events.Event] = []
        self._job = 0
        self._assign: Assign | None = None
        hello = Hello(PROTOCOL_VERSION, name, "virtual", "virtual", slot)
        self.machine = Worker(hello, site.clock.now, np.random.default_rng(site.next_peer()))
        self._wake()

    def deliver(self, event: events.Event) -> None:
        """Let an event reach the worker's machine, now or when it thaws."""
        if not self.alive:
            return
        if self.frozen:
            self._inbox.append(event)
            return
        for action in self.machine.handle(event, self._site.clock.now):
            self._carry_out(action)
        self._site.check(self.machine.validate)
        self._wake()

    def kill(self) -> None:
        """End the process as SIGKILL does."""
        self.alive = False

    def thaw(self) -> None:
        """Let a frozen process go on, with whatever has come meanwhile."""
        self.frozen = False
        inbox, self._inbox = self._inbox, []
        for event in inbox:
            self.deliver(event)
        self.deliver(events.Woke())

    def _wake(self) -> None:
        at = self.machine.wake_at
        if at < math.inf and self.alive:
            self._site.clock.at(at, self._woke)

    def _woke(self) -> None:
        # Only the latest wish counts; older wake-ups find the wish moved on.
        if self.alive and not self.frozen and self.machine.wake_at <= self._site.clock.now:
            self.deliver(events.Woke())

    def _carry_out(self, action: actions.Action) -> None:
        site = self._site
        match action:
            case actions.Send(message):
                site.to_master(self, message)
            case actions.Load():
                self._assign = action.assign
                rows, support = site.arithmetic.load(action)
                site.clock.after(0.0, lambda: self.deliver(events.Loaded(rows, support)))
            case actions.Compute(round_, part, theta):
                self._job += 1
                self._compute(self._job, round_, part, theta)
            case actions.Abandon():
                self._job += 1
            case actions.Exit():
                self.exit = action
                self.alive = False
            case _:
                pass

    def _compute(self, job: int, round_: int, part: int, theta: Vector) -> None:
        assign = self._assign
        assert assign is not None
        spent_s = self._site.timing.compute_s(assign.slot, part)

        def done() -> None:
            if job != self._job or not self.alive:
                return
            values, loss = self._site.arithmetic.gradient(assign, round_, theta, part)
            self.deliver(events.PartDone(round_, part, values, loss, spent_s))

        self._site.clock.after(spent_s, done)
