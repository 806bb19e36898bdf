"""The nursery's end of the channels over which workers ask for turns."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Iterable

from erasurehead_local.turns import TurnKeeper
from erasurehead_worker.shell.turns import ASK, GRANTED, TurnChannel


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
        self._channels: dict[int, TurnChannel] = {}

    def open(self) -> TurnChannel:
        """Return a new worker's end of a channel."""
        ours, theirs = map(TurnChannel, socket.socketpair())
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
        """Seconds after which `serve` wants to be called; None: when a worker says something."""
        wake_at = self._keeper.wake_at
        return None if wake_at == math.inf else max(0.0, wake_at - self._clock())

    def serve(self, ready: Iterable[int]) -> None:
        """Read the channels that are readable, and grant what can be granted."""
        for worker in ready:
            self._hear(worker)
        for worker, wish in self._keeper.grant(self._clock()):
            # The turn of a worker that is gone, or reads nothing at all, expires.
            self._channels[worker].say(GRANTED, wish)

    def _hear(self, worker: int) -> None:
        messages = self._channels[worker].heard()
        if messages is None:
            self._keeper.leave(worker)
            self._channels.pop(worker).close()
            return
        for kind, wish in messages:
            if kind == ASK:
                self._keeper.ask(worker, wish)
            else:
                self._keeper.leave(worker)
