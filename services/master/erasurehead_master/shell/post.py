"""The master's post over ZeroMQ."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import zmq

from erasurehead.network import sockets
from erasurehead.network.sockets import Origin
from erasurehead.wire.frames import Buffer, encode
from erasurehead.wire.messages import ToWorker
from erasurehead_master.shell.door import Door

Frames = Sequence[Buffer]


class Letter(NamedTuple):
    """The frames of a message, and how many bytes they are."""

    frames: Frames
    n_bytes: int


class SocketPost:
    """Sends and receives frames over a bound ROUTER, and counts their bytes.

    Implements `erasurehead_master.run.seams.Post`.

    Parameters
    ----------
    socket: bound ROUTER.
    door: is told of deliveries and refusals, and ignores peers that cause many.
    """

    def __init__(self, socket: zmq.Socket[bytes], door: Door) -> None:
        self.socket = socket
        self._door = door
        self._bytes_out = 0
        self._bytes_in = 0

    def wrap(self, message: ToWorker) -> Letter:
        """Return the frames of a message."""
        frames = encode(message)
        return Letter(frames, sum(map(len, frames)))

    def send(self, peer: bytes, parcel: Letter) -> bool:
        """Send frames without waiting; False if the peer is gone or does not read."""
        try:
            sockets.send(self.socket, [peer, *parcel.frames])
        except sockets.UnsendableError:
            return False
        self._bytes_out += parcel.n_bytes
        return True

    def receive(self) -> tuple[Origin, Frames] | None:
        """Return the origin and the frames of the next message; None when the inbox is empty."""
        routed = sockets.receive_routed(self.socket, keyed=self._door.keyed)
        if routed is not None:
            origin, frames = routed
            n_bytes = sum(map(len, frames))
            self._bytes_in += n_bytes
            self._door.delivered(origin, len(frames), n_bytes)
        return routed

    def refused(self, peer: bytes) -> None:
        """Note that a message of this peer was refused."""
        self._door.refused(peer, time.monotonic())

    def traffic(self) -> tuple[int, int]:
        """Return the bytes sent and received since the last call."""
        moved = self._bytes_out, self._bytes_in
        self._bytes_out = self._bytes_in = 0
        return moved
