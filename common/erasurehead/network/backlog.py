"""Bytes that came over a connection and have not become a message. No I/O.

libzmq counts whole messages against its limits, so a message of ever more frames that never ends
fills the memory unseen. What the kernel has received and the program has not got is all of it:
frames of unfinished messages, finished messages that wait, and what the kernel itself still holds.
"""

from __future__ import annotations

from collections.abc import Mapping

FRAMING_BYTES = 128
"""No less than what ZMTP and CURVE add to a frame."""


class Backlog:
    """Finds connections that hold more than honest ones ever do.

    Parameters
    ----------
    most: bytes that one connection may have waiting.
    most_together: bytes that all of them may have waiting.
    """

    def __init__(self, most: int, most_together: int) -> None:
        self._most = most
        self._most_together = most_together
        self._settled: dict[int, int] = {}

    def forget(self, descriptor: int) -> None:
        """The descriptor belongs to another connection now, or to none."""
        self._settled.pop(descriptor, None)

    def excessive(self, received: Mapping[int, int], delivered: Mapping[int, int]) -> list[int]:
        """Return the descriptors to cut, the worst first.

        Parameters
        ----------
        received: per descriptor, bytes the kernel received so far.
        delivered: per descriptor, bytes of messages the program got so far, framing included; as
            it may be estimated too high, what seems to be ahead is no credit for later.
        """
        waiting: dict[int, int] = {}
        for descriptor, bytes_in in received.items():
            known = bytes_in - delivered.get(descriptor, 0) - self._settled.get(descriptor, 0)
            if known < 0:
                self._settled[descriptor] = self._settled.get(descriptor, 0) + known
                known = 0
            waiting[descriptor] = known
        together = sum(waiting.values())
        found: list[int] = []
        for descriptor in sorted(waiting, key=lambda d: -waiting[d]):
            if waiting[descriptor] <= self._most and together <= self._most_together:
                break
            found.append(descriptor)
            together -= waiting[descriptor]
        return found
