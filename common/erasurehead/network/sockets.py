"""ROUTER and DEALER sockets, set up in one place.

The master's ROUTER refuses to queue for peers that are gone or do not read (`UnsendableError`), so
one frozen worker can never block a round or grow memory. What a peer may queue at the master is as
limited: `high_water_mark` messages, then libzmq stops reading from its connection.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import zmq
from msgspec import Struct

from erasurehead.errors import BindError, UsageError
from erasurehead.network.addresses import ABSTRACT
from erasurehead.network.curve import CURVE_OVERHEAD_BYTES, MasterKeys, WorkerKeys
from erasurehead.network.gate import Gate
from erasurehead.network.handshakes import Handshakes
from erasurehead.network.paths import check_path_is_free
from erasurehead.network.scout import is_ipv6
from erasurehead.wire.frames import Buffer
from erasurehead.wire.sizes import MAX_FRAME_BYTES

NO_WAIT = int(zmq.NOBLOCK)
NO_WAIT_MORE = int(zmq.NOBLOCK | zmq.SNDMORE)
"""As plain numbers: to join members of an enumeration takes as long as to send a short frame."""

_POLLIN = int(zmq.POLLIN)

_send = zmq.backend.Socket.send
_receive = zmq.backend.Socket.recv
_option = zmq.backend.Socket.get
"""What moves messages, without what pyzmq puts around it: a process that is one of many on a core
finds its caches empty in each round, and then each further function takes microseconds."""

COPY_BELOW_BYTES = 64 * 1024
"""Smaller frames are copied by ZeroMQ; handing over a reference costs more than the copy."""

SOURCE_DESCRIPTOR = int(zmq.SRCFD)
"""As a property of a name it takes three times as long."""

LINGER_MS = 1000
"""How long a closing socket may take to deliver its last messages (STOP, GOODBYE)."""


MAX_PARTS = 16
"""More frames than any message has; further ones are read and forgotten, and the rest refused."""

PING_MS = 2000
GIVE_UP_MS = 10_000
"""A connection over which nothing comes for this long, not even the answer to a ping, is dropped.
It finds the dead ends of a network cut long before TCP usually would.

Workers ping through libzmq, which finds a master whose process hangs, too. The master leaves pings
to the kernel: libzmq ends the process if it has to ping a peer whose messages it has stopped
reading and whose connection has broken (issues 4364 and 4767 of libzmq), and any peer can see to
that."""


class UnsendableError(Exception):
    """The peer is not connected, or its queue is full."""


def bind_router(
    context: zmq.Context[zmq.Socket[bytes]],
    address: str,
    *,
    high_water_mark: int,
    max_frame_bytes: int,
    handshake_s: float = 10.0,
    keys: MasterKeys | None = None,
    gate: Gate | None = None,
) -> zmq.Socket[bytes]:
    """Return the master's socket, bound. With keys, a gate must answer for them.

    Raises
    ------
    BindError: the address is in use, is not on this machine, or is no ZeroMQ endpoint.
    """
    check_path_is_free(address)
    socket = context.socket(zmq.ROUTER)
    socket.setsockopt(zmq.IPV6, is_ipv6(address))
    if address.startswith(ABSTRACT):
        # Of a socket that is no file, no permissions keep other users away.
        socket.setsockopt(zmq.IPC_FILTER_UID, os.geteuid())
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
    _limit(socket, high_water_mark, max_frame_bytes)
    socket.setsockopt(zmq.BACKLOG, 1024)
    socket.setsockopt(zmq.HANDSHAKE_IVL, max(1, round(1000 * handshake_s)))
    _let_kernel_ping(socket)
    if keys is not None:
        keys.put_on(socket)
    if gate is not None:
        gate.watch(socket)
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        socket.close(0)
        raise BindError(
            f"cannot listen on {address}: {error.strerror or error};"
            " choose another address with --bind or end the process that uses it"
        ) from None
    return socket


def connect_dealer(
    context: zmq.Context[zmq.Socket[bytes]],
    address: str,
    *,
    identity: bytes,
    high_water_mark: int = 1000,
    max_frame_bytes: int = MAX_FRAME_BYTES,
    keys: WorkerKeys | None = None,
    handshakes: Handshakes | None = None,
) -> zmq.Socket[bytes]:
    """Return a worker's socket; ZeroMQ (re)connects it in the background.

    Raises
    ------
    UsageError: the address is no ZeroMQ endpoint.
    """
    socket = context.socket(zmq.DEALER)
    # A name may have addresses of both families; `Handshakes` finds the one that answers.
    socket.setsockopt(zmq.IPV6, "://[" in address)
    socket.setsockopt(zmq.IDENTITY, identity)
    _limit(socket, high_water_mark, max_frame_bytes)
    socket.setsockopt(zmq.RECONNECT_IVL, 100)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 0)
    _ping(socket)
    if keys is not None:
        keys.put_on(socket)
    if handshakes is not None:
        handshakes.follow(socket)
    try:
        socket.connect(address)
    except zmq.ZMQError as error:
        socket.close(0)
        raise UsageError(
            f"cannot connect to {address}: {error.strerror or error};"
            " expected an address such as tcp://host:5577"
        ) from None
    return socket


def _limit(socket: zmq.Socket[bytes], high_water_mark: int, max_frame_bytes: int) -> None:
    socket.linger = LINGER_MS
    socket.setsockopt(zmq.SNDHWM, high_water_mark)
    socket.setsockopt(zmq.RCVHWM, high_water_mark)
    socket.setsockopt(zmq.MAXMSGSIZE, max_frame_bytes + CURVE_OVERHEAD_BYTES)


def _ping(socket: zmq.Socket[bytes]) -> None:
    socket.setsockopt(zmq.HEARTBEAT_IVL, PING_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, GIVE_UP_MS)


def _let_kernel_ping(socket: zmq.Socket[bytes]) -> None:
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, PING_MS // 1000)
    socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, PING_MS // 1000)
    socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, GIVE_UP_MS // PING_MS - 1)
    socket.setsockopt(zmq.TCP_MAXRT, GIVE_UP_MS)


class Origin(Struct, frozen=True):
    """Where a message at the ROUTER came from, as libzmq knows it; the peer cannot choose it.

    Attributes
    ----------
    peer: routing id.
    key: the public key its connection was let in under, Z85; None without CURVE.
    descriptor: of its connection.
    """

    peer: bytes
    key: str | None
    descriptor: int


def receive_routed(socket: zmq.Socket[bytes], *, keyed: bool) -> tuple[Origin, list[Buffer]] | None:
    """Return the origin and the frames of the next message, or None when the inbox is empty."""
    try:
        part = _receive(socket, NO_WAIT, copy=False)
    except zmq.Again:
        return None
    key = str(part.get("User-Id")) if keyed else None
    origin = Origin(part.bytes, key, part.get(SOURCE_DESCRIPTOR))
    return origin, _rest(socket, part, [])


def has_message(socket: zmq.Socket[bytes]) -> bool:
    """Return whether `receive` has a message to return.

    The socket's descriptor is edge-triggered: it signals again only after this was False.
    """
    events = _option(socket, zmq.EVENTS)
    assert isinstance(events, int)
    return bool(events & _POLLIN)


def receive(socket: zmq.Socket[bytes]) -> list[Buffer] | None:
    """Return the frames of the next message, or None when the inbox is empty.

    The first one, which is never large, is bytes, and so are other small ones; large frames are
    views of ZeroMQ's own memory.
    """
    try:
        first = _receive(socket, NO_WAIT)
    except zmq.Again:
        return None
    if not _option(socket, zmq.RCVMORE):
        return [first]
    part = _receive(socket, copy=False)
    return _rest(socket, part, [first, _contents(part)])


def _rest(socket: zmq.Socket[bytes], part: zmq.Frame, frames: list[Buffer]) -> list[Buffer]:
    while part.more:
        part = _receive(socket, copy=False)
        if len(frames) <= MAX_PARTS:
            frames.append(_contents(part))
    return frames


def _contents(part: zmq.Frame) -> Buffer:
    return part.buffer if len(part) > COPY_BELOW_BYTES else part.bytes


def send(socket: zmq.Socket[bytes], frames: Sequence[Buffer]) -> None:
    """Send one message without waiting.

    Raises
    ------
    UnsendableError: the peer is gone or does not read; the message is dropped.
    """
    last = len(frames) - 1
    try:
        for i, frame in enumerate(frames):
            flags = NO_WAIT if i == last else NO_WAIT_MORE
            if len(frame) < COPY_BELOW_BYTES:
                _send(socket, frame, flags)
            else:
                _send(socket, frame, flags, copy=False)
    except zmq.ZMQError as error:
        if error.errno in (zmq.EAGAIN, zmq.EHOSTUNREACH):
            raise UnsendableError from None
        raise
