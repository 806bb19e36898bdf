"""Why a connecting socket gets no connection, in words for the log; and trying again."""

from __future__ import annotations

import contextlib
import struct
import time

import zmq

from erasurehead.network.reach import Reach
from erasurehead.network.scout import Scout

_EVENT = struct.Struct("=Hi")
_GIVEN_UP = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH
"""After these libzmq does not try again by itself."""
_OUTCOMES = zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | _GIVEN_UP | zmq.EVENT_HANDSHAKE_SUCCEEDED
_EVENTS = _OUTCOMES | zmq.EVENT_CONNECTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED


class Handshakes:
    """Follows the handshakes of a connecting socket, and connections that end for good.

    libzmq announces at once that it connects again after an ordinary end. After some it never does,
    and says nothing: after a message over the socket's own limit of size, for example.

    Parameters
    ----------
    address: what it connects to.
    keyed: True if it has keys.
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], address: str, *, keyed: bool
    ) -> None:
        self._address = address
        self._keyed = keyed
        self._told = ""
        self._given_up = False
        self._ended = False
        """The connection ended, and libzmq has not announced another one."""
        self._reach = Reach(address, ipv6="://[" in address, now=time.monotonic())
        self._ipv6 = self._reach.ipv6
        self._scout = Scout(address) if address.startswith("tcp://") else None
        self._monitor = context.socket(zmq.PAIR)
        self._monitor.setsockopt(zmq.RCVHWM, 0)  # libzmq's thread must never wait for us

    def follow(self, socket: zmq.Socket[bytes]) -> None:
        """Follow a socket that is not connected yet."""
        endpoint = f"inproc://handshakes-{id(self):x}"
        socket.monitor(endpoint, _EVENTS)
        self._monitor.connect(endpoint)

    def news(self) -> str | None:
        """Return why there is no connection, once until something else is in the way; or None."""
        sentence = self._handshake_news()
        if self._scout is not None:
            now = time.monotonic()
            if self._reach.look_due(now):
                self._scout.send()
            if (sighting := self._scout.back()) is not None:
                sentence = self._reach.take(sighting, now) or sentence
        return sentence

    def _handshake_news(self) -> str | None:
        sentence = None
        had_ended = self._ended
        while True:
            try:
                event, _ = _EVENT.unpack(self._monitor.recv_multipart(zmq.NOBLOCK)[0])
            except zmq.Again:
                break
            self._ended = event == zmq.EVENT_DISCONNECTED
            if event == zmq.EVENT_CONNECTED:
                self._reach.connected()
            elif event == zmq.EVENT_DISCONNECTED:
                self._reach.ended(time.monotonic())
            if not event & _OUTCOMES:
                continue
            self._given_up = bool(event & _GIVEN_UP)
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._told, sentence = "", None
            else:
                sentence = self._explain(event)
        # Not at the first look, when the announcement may only be on its way.
        self._given_up |= had_ended and self._ended
        if sentence is None or sentence == self._told:
            return None
        self._told = sentence
        return sentence

    def try_again(self, socket: zmq.Socket[bytes]) -> None:
        """Connect again if libzmq has given up, or tries addresses of the wrong family.

        A key may be allowed later, a master get keys.
        """
        if self._given_up or self._ipv6 != self._reach.ipv6:
            self._given_up = self._ended = False
            self._ipv6 = self._reach.ipv6
            # One connection in any case: two would share the messages between them.
            with contextlib.suppress(zmq.ZMQError):
                socket.disconnect(self._address)
            socket.setsockopt(zmq.IPV6, self._ipv6)
            socket.connect(self._address)

    def let_go(self, socket: zmq.Socket[bytes]) -> None:
        """Stop following the socket; must come before it is closed.

        libzmq would wait for its last events to be read, while it closes the connection.
        """
        socket.disable_monitor()
        self._monitor.close(0)

    def _explain(self, event: int) -> str:
        if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            return (
                f"the master at {self._address} does not allow this worker's key; its public file"
                " belongs into the master's --keys-workers directory"
            )
        if self._keyed:
            return (
                f"no handshake with {self._address}: it is no master, has no keys, or is not the"
                " master whose key --keys-master names"
            )
        return (
            f"no handshake with {self._address}: it is no master, or wants keys (--keys-secret and"
            " --keys-master)"
        )
