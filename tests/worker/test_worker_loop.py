"""The worker's loop over a real socket, in a thread of this process."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import zmq

from erasurehead.errors import EXIT_OK
from erasurehead.monitoring.pulse import Pulse
from erasurehead.wire import sockets
from erasurehead.wire.frames import decode, encode
from erasurehead.wire.handshakes import Handshakes
from erasurehead.wire.messages import PROTOCOL_VERSION, TO_MASTER, Hello, Stop
from erasurehead.wire.signals import SignalWatch
from erasurehead_worker.actions import Exit
from erasurehead_worker.loop import WorkerLoop
from erasurehead_worker.machine import Worker
from erasurehead_worker.rows import RowSource
from erasurehead_worker.tally import Tally
from erasurehead_worker.turns import Turns


@pytest.mark.timeout(30)
def test_the_loop_says_that_it_turns_and_ends_when_told_to() -> None:
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
    worker = threading.Thread(target=work)
    worker.start()
    assert router.poll(10_000)
    peer, *frames = router.recv_multipart()
    assert decode(frames, TO_MASTER).name == "ann"
    assert pulse.begun
    assert pulse.healthy()[0]
    sockets.send(router, [peer, *encode(Stop("finished", "all rounds done"))])
    worker.join(20)
    assert endings == [Exit(EXIT_OK, "all rounds done")]
    router.close(0)
    context.term()
