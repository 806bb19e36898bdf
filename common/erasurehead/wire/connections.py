"""The connections of a listening socket, as its monitor tells of them. No I/O.

libzmq's events do not always say whose they are: a failure comes without the descriptor of its
connection, but right before that connection's end, and a success comes without it altogether. The
bookkeeping here puts the two together.
"""

from __future__ import annotations

from dataclasses import dataclass

UNKNOWN_ADDRESS = "an address that was gone at once"


@dataclass(frozen=True, slots=True)
class Failure:
    """A connection ended before its handshake did: its reason's label, and whose it was."""

    reason: str
    address: str


@dataclass(slots=True)
class _Connection:
    address: str
    spoke: bool = False
    surplus: bool = False


class Connections:
    """What is open, and who of it has said something.

    Parameters
    ----------
    limit: connections held at one time; beyond it the oldest that never spoke must go.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: dict[int, _Connection] = {}
        self._failing: str | None = None
        self._silent_successes = 0
        self._n_surplus = 0

    def __len__(self) -> int:
        """Connections that may stay."""
        return len(self._open) - self._n_surplus

    def accepted(self, descriptor: int, address: str | None) -> int | None:
        """A connection was accepted; return the descriptor of one to cut, if there are too many.

        Whoever has not said anything yet goes first, the oldest first, so that strangers who hold
        connections open push out each other and not a worker.
        """
        self._forget(descriptor)
        self._open[descriptor] = _Connection(address or UNKNOWN_ADDRESS)
        if len(self) <= self._limit:
            return None
        surplus = next((d for d, c in self._open.items() if not (c.spoke or c.surplus)), descriptor)
        self._open[surplus].surplus = True
        self._n_surplus += 1
        return surplus

    def succeeded(self) -> None:
        """Some connection's handshake is done."""
        self._silent_successes += 1

    def failed(self, reason: str) -> None:
        """Some connection's handshake failed; its end follows."""
        self._failing = reason

    def spoke(self, descriptor: int) -> None:
        """A message came over this connection."""
        connection = self._open.get(descriptor)
        if connection is not None and not connection.spoke:
            connection.spoke = True
            self._silent_successes = max(0, self._silent_successes - 1)

    def ended(self, descriptor: int) -> Failure | None:
        """A connection is gone; return the failure if it never got through its handshake."""
        connection = self._forget(descriptor)
        reason, self._failing = self._failing, None
        if connection is None:
            return None
        if connection.surplus:
            reason = "too-many-connections"
        elif reason is None:
            if connection.spoke:
                return None
            if self._silent_successes > 0:
                self._silent_successes -= 1
                return None
            reason = "handshake-failed"
        return Failure(reason, connection.address)

    def _forget(self, descriptor: int) -> _Connection | None:
        connection = self._open.pop(descriptor, None)
        if connection is not None and connection.surplus:
            self._n_surplus -= 1
        return connection
