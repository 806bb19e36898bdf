"""A worker's side of taking turns at the cores of a machine that several workers share.

One message each way, over a socket pair with whoever started the worker: `ASK` for a turn,
`GIVE_BACK` it (or the wish for it); a turn is granted with the number of the wish, so a grant that
crossed a change of mind is recognised.
"""

from __future__ import annotations

import contextlib
import socket
import struct

MESSAGE = struct.Struct("<BI")
"""Kind, and the number of the wish."""

ASK, GIVE_BACK, GRANTED = range(3)


class Turns:
    """Asks for a turn and tells when it is there.

    A turn is a courtesy: it makes good use of caches and lets whoever is first finish first.
    Nothing else depends on it, and where its keeper is gone everybody has a turn.

    Parameters
    ----------
    channel: connected SOCK_SEQPACKET socket; becomes non-blocking.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._channel.setblocking(False)
        self._wish = 0
        self._asked = False
        self._alone = False
        self.granted = False

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when `look` has news."""
        return self._channel.fileno()

    @property
    def awaited(self) -> bool:
        """True while a turn was asked for and has not come."""
        return self._asked and not self.granted

    def ask(self) -> None:
        """Wish for a turn."""
        self._wish = (self._wish + 1) % (1 << 32)
        self._asked, self.granted = True, self._alone
        self._say(ASK)

    def give_back(self) -> None:
        """Be done with the turn, or no longer want one."""
        if self._asked:
            self._asked = self.granted = False
            self._say(GIVE_BACK)

    def look(self) -> None:
        """Take note of what the keeper has said."""
        while not self._alone:
            try:
                told = self._channel.recv(MESSAGE.size)
            except BlockingIOError:
                return
            except OSError:
                told = b""
            if len(told) != MESSAGE.size:
                self._let_everybody_go()
            elif MESSAGE.unpack(told) == (GRANTED, self._wish) and self._asked:
                self.granted = True

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def _say(self, kind: int) -> None:
        if self._alone:
            return
        # A full channel is one nobody reads: the same as a keeper that is gone.
        with contextlib.suppress(OSError):
            self._channel.send(MESSAGE.pack(kind, self._wish))
            return
        self._let_everybody_go()

    def _let_everybody_go(self) -> None:
        self._alone = True
        self.granted = self._asked
