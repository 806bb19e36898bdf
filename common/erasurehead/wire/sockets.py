"""ROUTER and DEALER sockets, set up in one place.

The master's ROUTER refuses to queue for peers that are gone or do not read (`UnsendableError`), so one
frozen worker can never block a round or grow memory.
"""

from __future__ import annotations

from collections.abc import Sequence

import zmq

from erasurehead.errors import BindError, UsageError
from erasurehead.wire.frames import Buffer

COPY_BELOW_BYTES = 64 * 1024
"""Smaller frames are copied by ZeroMQ; handing over a reference costs more than the copy."""

LINGER_MS = 1000
"""How long a closing socket may take to deliver its last messages (STOP, GOODBYE)."""


class UnsendableError(Exception):
    """The peer is not connected, or its queue is full."""


def bind_router(
    context: zmq.Context[zmq.Socket[bytes]],
    address: str,
    *,
    high_water_mark: int,
    max_frame_bytes: int,
) -> zmq.Socket[bytes]:
    """Return the master's socket, bound.

    Raises
    ------
    BindError: the address is in use, is not on this machine, or is no ZeroMQ endpoint.
    """
    socket = context.socket(zmq.ROUTER)
    socket.linger = LINGER_MS
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
    socket.setsockopt(zmq.SNDHWM, high_water_mark)
    socket.setsockopt(zmq.RCVHWM, high_water_mark)
    socket.setsockopt(zmq.MAXMSGSIZE, max_frame_bytes)
    socket.setsockopt(zmq.BACKLOG, 1024)
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        socket.close(0)
        raise BindError(
            f"cannot listen on {address}: {error.strerror or error};"
            " choose another address with --bind or end whoever uses it"
        ) from None
    return socket


def connect_dealer(
    context: zmq.Context[zmq.Socket[bytes]],
    address: str,
    *,
    identity: bytes,
    high_water_mark: int = 1000,
    max_frame_bytes: int = 1 << 30,
) -> zmq.Socket[bytes]:
    """Return a worker's socket; ZeroMQ (re)connects it in the background.

    Raises
    ------
    UsageError: the address is no ZeroMQ endpoint.
    """
    socket = context.socket(zmq.DEALER)
    socket.linger = LINGER_MS
    socket.setsockopt(zmq.IDENTITY, identity)
    socket.setsockopt(zmq.SNDHWM, high_water_mark)
    socket.setsockopt(zmq.RCVHWM, high_water_mark)
    socket.setsockopt(zmq.MAXMSGSIZE, max_frame_bytes)
    socket.setsockopt(zmq.RECONNECT_IVL, 100)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 0)
    try:
        socket.connect(address)
    except zmq.ZMQError as error:
        socket.close(0)
        raise UsageError(
            f"cannot connect to {address}: {error.strerror or error};"
            " expected an address such as tcp://host:5577"
        ) from None
    return socket


def receive(socket: zmq.Socket[bytes]) -> list[Buffer] | None:
    """Return the frames of the next message, or None when the inbox is empty.

    Large frames are views of ZeroMQ's own memory, small ones are bytes.
    """
    try:
        part = socket.recv(zmq.NOBLOCK, copy=False)
    except zmq.Again:
        return None
    frames: list[Buffer] = [_contents(part)]
    while part.more:
        part = socket.recv(copy=False)
        frames.append(_contents(part))
    return frames


def _contents(part: zmq.Frame) -> Buffer:
    buffer = part.buffer
    return buffer if len(buffer) > COPY_BELOW_BYTES else bytes(buffer)


def send(socket: zmq.Socket[bytes], frames: Sequence[Buffer]) -> None:
    """Send one message without waiting.

    Raises
    ------
    UnsendableError: the peer is gone or does not read; the message is dropped.
    """
    last = len(frames) - 1
    try:
        for i, frame in enumerate(frames):
            flags = zmq.NOBLOCK if i == last else zmq.NOBLOCK | zmq.SNDMORE
            socket.send(frame, flags, copy=len(frame) < COPY_BELOW_BYTES)
    except zmq.ZMQError as error:
        if error.errno in (zmq.EAGAIN, zmq.EHOSTUNREACH):
            raise UnsendableError from None
        raise
