"""A worker's side of taking turns at the cores of a machine that several workers share.

Two messages up, `ASK` for a turn and `GIVE_BACK` it (or the wish for it), and one down, `GRANTED`,
with the number of the wish, so that a grant that crossed a change of mind is recognised.
"""

from __future__ import annotations

import socket
import struct

ASK, GIVE_BACK, GRANTED = range(3)

_MESSAGE = struct.Struct("<BI")
_READ_BYTES = 4096


class TurnChannel:
    """One end of a worker's connected stream socket with the keeper of turns.

    Parameters
    ----------
    channel: becomes non-blocking, and is closed by `close`.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._channel.setblocking(False)
        self._unread = b""

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when the other end has said something."""
        return self._channel.fileno()

    def say(self, kind: int, wish: int) -> bool:
        """Send a message; False if the other end is gone, or has not read for long."""
        message = _MESSAGE.pack(kind, wish)
        try:
            return self._channel.send(message) == len(message)
        except OSError:
            return False

    def heard(self) -> list[tuple[int, int]] | None:
        """Return the messages (kind, wish) that have come; None if the other end is gone."""
        while True:
            try:
                read = self._channel.recv(_READ_BYTES)
            except BlockingIOError:
                break
            except OSError:
                read = b""
            if not read:
                return None
            self._unread += read
        whole = len(self._unread) - len(self._unread) % _MESSAGE.size
        messages, self._unread = self._unread[:whole], self._unread[whole:]
        return list(_MESSAGE.iter_unpack(messages))

    def close(self) -> None:
        """Close this end."""
        self._channel.close()


class Turns:
    """Asks for a turn and tells when it is there.

    A turn is a courtesy: it makes good use of caches and lets the first worker finish first.
    Nothing else depends on it; where there is no keeper, or none any more, every worker has one.

    Parameters
    ----------
    channel: to the keeper; None: there is none.

    Attributes
    ----------
    awaited: a turn was asked for and has not come.
    granted: it has come, and was not given back.
    """

    def __init__(self, channel: TurnChannel | None = None) -> None:
        self._channel = channel
        self._wish = 0
        self.awaited = False
        self.granted = False

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What becomes readable when `look` has news."""
        return (self._channel.fileno(),) if self._channel is not None and self.awaited else ()

    def ask(self) -> None:
        """Wish for a turn."""
        self._wish = (self._wish + 1) % (1 << 32)
        self.awaited, self.granted = True, False
        self._say(ASK)

    def give_back(self) -> None:
        """Be done with the turn, or no longer want one."""
        if self.awaited or self.granted:
            self.awaited = self.granted = False
            self._say(GIVE_BACK)

    def look(self) -> None:
        """Take note of what the keeper has said."""
        if self._channel is None or not self.awaited:
            return
        messages = self._channel.heard()
        if messages is None:
            self.close()
        elif (GRANTED, self._wish) in messages:
            self._grant()

    def close(self) -> None:
        """Do without a keeper from now on."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self.awaited:
            self._grant()

    def _grant(self) -> None:
        self.awaited, self.granted = False, True

    def _say(self, kind: int) -> None:
        if self._channel is None or not self._channel.say(kind, self._wish):
            self.close()
