"""The gate to the master's socket: one thread that answers for keys and watches connections.

The thread answers libzmq's question about each key (ZAP, RFC 27), reads the events of the listening
socket so that they can never pile up in front of libzmq's own thread, and looks at the directory of
allowed keys. It touches neither the listening socket nor the run: what the master must know is
queued as news, and the master asks `admits` of every message it reads.
"""

from __future__ import annotations

import logging
import math
import os
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass

import zmq
from zmq.utils import z85

from erasurehead.network.backlog import Backlog
from erasurehead.network.connections import Connections, Failure
from erasurehead.network.curve import ZAP_DOMAIN, MasterKeys
from erasurehead.network.descriptors import bytes_received, cut, peer_address
from erasurehead.network.limits import LogLimit
from erasurehead.wire.messages import Refusal

log = logging.getLogger(__name__)

ZAP_ENDPOINT = "inproc://zeromq.zap.01"
_FAILURES = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
_EVENTS = (
    zmq.EVENT_ACCEPTED
    | zmq.EVENT_ACCEPT_FAILED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_MONITOR_STOPPED
    | _FAILURES
)
_EVENT = struct.Struct("=Hi")
"""Number of the event and its value: a descriptor or an error."""


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """A connection did not get in."""

    reason: Refusal


@dataclass(frozen=True, slots=True)
class Revoked:
    """These keys are no longer allowed: key -> its name."""

    names: dict[str, str]


News = TurnedAway | Revoked

EVENTS_AT_ONCE = 1000
"""Events of connections that the gate reads before it looks at its other duties."""

WEIGH_S = 0.5
"""Seconds between looks at what waits to become a message."""

_WHY: dict[Refusal, str] = {
    "handshake-failed": "no handshake came of it",
    "too-many-connections": "there are too many, and it had not said anything",
    "endless-message": "what it sent did not become messages",
}


class Gate:
    """Answers for keys and watches the connections of one listening socket.

    Start it before the socket is bound, and close it after the socket.

    Parameters
    ----------
    context: of the listening socket.
    keys: None: every peer may come.
    max_connections: held at one time.
    backlog: how much may wait to become messages.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        keys: MasterKeys | None,
        max_connections: int,
        backlog: Backlog,
    ) -> None:
        self._keys = keys
        self._backlog = backlog
        self._delivered: dict[int, int] = {}
        self._connections = Connections(max_connections)
        self._news: deque[News] = deque()
        self._spoken: deque[int] = deque()
        self._log_limit = LogLimit(burst=20, per_s=0.2)
        self._ended: BaseException | None = None
        self._reader, self._writer = os.pipe()
        self._monitor = context.socket(zmq.PAIR)
        self._zap: zmq.Socket[bytes] | None = None
        if keys is not None:
            self._zap = context.socket(zmq.REP)
            self._zap.linger = 0
            self._zap.bind(ZAP_ENDPOINT)
        self._thread = threading.Thread(target=self._run, name="gate", daemon=True)

    # For the thread that owns the listening socket

    def watch(self, socket: zmq.Socket[bytes]) -> None:
        """Follow the events of a socket that is not bound yet, from a thread of our own."""
        endpoint = f"inproc://gate-{id(self):x}"
        socket.monitor(endpoint, _EVENTS)
        # libzmq's thread must never wait for us.
        self._monitor.setsockopt(zmq.RCVHWM, 0)
        self._monitor.connect(endpoint)
        self._thread.start()

    def let_go(self, socket: zmq.Socket[bytes]) -> None:
        """Stop following the socket; must come before it is closed.

        libzmq would wait for its last events to be read, while it closes connections.
        """
        if not socket.closed:
            socket.disable_monitor()

    def close(self) -> None:
        """End the thread; the watched socket must be closed already."""
        os.write(self._writer, b"x")
        if self._thread.ident is not None:
            self._thread.join()
        self._monitor.close(0)
        if self._zap is not None:
            self._zap.close(0)
        os.close(self._reader)
        os.close(self._writer)

    @property
    def keyed(self) -> bool:
        """True when only holders of allowed keys are let in."""
        return self._keys is not None

    def admits(self, key: str | None) -> bool:
        """True if messages under this key may be taken now."""
        return self._keys is None or key in self._keys.allowed.names

    def key_name(self, key: str | None) -> str:
        """Return the name of an allowed key's file."""
        names = {} if self._keys is None else self._keys.allowed.names
        return names.get(key or "", "that is not allowed any more")

    def spoke(self, descriptor: int) -> None:
        """A message came over the connection of this descriptor for the first time."""
        self._spoken.append(descriptor)

    def delivered(self, descriptor: int, n_bytes: int) -> None:
        """A message of so many bytes, framing included, came over this connection."""
        self._delivered[descriptor] = self._delivered.get(descriptor, 0) + n_bytes

    def news(self) -> list[News]:
        """Return what happened since the last call.

        Raises
        ------
        RuntimeError: the thread has died.
        """
        if self._ended is not None:
            raise RuntimeError("the thread that answers for keys has died") from self._ended
        found: list[News] = []
        while self._news:
            found.append(self._news.popleft())
        return found

    # The thread

    def _run(self) -> None:
        try:
            poller = zmq.Poller()
            poller.register(self._reader, zmq.POLLIN)
            poller.register(self._monitor, zmq.POLLIN)
            if self._zap is not None:
                poller.register(self._zap, zmq.POLLIN)
            recheck_at = math.inf
            if self._keys is not None:
                recheck_at = time.monotonic() + self._keys.recheck_s
            weigh_at = math.inf
            while True:
                now = time.monotonic()
                if not self._connections:
                    weigh_at = math.inf
                elif weigh_at == math.inf:
                    weigh_at = now + WEIGH_S
                timeout_ms = None
                if (wake_at := min(recheck_at, weigh_at)) < math.inf:
                    timeout_ms = max(0, math.ceil(1000 * (wake_at - now)))
                ready = dict(poller.poll(timeout_ms))
                if self._reader in ready:
                    return
                if self._monitor in ready:
                    self._read_monitor()
                if self._zap is not None and self._zap in ready:
                    self._answer(self._zap)
                if time.monotonic() >= weigh_at:
                    weigh_at = math.inf
                    self._weigh()
                if self._keys is not None and time.monotonic() >= recheck_at:
                    recheck_at = time.monotonic() + self._keys.recheck_s
                    self._recheck(self._keys)
        except BaseException as error:
            log.exception("the thread that answers for keys has died")
            self._ended = error

    def _answer(self, zap: zmq.Socket[bytes]) -> None:
        """Say to libzmq whether a key may come in; the key becomes the User-Id of its messages."""
        assert self._keys is not None
        version, request, domain, address, _identity, mechanism, *credentials = zap.recv_multipart()
        key = ""
        if mechanism == b"CURVE" and domain == ZAP_DOMAIN and len(credentials) == 1:
            key = z85.encode(credentials[0]).decode()
        if key and key in self._keys.allowed.names:
            zap.send_multipart([version, request, b"200", b"OK", key.encode(), b""])
            return
        zap.send_multipart([version, request, b"400", b"this key is not allowed", b"", b""])
        self._turn_away(Failure("handshake-key", address.decode()), f"its key {key} is not allowed")

    def _read_monitor(self) -> None:
        """Read what has come, but no more at once than keeps the other duties waiting for long."""
        accept_failed: int | None = None
        for _ in range(EVENTS_AT_ONCE):
            try:
                frames = self._monitor.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            event, value = _EVENT.unpack(frames[0])
            if event == zmq.EVENT_ACCEPT_FAILED:
                accept_failed = value
            else:
                self._take(event, value)
        if accept_failed is not None:
            # libzmq tries again at once, a hundred thousand times a second: that is one failure.
            failure = Failure("too-many-connections", "an unknown address")
            self._turn_away(failure, os.strerror(accept_failed))

    def _take(self, event: int, value: int) -> None:
        while self._spoken:
            self._connections.spoke(self._spoken.popleft())
        if event == zmq.EVENT_ACCEPTED:
            self._backlog.forget(value)
            self._delivered.pop(value, None)
            surplus = self._connections.accepted(value, peer_address(value))
            if surplus is not None:
                cut(surplus)
        elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._connections.succeeded()
        elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            self._connections.failed("handshake-key")
        elif event & _FAILURES:
            self._connections.failed("handshake-failed")
        elif event == zmq.EVENT_DISCONNECTED:
            failure = self._connections.ended(value)
            # A refused key was counted when it was refused.
            if failure is not None and failure.reason != "handshake-key":
                self._turn_away(failure, _WHY[failure.reason])

    def _weigh(self) -> None:
        """Cut the connections that hold the memory of unfinished messages."""
        received = {d: n for d in self._connections if (n := bytes_received(d)) is not None}
        for descriptor in self._backlog.excessive(received, self._delivered):
            self._connections.doom(descriptor, "endless-message")
            cut(descriptor)

    def _recheck(self, keys: MasterKeys) -> None:
        before = keys.allowed.names
        gone = keys.allowed.refresh()
        if gone:
            self._news.append(Revoked({key: before[key] for key in gone}))

    def _turn_away(self, failure: Failure, why: str) -> None:
        self._news.append(TurnedAway(failure.reason))
        line = self._log_limit.admit(
            failure.reason,
            f"turned away a connection from {failure.address} ({failure.reason}): {why}",
            time.monotonic(),
        )
        if line is not None:
            log.warning("%s", line)
