"""Real sockets: who gets through the master's door, and what everybody else sees of it."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import socket as os_socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
import zmq

from erasurehead.network import sockets
from erasurehead.network.backlog import FRAMING_BYTES, Backlog
from erasurehead.network.curve import (
    AllowedKeys,
    KeyPair,
    MasterKeys,
    WorkerKeys,
    make_keys,
    read_public,
    read_secret,
)
from erasurehead.network.descriptors import cut
from erasurehead.network.gate import Gate, Revoked, TurnedAway
from erasurehead.network.handshakes import Handshakes
from tests.support.ipv6 import needs_ipv6
from tests.support.strangers import answer_to

Context = zmq.Context[zmq.Socket[bytes]]
LIMIT_S = 60
GREETING = b"\xff\0\0\0\0\0\0\0\1\x7f\3\1CURVE"


def until(condition: Callable[[], bool], what: str) -> None:
    """Poll a condition; fail by name, never hang."""
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, f"not within {LIMIT_S:g} s: {what}"
        time.sleep(0.005)


class Door:
    """A locked socket with its gate, and callers."""

    def __init__(
        self, directory: Path, *, keyed: bool = True, host: str = "127.0.0.1", **options: float
    ) -> None:
        self.directory = directory
        self.allowed = directory / "allowed"
        self.allowed.mkdir()
        self.pairs: dict[str, KeyPair] = {}
        for name in ("master", "worker", "other"):
            secret, public = make_keys(directory, name)
            self.pairs[name] = read_secret(secret)
            if name == "worker":
                (self.allowed / public.name).write_bytes(public.read_bytes())
        self.context: Context = zmq.Context()
        self.outside: Context = zmq.Context()
        keys = MasterKeys(self.pairs["master"], AllowedKeys(self.allowed), recheck_s=0.02)
        backlog = Backlog(32 << 20, 64 << 20)
        self.gate = Gate(
            self.context, keys if keyed else None, int(options.get("connections", 64)), backlog
        )
        self.keyed = keyed
        self.router = sockets.bind_router(
            self.context,
            f"tcp://{host}:*",
            high_water_mark=8,
            max_frame_bytes=1 << 20,
            handshake_s=options.get("handshake_s", 10.0),
            keys=keys if keyed else None,
            gate=self.gate,
        )
        self.address = self.router.getsockopt_string(zmq.LAST_ENDPOINT)
        self.port = int(self.address.rpartition(":")[2])
        self.stack = ExitStack()
        self.callers: list[zmq.Socket[bytes]] = []
        self.turned_away: list[str] = []
        self.revoked: list[dict[str, str]] = []

    def close(self) -> None:
        self.stack.close()
        self.outside.destroy(linger=0)
        self.gate.let_go(self.router)
        self.router.close()
        self.gate.close()
        self.context.term()

    def caller(self, name: str | None, master: str = "master") -> zmq.Socket[bytes]:
        keys = None
        if name is not None:
            keys = WorkerKeys(self.pairs[name], self.pairs[master].public)
        caller = sockets.connect_dealer(
            self.outside, self.address, identity=b"c" + os.urandom(8), keys=keys
        )
        self.callers.append(caller)
        return caller

    def worker(self) -> tuple[zmq.Socket[bytes], Handshakes]:
        """Return a worker's socket as a worker makes it."""
        keys = WorkerKeys(self.pairs["worker"], self.pairs["master"].public)
        handshakes = Handshakes(self.outside, self.address, keyed=True)
        socket = sockets.connect_dealer(
            self.outside, self.address, identity=b"w", keys=keys, handshakes=handshakes
        )
        self.stack.callback(handshakes.let_go, socket)
        self.callers.append(socket)
        return socket, handshakes

    def receive(self) -> tuple[sockets.Origin, list[bytes]]:
        assert self.router.poll(1000 * LIMIT_S), "no message came"
        found = sockets.receive_routed(self.router, keyed=self.keyed)
        assert found is not None
        n_bytes = sum(FRAMING_BYTES + len(frame) for frame in found[1])
        self.gate.spoke(found[0].descriptor)
        self.gate.delivered(found[0].descriptor, n_bytes)
        return found[0], [bytes(frame) for frame in found[1]]

    def read_news(self) -> None:
        for news in self.gate.news():
            if isinstance(news, TurnedAway):
                self.turned_away.append(news.reason)
            elif isinstance(news, Revoked):
                self.revoked.append(news.names)

    def hears_of(self, reason: str, times: int = 1) -> None:
        def heard() -> bool:
            self.read_news()
            return self.turned_away.count(reason) >= times

        until(heard, f"{times} x {reason}, only {self.turned_away}")

    def wait_there(self, strangers: int) -> None:
        """Connect so many strangers who say nothing; they stay until the door closes."""
        for _ in range(strangers):
            self.stack.enter_context(
                os_socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT_S)
            )

    def raw(self, sent: bytes) -> bytes:
        """Return everything the door says to these bytes, until it hangs up."""
        return answer_to(self.port, sent)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    made = Door(tmp_path)
    yield made
    made.close()


def test_an_allowed_key_gets_in_and_is_known_by_it(door: Door) -> None:
    worker = door.caller("worker")
    worker.send_multipart([b"hello", b"x"])
    origin, frames = door.receive()
    assert frames == [b"hello", b"x"]
    assert origin.key == door.pairs["worker"].public.decode()
    assert door.gate.admits(origin.key)
    assert psutil.Process().num_fds() > origin.descriptor > 2
    sockets.send(door.router, [origin.peer, b"answer"])
    assert worker.poll(1000 * LIMIT_S)
    assert worker.recv() == b"answer"
    door.read_news()
    assert door.turned_away == []


@needs_ipv6
def test_keys_and_the_gate_know_ipv6(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An allowed key gets in, another does not and is told of by address, and a stranger is cut."""
    door = Door(tmp_path, host="[::1]")
    try:
        door.caller("worker").send(b"hello")
        origin, frames = door.receive()
        assert frames == [b"hello"]
        assert origin.key == door.pairs["worker"].public.decode()
        other = door.caller("other")
        other.send(b"hello")
        door.hears_of("handshake-key")
        other.close(0)  # it tries again and again, and its next descriptor may be the stranger's
        with os_socket.create_connection(("::1", door.port), timeout=LIMIT_S) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n".ljust(64))
            door.hears_of("handshake-failed")
        # The stranger may be gone before the gate can ask for its address.
        assert "a connection from ::1 (handshake-key)" in caplog.text
    finally:
        door.close()


@pytest.mark.parametrize(
    ("name", "master", "reason"),
    [
        ("other", "master", "handshake-key"),  # a key that nobody allowed
        (None, "master", "handshake-failed"),  # no key at all
        ("worker", "other", "handshake-failed"),  # takes us for somebody else
    ],
)
def test_others_get_no_message_in_and_none_out(
    door: Door, name: str | None, master: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "erasurehead.network.gate")
    stranger = door.caller(name, master)
    stranger.send(b"let me in")
    door.hears_of(reason)
    worker = door.caller("worker")
    worker.send(b"hello")
    origin, frames = door.receive()
    assert (origin.key, frames) == (door.pairs["worker"].public.decode(), [b"hello"])
    assert not stranger.poll(0)
    lines = [r.getMessage() for r in caplog.records if reason in r.getMessage()]
    assert "turned away a connection from" in lines[0]
    if reason == "handshake-key":
        assert "from 127.0.0.1" in lines[0]
        assert door.pairs["other"].public.decode() in lines[0]


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)),
        b"SSH-2.0-OpenSSH_9.0\r\n",
        b"\0" * 500,
        GREETING.ljust(64, b"\0") + b"\4\x26\5READY" + b"\0" * 100,
        b"\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL".ljust(64, b"\0") + b"\4\x26\5READY" + b"\0" * 100,
        os.urandom(300),
    ],
    ids=["http", "tls", "ssh", "zeros", "curve-out-of-order", "null", "random"],
)
def test_whatever_is_said_the_door_says_its_greeting_at_most(door: Door, sent: bytes) -> None:
    received = door.raw(sent)
    assert GREETING.ljust(64, b"\0").startswith(received[:32])
    # After its greeting it says at most "ERROR" and why.
    assert len(received) <= 64 + 32
    door.hears_of("handshake-failed")
    assert not door.router.poll(0)


def test_half_open_connections_expire(tmp_path: Path) -> None:
    door = Door(tmp_path, handshake_s=0.1)
    try:
        door.wait_there(20)
        door.hears_of("handshake-failed", 20)
    finally:
        door.close()


def test_strangers_cannot_hold_more_than_the_limit(tmp_path: Path) -> None:
    """Ten of them wait at a door for four; a worker still gets in."""
    door = Door(tmp_path, connections=4)
    try:
        door.wait_there(10)
        door.hears_of("too-many-connections", 6)
        worker = door.caller("worker")
        worker.send(b"hello")
        origin, _ = door.receive()
        door.hears_of("too-many-connections", 7)
        worker.send(b"still here")
        assert door.receive()[0].descriptor == origin.descriptor
    finally:
        door.close()


def test_a_revoked_key_is_cut_off_and_stays_out_until_it_is_back(door: Door) -> None:
    """1. A worker talks. 2. Its file is removed. 3. It is cut off, and its reconnects are refused.

    4. The file comes back, and so does the worker, without being restarted.
    """
    worker, handshakes = door.worker()
    worker.send(b"one")
    origin, _ = door.receive()
    file = door.allowed / "worker.pub"
    content = file.read_bytes()
    file.unlink()

    def revoked() -> bool:
        door.read_news()
        return bool(door.revoked)

    until(revoked, "the revocation")
    assert door.revoked == [{door.pairs["worker"].public.decode(): "worker"}]
    # What it still sends over its old connection is known for what it is ...
    worker.send(b"two")
    late, frames = door.receive()
    assert frames == [b"two"]
    assert not door.gate.admits(late.key)
    # ... and when that is cut, libzmq asks about its key again.
    cut(origin.descriptor)
    door.hears_of("handshake-key")
    file.write_bytes(content)
    until(lambda: "does not allow" in (handshakes.news() or ""), "the reason")

    def back() -> bool:
        handshakes.news()
        handshakes.try_again(worker)
        if worker.poll(0, zmq.POLLOUT):
            worker.send(b"three")
        return bool(door.router.poll(20))

    until(back, "the worker's return")
    assert door.receive()[1] == [b"three"]
    assert door.gate.admits(origin.key)


def test_cutting_what_is_gone_does_nothing() -> None:
    cut(987_654)
    reader, writer = os.pipe()
    free = os.dup(reader)
    os.close(free)
    cut(reader)
    again = os.dup(reader)
    os.close(again)
    assert again == free, "it left a descriptor open"
    os.write(writer, b"x")
    assert os.read(reader, 1) == b"x"
    os.close(reader)
    os.close(writer)


def test_nobody_gets_in_when_nobody_answers_for_keys(tmp_path: Path) -> None:
    """libzmq takes any key if no handler is there, unless it is told not to."""
    context: Context = zmq.Context()
    secret, _ = make_keys(tmp_path, "master")
    _, public = make_keys(tmp_path, "worker")
    master, worker = read_secret(secret), read_secret(tmp_path / "worker.key")
    assert read_public(public) == worker.public
    router = context.socket(zmq.ROUTER)
    router.linger = 0
    MasterKeys(master, AllowedKeys(tmp_path)).put_on(router)
    router.bind("tcp://127.0.0.1:*")
    monitor = router.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
    dealer = sockets.connect_dealer(
        context,
        router.getsockopt_string(zmq.LAST_ENDPOINT),
        identity=b"x",
        keys=WorkerKeys(worker, master.public),
    )
    dealer.send(b"hello")
    assert monitor.poll(1000 * LIMIT_S)
    assert not router.poll(0)
    router.disable_monitor()
    dealer.close(0)
    router.close()
    monitor.close()
    context.term()


def test_recorded_bytes_open_no_door(door: Door) -> None:
    """1. A worker talks through a relay that keeps its bytes. 2. They are played again, exactly."""
    recorded: list[bytes] = []
    with os_socket.create_server(("127.0.0.1", 0)) as relay:
        port = relay.getsockname()[1]
        worker = sockets.connect_dealer(
            door.outside,
            f"tcp://127.0.0.1:{port}",
            identity=b"w",
            keys=WorkerKeys(door.pairs["worker"], door.pairs["master"].public),
        )
        worker.send(b"a result")
        client, _ = relay.accept()
        with client, os_socket.create_connection(("127.0.0.1", door.port)) as server:
            client.setblocking(False)
            server.setblocking(False)
            while not door.router.poll(1):
                for source, sink in ((client, server), (server, client)):
                    try:
                        data = source.recv(4096)
                    except BlockingIOError:
                        continue
                    if source is client:
                        recorded.append(data)
                    sink.sendall(data)
            worker.close(0)
            assert door.receive()[1] == [b"a result"]
    assert b"a result" not in b"".join(recorded)
    answer = door.raw(b"".join(recorded))
    assert b"a result" not in answer
    door.hears_of("handshake-failed")
    assert not door.router.poll(0)


def test_without_keys_everybody_gets_in_and_is_still_watched(tmp_path: Path) -> None:
    door = Door(tmp_path, keyed=False, handshake_s=0.1)
    try:
        door.caller(None).send(b"hello")
        origin, frames = door.receive()
        assert frames == [b"hello"]
        assert origin.key is None
        assert door.gate.admits(None)
        with os_socket.create_connection(("127.0.0.1", door.port)):
            door.hears_of("handshake-failed")
    finally:
        door.close()


def test_a_flood_of_failures_does_not_flood_the_log(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "erasurehead.network.gate")
    for _ in range(100):
        door.raw(b"GET / HTTP/1.1\r\n\r\n" * 4)
    door.hears_of("handshake-failed", 100)
    assert 0 < len(caplog.records) < 50


def test_a_worker_is_told_why_it_gets_no_connection(door: Door) -> None:
    for name, words in [("other", "does not allow this worker's key"), (None, "wants keys")]:
        keys = None
        if name is not None:
            keys = WorkerKeys(door.pairs[name], door.pairs["master"].public)
        watch = Handshakes(door.outside, door.address, keyed=keys is not None)
        dealer = sockets.connect_dealer(
            door.outside, door.address, identity=b"x", keys=keys, handshakes=watch
        )
        told: list[str] = []

        def hears(watch: Handshakes = watch, told: list[str] = told) -> bool:
            told.extend(filter(None, [watch.news()]))
            return bool(told)

        until(hears, words)
        assert words in told[0]
        watch.let_go(dealer)
        dealer.close(0)


def test_a_reader_that_does_not_read_costs_no_memory(tmp_path: Path) -> None:
    """A gigabyte is meant for it; what libzmq keeps is a few frames."""
    door = Door(tmp_path, keyed=False)
    try:
        reader = door.outside.socket(zmq.DEALER)
        door.callers.append(reader)
        reader.setsockopt(zmq.RCVHWM, 1)
        reader.connect(door.address)
        reader.send(b"hello")
        origin, _ = door.receive()
        before = psutil.Process().memory_info().rss
        dropped = 0
        for _ in range(1000):
            try:
                sockets.send(door.router, [origin.peer, b"x" * (1 << 20)])
            except sockets.UnsendableError:
                dropped += 1
        assert dropped > 900
        assert psutil.Process().memory_info().rss - before < 100 << 20
    finally:
        door.close()


def test_a_sender_that_is_not_read_costs_no_memory(tmp_path: Path) -> None:
    """Its messages stay with it: libzmq stops reading its connection, and nothing is lost."""
    door = Door(tmp_path, keyed=False)
    try:
        sender = door.outside.socket(zmq.DEALER)
        door.callers.append(sender)
        sender.setsockopt(zmq.SNDHWM, 1)
        sender.connect(door.address)
        before = psutil.Process().memory_info().rss
        sent = 0
        for _ in range(1000):
            if not sender.poll(20, zmq.POLLOUT):
                break
            sender.send(b"x" * (1 << 20))
            sent += 1
        assert sent < 900
        assert psutil.Process().memory_info().rss - before < 100 << 20
        for _ in range(sent):
            door.receive()
    finally:
        door.close()


def enter(sender: os_socket.socket) -> None:
    """Shake hands like a DEALER without keys."""
    ready = b"\5READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER"
    greeting = GREETING[:12] + b"NULL".ljust(52, b"\0")
    sender.sendall(greeting + b"\4" + bytes([len(ready)]) + ready)
    answer = b""
    while b"Socket-Type" not in answer:
        answer += sender.recv(4096)


@pytest.mark.parametrize("reads_on", [False, True])
def test_who_never_stops_sending_is_cut_all_the_same(tmp_path: Path, reads_on: bool) -> None:
    """A connection that is only shut down is read on while bytes keep coming."""
    door = Door(tmp_path, keyed=False)
    over = threading.Event()
    try:
        with os_socket.create_connection(("127.0.0.1", door.port), timeout=LIMIT_S) as sender:
            enter(sender)

            def send() -> None:
                with contextlib.suppress(ConnectionError):
                    while True:
                        sender.sendall((b"\0\x64" + b"x" * 100) * 500)
                over.set()

            thread = threading.Thread(target=send)
            thread.start()
            origin, _ = door.receive()
            cut(origin.descriptor)
            if reads_on:
                while not over.is_set():
                    sockets.receive_routed(door.router, keyed=False)
            else:
                assert over.wait(LIMIT_S)
            thread.join()
    finally:
        door.close()


def test_a_message_without_an_end_is_cut_off(tmp_path: Path) -> None:
    """libzmq keeps the frames of an unfinished message, however many; somebody has to count."""
    door = Door(tmp_path, keyed=False)
    frame = b"\3" + struct.pack(">Q", 1 << 16) + b"x" * (1 << 16)  # flags: long, more to come
    try:
        before = psutil.Process().memory_info().rss
        honest = door.caller(None)
        with os_socket.create_connection(("127.0.0.1", door.port), timeout=LIMIT_S) as sender:
            enter(sender)
            sent_bytes = 0
            # Step by step: how much comes between two looks is the network's speed.
            with contextlib.suppress(ConnectionError):
                while sent_bytes < 1 << 31:
                    sender.sendall(frame * 16)
                    sent_bytes += 16 * len(frame)
                    honest.send(b"an honest message")
                    assert door.receive()[1] == [b"an honest message"]
                    assert psutil.Process().memory_info().rss - before < 1 << 30
            assert 32 << 20 <= sent_bytes < 1 << 31
        door.hears_of("endless-message")
        assert not door.router.poll(0)
    finally:
        door.close()


def test_a_message_of_very_many_frames_is_cut_short(tmp_path: Path) -> None:
    door = Door(tmp_path, keyed=False)
    try:
        door.caller(None).send_multipart([b"x"] * 5000)
        door.caller(None).send(b"next")
        found = sorted(len(door.receive()[1]) for _ in range(2))
        assert found == [1, sockets.MAX_PARTS + 1]
    finally:
        door.close()


def test_ipc_needs_no_port(tmp_path: Path) -> None:
    context: Context = zmq.Context()
    gate = Gate(context, None, 8, Backlog(1 << 20, 1 << 20))
    address = f"ipc://{tmp_path}/door"
    router = sockets.bind_router(
        context, address, high_water_mark=8, max_frame_bytes=1 << 20, gate=gate
    )
    dealer = sockets.connect_dealer(context, address, identity=b"x")
    dealer.send(b"hello")
    assert router.poll(1000 * LIMIT_S)
    found = sockets.receive_routed(router, keyed=False)
    assert found is not None
    assert found[0].peer == b"x"
    assert found[0].descriptor > 2
    dealer.close(0)
    gate.let_go(router)
    router.close()
    gate.close()
    context.term()


def test_the_gate_closes_while_nothing_can_be_accepted(tmp_path: Path) -> None:
    """libzmq tries again without end, and tells the gate each time."""
    door = Door(tmp_path, keyed=False)
    callers = [os_socket.socket() for _ in range(8)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as stack:
        for caller in callers:
            stack.enter_context(caller)
        free = os.open(os.devnull, os.O_RDONLY)
        os.close(free)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
            for caller in callers:
                caller.connect(("127.0.0.1", door.port))
            until(lambda: TurnedAway("too-many-connections") in door.gate.news(), "a failure")
            closing = threading.Thread(target=door.close, daemon=True)
            closing.start()
            closing.join(LIMIT_S)
            assert not closing.is_alive()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
