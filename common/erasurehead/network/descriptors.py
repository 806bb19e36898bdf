"""Connections that are libzmq's own, by their descriptors: what is known of them, and their end."""

from __future__ import annotations

import ctypes
import logging
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

_connect = ctypes.CDLL(None).connect
_NO_ADDRESS = bytes(16)
"""A socket address of family AF_UNSPEC; Python's own `connect` cannot say it."""

_TCP_BYTES_RECEIVED = struct.Struct("=Q")


@contextmanager
def _opened(descriptor: int) -> Iterator[socket.socket]:
    """Return a connection under a descriptor of ours, so that libzmq keeps its own.

    Raises
    ------
    OSError: there is none, or it is no socket.
    """
    copy = os.dup(descriptor)
    try:
        connection = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise
    with connection:
        yield connection


def cut(descriptor: int) -> None:
    """End the connection behind one of libzmq's descriptors; libzmq then finds it closed.

    Were the number meanwhile another connection's, that one would reconnect.
    """
    try:
        with _opened(descriptor) as connection:
            # A shut down TCP connection is read on for as long as the other side goes on sending;
            # taking its address away resets it. Other sockets and systems know no such thing.
            if _connect(connection.fileno(), _NO_ADDRESS, len(_NO_ADDRESS)) != 0:
                connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        log.debug("descriptor %d was no open connection any more", descriptor)


def bytes_received(descriptor: int) -> int | None:
    """Return what the kernel has received over a TCP connection; None where it cannot say."""
    try:
        with _opened(descriptor) as connection:
            told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            (bytes_in,) = _TCP_BYTES_RECEIVED.unpack_from(told, 128)
            return int(bytes_in)
    except (OSError, AttributeError, struct.error):
        return None


def peer_address(descriptor: int) -> str | None:
    """Return the address of the other side of a TCP connection; None if it has none."""
    try:
        with _opened(descriptor) as connection:
            host, port, *_ = connection.getpeername()
            host = host.removeprefix("::ffff:")  # of IPv4, at a socket of both families
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    except (OSError, ValueError):
        return None
