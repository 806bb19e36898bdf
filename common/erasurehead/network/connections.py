"""The connections of a listening socket, as its monitor tells of them. No I/O.

libzmq's events do not always name their connection: a failure comes without the descriptor, but
right before the end of its connection, and a success comes without it altogether. Nor do they come
in time: what a connection says may be read before it is told of. The bookkeeping here puts all of
that together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from erasurehead.wire.messages import Refusal

UNKNOWN_ADDRESS = "an address that was gone at once"


@dataclass(frozen=True, slots=True)
class Failure:
    """A connection ended as it should not: why, and from which address it came."""

    reason: Refusal
    address: str


@dataclass(slots=True, eq=False)
class _Connection:
    address: str
    spoke: bool = False
    doomed: Refusal | None = None
    """Why we cut it; libzmq has not noticed yet."""


class Connections:
    """The open connections, and which of them have spoken.

    Parameters
    ----------
    limit: connections held at one time; beyond it the oldest that never spoke must go.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: dict[int, _Connection] = {}
        self._failing: Refusal | None = None
        self._silent_successes = 0
        self._owing: list[_Connection] = []
        """They have spoken, and their success has not been told of."""
        self._spoke_ahead: set[int] = set()
        self._ended_silent: set[int] = set()
        self._n_doomed = 0

    def __len__(self) -> int:
        """Connections that may stay."""
        return len(self._open) - self._n_doomed

    def __iter__(self) -> Iterator[int]:
        """Descriptors of connections that may stay, the oldest first."""
        return (d for d, c in self._open.items() if c.doomed is None)

    def accepted(self, descriptor: int, address: str | None) -> int | None:
        """A connection was accepted; return the descriptor of one to cut, if there are too many.

        The oldest connection that has not spoken goes first, so that strangers who hold connections
        open push out each other and not a worker.
        """
        self._forget(descriptor)
        self._ended_silent.discard(descriptor)
        connection = self._open[descriptor] = _Connection(address or UNKNOWN_ADDRESS)
        if descriptor in self._spoke_ahead:
            self._spoke_ahead.remove(descriptor)
            self._has_spoken(connection)
        if len(self) <= self._limit:
            return None
        surplus = next((d for d in self if not self._open[d].spoke), descriptor)
        self.doom(surplus, "too-many-connections")
        return surplus

    def doom(self, descriptor: int, reason: Refusal) -> None:
        """We are about to cut this connection."""
        self._open[descriptor].doomed = reason
        self._n_doomed += 1

    def succeeded(self) -> None:
        """Some connection's handshake is done."""
        if self._owing:
            self._owing.pop(0)
        else:
            self._silent_successes += 1

    def failed(self, reason: Refusal) -> None:
        """Some connection's handshake failed; its end follows."""
        self._failing = reason

    def spoke(self, descriptor: int) -> None:
        """A message came over this connection, of whose acceptance may be told later."""
        connection = self._open.get(descriptor)
        if connection is not None:
            self._has_spoken(connection)
        elif descriptor in self._ended_silent:
            self._ended_silent.remove(descriptor)  # its last words
        else:
            self._spoke_ahead.add(descriptor)

    def ended(self, descriptor: int) -> Failure | None:
        """A connection is gone; return what was wrong, if anything was."""
        connection = self._forget(descriptor)
        reason, self._failing = self._failing, None
        if connection is None:
            return None
        if not connection.spoke:
            self._ended_silent.add(descriptor)
        if connection.doomed is not None:
            reason = connection.doomed
        elif reason is None:
            if connection.spoke:
                return None
            if self._silent_successes > 0:
                self._silent_successes -= 1
                return None
            reason = "handshake-failed"
        return Failure(reason, connection.address)

    def _has_spoken(self, connection: _Connection) -> None:
        if connection.spoke:
            return
        connection.spoke = True
        if self._silent_successes > 0:
            self._silent_successes -= 1
        else:
            self._owing.append(connection)

    def _forget(self, descriptor: int) -> _Connection | None:
        connection = self._open.pop(descriptor, None)
        if connection is None:
            return None
        if connection.doomed is not None:
            self._n_doomed -= 1
        if connection in self._owing:
            self._owing.remove(connection)  # of an old protocol, which knows no success
        return connection
