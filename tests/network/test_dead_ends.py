"""A master finds connections whose other end has gone without a word, and leaves that to the
kernel."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import zmq

from erasurehead.network.sockets import GIVE_UP_MS, bind_router

LIMIT_S = 60.0

CUT = f"""
import subprocess
import zmq
from zmq.utils.monitor import recv_monitor_message
from erasurehead.network.sockets import bind_router, connect_dealer

subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
here, there = zmq.Context(), zmq.Context()
router = bind_router(here, "tcp://127.0.0.1:0", high_water_mark=10, max_frame_bytes=1000)
events = router.get_monitor_socket(zmq.EVENT_DISCONNECTED)
address = router.getsockopt_string(zmq.LAST_ENDPOINT)
dealer = connect_dealer(there, address, identity=b"worker")
dealer.send(b"hello")
assert router.recv_multipart() == [b"worker", b"hello"]
assert not events.poll(0)
subprocess.run(["ip", "link", "set", "lo", "down"], check=True)
assert events.poll({1000 * LIMIT_S:.0f}), "the dead end was never found"
assert recv_monitor_message(events)["event"] == zmq.EVENT_DISCONNECTED
for context in (here, there):
    context.destroy(0)
"""
"""Run in a network of its own, whose only link is taken down."""


def test_a_dead_end_is_dropped() -> None:
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    command = ["unshare", *as_root, "--net"]
    try:
        up = [*command, "ip", "link", "set", "lo", "up"]
        probe = subprocess.run(up, capture_output=True, check=False)
    except FileNotFoundError as error:
        pytest.skip(f"{error.filename} is not installed")
    if probe.returncode:
        pytest.skip(f"no network of one's own: {probe.stderr.decode().strip()}")
    done = subprocess.run(
        [*command, sys.executable, "-c", CUT], capture_output=True, text=True, timeout=2 * LIMIT_S
    )
    assert done.returncode == 0, done.stderr


def test_the_master_itself_pings_nobody() -> None:
    """libzmq would end the process where a ping is due on a broken connection that is not read."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with bind_router(
        context, "tcp://127.0.0.1:0", high_water_mark=10, max_frame_bytes=1000
    ) as router:
        assert router.getsockopt(zmq.HEARTBEAT_IVL) == 0
        assert router.getsockopt(zmq.TCP_KEEPALIVE) == 1
        assert router.getsockopt(zmq.TCP_MAXRT) == GIVE_UP_MS
    context.term()
