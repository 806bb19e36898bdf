"""The master's loop: one thread that polls, reads what has come, and lets the conductor act.

It sleeps until the machine wants to be woken at the latest. What can wait is done in small pieces
while there is nothing to receive.
"""

from __future__ import annotations

import math
import resource
import signal
import time
from collections.abc import Callable, Sequence

import zmq

from erasurehead.network.sockets import Origin
from erasurehead.process.pulse import Pulse
from erasurehead.process.signals import SignalWatch
from erasurehead.records import RunSummary
from erasurehead.settings.tree import RunSettings
from erasurehead.wire.frames import decode
from erasurehead.wire.messages import TO_MASTER, Hello, ProtocolError
from erasurehead_master.machine.events import (
    Event,
    Garbage,
    Received,
    Shutdown,
    TurnedAway,
    Woke,
)
from erasurehead_master.run.conductor import Conductor
from erasurehead_master.run.seams import Usage
from erasurehead_master.shell.door import Door
from erasurehead_master.shell.post import Frames, Letter, SocketPost

Watched = tuple[int, Callable[[], list[Event]]]
"""A descriptor that becomes readable when the function has events to return."""

MOST_AT_ONCE = 1000
"""Messages handled between two looks at the clock, if there are not very many workers."""


class MasterLoop:
    """Runs one training run over a bound ROUTER socket.

    Parameters
    ----------
    conductor: does what is to be done.
    post: its post.
    door: says whose messages are looked at.
    signals: tells when the process was asked to end.
    watched: further descriptors to poll, each with what reads its news.
    pulse: is told of every turn of the loop.
    settings: of the run.
    """

    def __init__(
        self,
        conductor: Conductor[Letter],
        post: SocketPost,
        door: Door,
        signals: SignalWatch,
        watched: Sequence[Watched],
        pulse: Pulse,
        settings: RunSettings,
    ) -> None:
        self._conductor = conductor
        self._post = post
        self._door = door
        self._signals = signals
        self._watched = dict(watched)
        self._pulse = pulse
        self._max_frame_bytes = settings.wire.max_frame_bytes
        self._most_at_once = max(MOST_AT_ONCE, 4 * settings.coding.workers)

    def run(self) -> RunSummary:
        """Serve until the run is over and return how it ended."""
        conductor = self._conductor
        poller = zmq.Poller()
        poller.register(self._post.socket, zmq.POLLIN)
        poller.register(self._signals.fileno(), zmq.POLLIN)
        for descriptor in self._watched:
            poller.register(descriptor, zmq.POLLIN)
        while conductor.finish is None:
            ready = dict(poller.poll(self._patience_ms()))
            self._pulse.beat()
            self._drain()
            for event in self._door.news():
                conductor.handle(event)
            # Signals come before departures: if master and workers are asked to end together, the
            # run ends as asked, and not for want of workers.
            if self._signals.came or self._signals.fileno() in ready:
                self._take_signals()
            for descriptor, events in self._watched.items():
                if descriptor in ready:
                    for event in events():
                        conductor.handle(event)
            if time.monotonic() >= conductor.wake_at:
                conductor.handle(Woke())
            if conductor.has_work and not ready:
                conductor.work()
            conductor.tell_of_checkpoints()
        return conductor.conclude(_usage)

    def _patience_ms(self) -> int:
        """Return how long nothing need be done unless something comes."""
        if self._conductor.has_work:
            return 0
        wait_s = min(self._conductor.wake_at - time.monotonic(), self._pulse.longest_rest_s)
        return max(0, math.ceil(wait_s * 1000))

    def _drain(self) -> None:
        """Handle every message that is waiting; of a flood, so much before the time is looked at.

        The ROUTER takes from each peer in turn, so no other peer's message waits behind a flood.
        """
        for _ in range(self._most_at_once):
            if self._conductor.finish is not None:
                return
            routed = self._post.receive()
            if routed is None:
                return
            self._conductor.handle(self._event(*routed))

    def _event(self, origin: Origin, frames: Frames) -> Event:
        """Return what a message that has come is to the machine."""
        reason = self._door.turns_away(origin, time.monotonic())
        if reason is not None:
            return TurnedAway(reason)
        try:
            message = decode(frames, TO_MASTER, self._max_frame_bytes)
        except ProtocolError as error:
            return Garbage(origin.peer, error.reason, str(error), error.greeting)
        key = None
        if self._door.keyed and isinstance(message, Hello):
            key = self._door.key_name(origin)
        return Received(origin.peer, message, key)

    def _take_signals(self) -> None:
        while (number := self._signals.take()) is not None:
            reason = f"asked to end by {signal.Signals(number).name}"
            self._conductor.handle(Shutdown(number == signal.SIGINT, reason))


def _usage() -> Usage:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Usage(used.ru_maxrss * 1024, used.ru_utime + used.ru_stime)
