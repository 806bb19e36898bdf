"""The nursery's end of the channels over which workers ask for turns."""

from __future__ import annotations

import contextlib
import math
import os
import socket
from collections.abc import Callable, Iterable

from erasurehead_local.turns import TurnKeeper
from erasurehead_worker.turns import ASK, GRANTED, MESSAGE


class TurnDesk:
    """Carries wishes and grants between the turn keeper and its workers.

    A worker is known by the descriptor of its channel.

    Parameters
    ----------
    keeper: decides.
    clock: seconds.
    """

    def __init__(self, keeper: TurnKeeper, clock: Callable[[], float]) -> None:
        self._keeper = keeper
        self._clock = clock
        self._channels: dict[int, socket.socket] = {}

    def open(self) -> socket.socket:
        """Return a new worker's end of a channel."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self._channels[ours.fileno()] = ours
        return theirs

    def close(self) -> None:
        """Close all our ends: also what a forked worker does with its copies."""
        for channel in self._channels.values():
            channel.close()
        self._channels.clear()

    @property
    def descriptors(self) -> Iterable[int]:
        """What becomes readable when a worker has said something, or is gone."""
        return self._channels.keys()

    @property
    def patience_s(self) -> float | None:
        """Seconds after which `serve` wants to be called; None: when somebody says something."""
        at = self._keeper.wake_at
        return None if at == math.inf else max(0.0, at - self._clock())

    def serve(self, ready: Iterable[int]) -> None:
        """Read the channels that are readable, and grant what can be granted."""
        for descriptor in ready:
            self._read(descriptor)
        for worker, wish in self._keeper.grant(self._clock()):
            self._tell(worker, wish)

    def _read(self, worker: int) -> None:
        while True:
            try:
                said = self._channels[worker].recv(MESSAGE.size)
            except BlockingIOError:
                return
            except OSError:
                said = b""
            if len(said) != MESSAGE.size:
                self._channels.pop(worker).close()
                self._keeper.leave(worker)
                return
            kind, wish = MESSAGE.unpack(said)
            if kind == ASK:
                self._keeper.ask(worker, wish)
            else:
                self._keeper.leave(worker)

    def _tell(self, worker: int, wish: int) -> None:
        # Who is gone, or reads nothing at all, lets its turn expire.
        with contextlib.suppress(OSError):
            self._channels[worker].send(MESSAGE.pack(GRANTED, wish))


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
