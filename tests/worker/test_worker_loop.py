"""The worker's loop over a real socket, in a thread of this process."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import zmq
from msgspec.structs import replace

from erasurehead.errors import EXIT_INTERNAL, EXIT_OK
from erasurehead.network import sockets
from erasurehead.network.handshakes import Handshakes
from erasurehead.process.pulse import Pulse
from erasurehead.process.signals import SignalWatch
from erasurehead.wire.frames import decode, encode
from erasurehead.wire.messages import (
    PROTOCOL_VERSION,
    TO_MASTER,
    Goodbye,
    Hello,
    Message,
    NeedTask,
    Stop,
    Task,
)
from erasurehead_worker.machine.actions import Exit
from erasurehead_worker.machine.machine import Worker
from erasurehead_worker.shell.loop import WorkerLoop
from erasurehead_worker.shell.main import default_name
from erasurehead_worker.shell.rows import RowSource
from erasurehead_worker.shell.turns import Turns
from erasurehead_worker.watch.tally import Tally
from tests.support.example_messages import ASSIGN

LIMIT_S = 60


@dataclass
class Master:
    """A socket that plays the master, and the worker that talks to it in a thread."""

    context: zmq.Context[zmq.Socket[bytes]]
    router: zmq.Socket[bytes]
    pulse: Pulse
    worker: threading.Thread
    endings: list[Exit]
    peer: bytes = b""

    def hear(self) -> object:
        """The worker's next message."""
        assert self.router.poll(1000 * LIMIT_S)
        self.peer, *frames = self.router.recv_multipart()
        return decode(frames, TO_MASTER)

    def say(self, message: Message) -> None:
        sockets.send(self.router, [self.peer, *encode(message)])


@pytest.fixture
def master() -> Iterator[Master]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    router = sockets.bind_router(
        context, "tcp://127.0.0.1:*", high_water_mark=10, max_frame_bytes=1 << 20
    )
    address = router.getsockopt_string(zmq.LAST_ENDPOINT)
    pulse = Pulse(60.0)
    handshakes = Handshakes(context, address, keyed=False)
    endings: list[Exit] = []

    def work() -> None:
        dealer = sockets.connect_dealer(context, address, identity=b"w1", handshakes=handshakes)
        machine = Worker(
            Hello(PROTOCOL_VERSION, "ann", "1", "host"), time.monotonic(), np.random.default_rng(0)
        )
        with SignalWatch() as signals:
            loop = WorkerLoop(
                machine, dealer, RowSource(), signals, Tally(), pulse, handshakes, Turns()
            )
            endings.append(loop.run())
        handshakes.let_go(dealer)
        dealer.close(0)

    assert not pulse.begun
    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    yield Master(context, router, pulse, worker, endings)
    worker.join(LIMIT_S)
    # Else its socket is open, and the context would wait for it for ever.
    assert not worker.is_alive()
    router.close(0)
    context.term()


def test_the_loop_says_that_it_turns_and_ends_when_told_to(master: Master) -> None:
    greeting = master.hear()
    assert isinstance(greeting, Hello)
    assert greeting.name == "ann"
    assert master.pulse.begun
    assert master.pulse.healthy()[0]
    master.say(Stop("finished", "all rounds done"))
    master.worker.join(LIMIT_S)
    assert master.endings == [Exit(EXIT_OK, "all rounds done")]


def test_a_worker_that_is_told_to_leave_does_not_wait_for_its_next_heartbeat(
    master: Master,
) -> None:
    master.hear()
    master.say(replace(ASSIGN, heartbeat_interval_s=1000.0, silence_limit_s=1000.0))
    assert isinstance(master.hear(), NeedTask)
    master.say(Stop("finished", "all rounds done"))
    master.worker.join(LIMIT_S)
    assert master.endings == [Exit(EXIT_OK, "all rounds done")]


def test_streamed_rows_of_columns_that_there_are_not_end_the_worker(master: Master) -> None:
    """1. The worker has no store and asks. 2. What comes is damaged. 3. It says so and leaves."""
    master.hear()
    master.say(ASSIGN)
    asked = master.hear()
    assert isinstance(asked, NeedTask)
    beyond = np.array([ASSIGN.columns])
    one = np.array([0, 1])
    master.say(Task(ASSIGN.epoch, asked.task, 0, 1, one, beyond, np.array([1.0])))
    farewell = master.hear()
    assert isinstance(farewell, Goodbye)
    assert "column indices from" in farewell.reason
    master.worker.join(LIMIT_S)
    (ending,) = master.endings
    assert ending.code == EXIT_INTERNAL


def test_a_babbling_stranger_fills_no_log(master: Master, caplog: pytest.LogCaptureFixture) -> None:
    """What answers at the address may be no master: a web server, say."""
    master.hear()
    master.router.setsockopt(zmq.ROUTER_MANDATORY, 1)  # wait for room, and drop nothing
    with caplog.at_level(logging.WARNING):
        for _ in range(200):
            master.router.send_multipart([master.peer, b"HTTP/1.0 400 Bad request"])
        stop = encode(Stop("finished", "all rounds done"))
        master.router.send_multipart([master.peer, *stop])
        master.worker.join(LIMIT_S)
    refused = [r for r in caplog.records if "refused a message of the master" in r.message]
    assert 1 <= len(refused) <= 4


def test_default_names_differ_even_within_a_process() -> None:
    """Containers may share a host name, and each has the process id 1."""
    assert default_name() != default_name()
