"""The HTTP endpoints over a real socket on a random loopback port."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Gauge

from erasurehead.errors import BindError, UsageError
from erasurehead.monitoring import http as served
from erasurehead.monitoring import probe
from erasurehead.monitoring.http import Endpoints, HealthServer, parse_address
from erasurehead.process.pulse import Pulse


class Switch:
    """An answer that a test can change."""

    well = True

    def __call__(self) -> served.State:
        return self.well, {"phase": "training"}


@pytest.fixture
def ready() -> Switch:
    return Switch()


@pytest.fixture
def server(ready: Switch) -> Iterator[HealthServer]:
    registry = CollectorRegistry()
    Gauge("some_seconds", "Some.", registry=registry).set(1.5)
    with HealthServer("0", Endpoints(registry, lambda: (True, {}), ready)) as running:
        yield running


def ask(port: int, path: str, method: str = "GET") -> tuple[int, str, http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer
    finally:
        connection.close()


def test_metrics_come_in_the_text_format(server: HealthServer) -> None:
    status, body, answer = ask(server.port, "/metrics")
    assert status == 200
    assert "some_seconds 1.5" in body
    assert (answer.getheader("Content-Type") or "").startswith("text/plain; version=")


def test_health_and_readiness_are_told_apart(server: HealthServer, ready: Switch) -> None:
    assert ask(server.port, "/healthz")[0] == 200
    assert ask(server.port, "/readyz")[0] == 200
    ready.well = False
    status, body, _ = ask(server.port, "/readyz")
    assert status == 503
    assert json.loads(body) == {"ok": False, "phase": "training"}
    assert ask(server.port, "/healthz")[0] == 200


def test_anything_else_is_not_found_or_not_understood(server: HealthServer) -> None:
    assert ask(server.port, "/")[0] == 404
    assert ask(server.port, "/../../etc/passwd")[0] == 404
    assert ask(server.port, "/metrics", "POST")[0] == 501
    status, body, _ = ask(server.port, "/metrics", "HEAD")
    assert (status, body) == (200, "")


def test_a_port_alone_is_loopback_only(server: HealthServer) -> None:
    assert server.url == f"http://127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    ("bind", "address"),
    [
        ("9177", ("127.0.0.1", 9177)),
        ("0.0.0.0:9177", ("0.0.0.0", 9177)),
        ("[::1]:0", ("::1", 0)),
        ("localhost:1", ("localhost", 1)),
    ],
)
def test_addresses(bind: str, address: tuple[str, int]) -> None:
    assert parse_address(bind) == address


@pytest.mark.parametrize(
    "bind", ["", "host", "host:", ":9177", "host:http", "1:65536", "tcp://*:x"]
)
def test_what_is_no_address_is_said_in_a_sentence(bind: str) -> None:
    with pytest.raises(UsageError, match="write host:port"):
        parse_address(bind)


def test_an_address_in_use_is_said_in_a_sentence(server: HealthServer) -> None:
    with pytest.raises(BindError, match="cannot serve metrics on"):
        HealthServer(f"127.0.0.1:{server.port}", Endpoints(CollectorRegistry(), Switch(), Switch()))


def dribble(port: int, how_many: int) -> list[socket.socket]:
    slow = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(how_many)]
    for connection in slow:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
    return slow


def test_probes_are_answered_while_slow_clients_fill_all_places(server: HealthServer) -> None:
    slow = dribble(server.port, served.CONNECTIONS)
    try:
        for _ in range(3):
            assert ask(server.port, "/healthz")[0] == 200
        for connection in slow[:3]:
            assert connection.recv(1) == b"", "the oldest make room"
    finally:
        for connection in slow:
            connection.close()


def test_a_request_has_so_long_in_all_and_not_from_byte_to_byte(
    ready: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "REQUEST_LIMIT_S", 0.3)
    monkeypatch.setattr(served, "LOOK_S", 0.05)
    with HealthServer("0", Endpoints(CollectorRegistry(), lambda: (True, {}), ready)) as server:
        (slow,) = dribble(server.port, 1)
        slow.settimeout(0.02)
        for _ in range(500):
            try:
                slow.sendall(b"a")
                if slow.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            pytest.fail("it is still listened to")
        slow.close()


def test_leaving_ends_the_thread_and_frees_the_port(ready: Switch) -> None:
    before = threading.active_count()
    endpoints = Endpoints(CollectorRegistry(), lambda: (True, {}), ready)
    with HealthServer("0", endpoints) as server:
        port = server.port
        ask(port, "/healthz")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    assert threading.active_count() <= before + 1  # a request's own thread may be ending


def test_the_pulse_is_lenient_before_the_first_turn_and_strict_after() -> None:
    now = [0.0]
    pulse = Pulse(60.0, clock=lambda: now[0])
    now[0] = 1e6
    assert pulse.healthy()[0], "reading data may take long"
    pulse.beat()
    now[0] += 59.0
    assert pulse.healthy() == (True, {"turned_s_ago": 59.0})
    now[0] += 1.0
    assert not pulse.healthy()[0]


def test_the_probe_says_with_its_exit_code_what_it_was_told(
    server: HealthServer,
    ready: Switch,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ERASUREHEAD_HTTP__BIND", f"0.0.0.0:{server.port}")
    assert probe.main() == 0
    assert probe.main("/readyz") == 0
    ready.well = False
    assert probe.main("/readyz") == 1
    monkeypatch.setenv("ERASUREHEAD_HTTP__BIND", "127.0.0.1:1")
    assert probe.main() == 1
    monkeypatch.delenv("ERASUREHEAD_HTTP__BIND")
    assert probe.main() == 1
    assert "not set" in capsys.readouterr().out
