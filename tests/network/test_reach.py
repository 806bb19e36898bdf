"""Addresses where nobody answers, and masters on IPv6: what a worker tries and what it says."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest
import zmq

from erasurehead.errors import UsageError
from erasurehead.network import sockets
from erasurehead.network.addresses import stays_on_this_machine
from erasurehead.network.handshakes import Handshakes
from erasurehead.network.reach import FIRST_LOOK_S, LOOK_EACH_S, TELL_EACH_S, Reach, Sighting
from erasurehead.network.scout import look
from erasurehead.settings.sources import load
from erasurehead.settings.tree import WorkerSettings
from tests.support.ipv6 import needs_ipv6

LIMIT_S = 60


def router(context: zmq.Context[Any], address: str) -> zmq.Socket[bytes]:
    return sockets.bind_router(context, address, high_water_mark=8, max_frame_bytes=1 << 20)


def hears(master: zmq.Socket[bytes], address: str) -> bool:
    """Return whether a greeting of a worker that connects to an address reaches the master."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    handshakes = Handshakes(context, address, keyed=False)
    worker = sockets.connect_dealer(context, address, identity=b"w", handshakes=handshakes)
    try:
        until = time.monotonic() + LIMIT_S
        while time.monotonic() < until:
            handshakes.news()
            handshakes.try_again(worker)
            if worker.poll(20, zmq.POLLOUT):
                worker.send(b"hello", zmq.NOBLOCK)
            if master.poll(20):
                return master.recv_multipart() == [b"w", b"hello"]
        return False
    finally:
        handshakes.let_go(worker)
        context.destroy(linger=0)


@needs_ipv6
@pytest.mark.parametrize("address", ["tcp://[::1]:*", "tcp://[::]:*"])
def test_a_worker_reaches_a_master_on_ipv6(address: str) -> None:
    with zmq.Context() as context, router(context, address) as master:
        bound = master.getsockopt_string(zmq.LAST_ENDPOINT)
        port = bound.rpartition(":")[2]
        assert hears(master, f"tcp://[::1]:{port}")
        if "[::]" in address:
            assert hears(master, f"tcp://127.0.0.1:{port}")


@needs_ipv6
@pytest.mark.parametrize(("listens", "ipv6"), [("::1", True), ("127.0.0.1", False)])
def test_names_of_both_families_are_tried_in_both(
    monkeypatch: pytest.MonkeyPatch, listens: str, ipv6: bool
) -> None:
    """The name's addresses are given here; who listens, and who is called, are real."""
    family = socket.AF_INET6 if ipv6 else socket.AF_INET
    with socket.create_server((listens, 0), family=family) as server:
        port = server.getsockname()[1]
        both = [
            *socket.getaddrinfo("::1", port, type=socket.SOCK_STREAM),
            *socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
        assert look("both.example", port) == Sighting(ipv6)
    nobody = look("both.example", port)
    assert (nobody.ipv6, nobody.only) == (None, None)
    assert nobody.why == "::1: connection refused; 127.0.0.1: connection refused"


def test_a_name_that_is_not_known_is_told_within_seconds() -> None:
    """It used to be tried in silence."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    handshakes = Handshakes(context, "tcp://no-such-host.invalid:5577", keyed=False)
    worker = sockets.connect_dealer(
        context, "tcp://no-such-host.invalid:5577", identity=b"w", handshakes=handshakes
    )
    try:
        told: list[str] = []
        until = time.monotonic() + LIMIT_S
        while not told and time.monotonic() < until:
            told += [news] if (news := handshakes.news()) is not None else []
            time.sleep(0.05)
        assert told
        assert "no answer from tcp://no-such-host.invalid:5577: cannot resolve" in told[0]
    finally:
        handshakes.let_go(worker)
        context.destroy(linger=0)


def test_reasons_are_told_once_and_again_much_later() -> None:
    reach = Reach("tcp://master:5577", ipv6=False, now=0.0)
    refused = Sighting(None, "10.0.0.7: connection refused")
    assert not reach.look_due(FIRST_LOOK_S / 2)
    assert reach.look_due(FIRST_LOOK_S)
    assert not reach.look_due(FIRST_LOOK_S + LOOK_EACH_S / 2)
    told = reach.take(refused, 1.0)
    assert told == "no answer from tcp://master:5577: 10.0.0.7: connection refused; trying again"
    assert reach.take(refused, 2.0) is None
    assert reach.take(Sighting(None, "cannot resolve master (?)"), 3.0) is not None
    assert reach.take(Sighting(None, "cannot resolve master (?)"), 3.0 + TELL_EACH_S) is not None
    assert reach.take(Sighting(True), 400.0) is None
    assert reach.ipv6
    reach.connected()
    assert not reach.look_due(1e6)
    reach.ended(1e6)
    assert reach.look_due(1e6 + FIRST_LOOK_S)


@needs_ipv6
@pytest.mark.parametrize(("host", "ipv6"), [("::1", True), ("127.0.0.1", False)])
def test_the_only_family_of_a_name_is_taken_before_anybody_listens(host: str, ipv6: bool) -> None:
    """A master that starts after its workers is found at once, not at the next look."""
    family = socket.AF_INET6 if ipv6 else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        port = server.getsockname()[1]
    sighting = look(host, port)
    assert (sighting.ipv6, sighting.only) == (None, ipv6)
    reach = Reach("tcp://master:5577", ipv6=not ipv6, now=0.0)
    assert "connection refused" in (reach.take(sighting, 1.0) or "")
    assert reach.ipv6 is ipv6


def test_addresses_of_ipv6_stand_in_brackets() -> None:
    assert stays_on_this_machine("tcp://[::1]:5577")
    assert not stays_on_this_machine("tcp://[::]:5577")
    with pytest.raises(UsageError, match=r"in brackets, such as tcp://\[::1\]:5577"):
        load(WorkerSettings, {"connect": "tcp://::1:5577"}, environment={})
