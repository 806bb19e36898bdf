"""A worker's socket that libzmq has given up is connected again, and only such a one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest
import zmq

from erasurehead.network import sockets
from erasurehead.network.handshakes import Handshakes

LIMIT_S = 60


class Ends:
    """A master's socket and a worker's that takes messages of a thousand bytes."""

    def __init__(self) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.router = self.bound("tcp://127.0.0.1:*")
        self.address = self.router.getsockopt_string(zmq.LAST_ENDPOINT)
        self.handshakes = Handshakes(self.context, self.address, keyed=False)
        self.worker = sockets.connect_dealer(
            self.context,
            self.address,
            identity=b"w",
            max_frame_bytes=1000,
            handshakes=self.handshakes,
        )

    def bound(self, address: str) -> zmq.Socket[bytes]:
        return sockets.bind_router(
            self.context, address, high_water_mark=8, max_frame_bytes=1 << 20
        )

    def look_for(self, seconds: float) -> None:
        """Look at the connection again and again, as a worker's loop does."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.handshakes.news()
            self.handshakes.try_again(self.worker)
            time.sleep(0.02)

    def is_heard(self, within_s: float) -> bool:
        """Return whether a greeting reaches the master."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            self.look_for(0.1)
            # Without a connection there is no queue either.
            with contextlib.suppress(zmq.Again):
                self.worker.send(b"hello", zmq.NOBLOCK)
            if self.router.poll(100):
                return self.router.recv_multipart() == [b"w", b"hello"]
        return False

    def close(self) -> None:
        self.handshakes.let_go(self.worker)
        self.context.destroy(linger=0)


@pytest.fixture
def ends() -> Iterator[Ends]:
    both = Ends()
    try:
        yield both
    finally:
        both.close()


def test_a_worker_is_back_after_a_message_over_its_limit(ends: Ends) -> None:
    """It used to greet a dead socket for ever: libzmq does not connect it again."""
    assert ends.is_heard(LIMIT_S)
    sockets.send(ends.router, [b"w", bytes(100_000)])
    while ends.router.poll(200):
        ends.router.recv_multipart()
    assert ends.is_heard(LIMIT_S)


def test_what_waits_for_a_master_that_restarts_is_not_lost(ends: Ends) -> None:
    """After an ordinary end libzmq connects again by itself, and keeps what was queued."""
    assert ends.is_heard(LIMIT_S)
    ends.router.close(0)
    ends.look_for(0.3)
    ends.worker.send(b"a result")
    ends.look_for(0.7)
    ends.router = ends.bound(ends.address)
    assert ends.router.poll(1000 * LIMIT_S)
    assert ends.router.recv_multipart() == [b"w", b"a result"]
