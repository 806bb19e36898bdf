"""``/metrics``, ``/healthz`` and ``/readyz`` from a thread of their own.

The thread only reads; the run's own thread is never waited for. Requests are small, few and short
by force: GET and HEAD only, a limit on connections and on the time one may take.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from erasurehead.errors import BindError, UsageError, reason_of

log = logging.getLogger(__name__)

CONNECTIONS = 16
"""Requests served at a time; a further one takes the place of the oldest, which is cut."""

REQUEST_LIMIT_S = 5.0
"""The longest that a request may take, from its connection to the last byte of its answer."""

LOOK_S = 0.25
"""Seconds between two looks at requests that take too long."""

State = tuple[bool, dict[str, Any]]
"""Well or not, and what a person wants to know about it."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What is served. The functions are called on the serving thread and must only read.

    Attributes
    ----------
    registry: collected for ``/metrics``.
    healthy: whether the loop turned recently, for ``/healthz``.
    ready: whether this role can do its work, for ``/readyz``.
    """

    registry: CollectorRegistry
    healthy: Callable[[], State]
    ready: Callable[[], State]


class HealthServer:
    """Serves endpoints on an address until it is left; a context manager.

    Parameters
    ----------
    bind: ``host:port``, ``[v6]:port``, or a port alone for loopback; port 0 takes any free one.

    Raises
    ------
    UsageError: `bind` is no address.
    BindError: the address cannot be had.
    """

    def __init__(self, bind: str, endpoints: Endpoints) -> None:
        host, port = parse_address(bind)
        try:
            self._server = _Server(host, port, endpoints)
        except OSError as error:
            raise BindError(
                f"cannot serve metrics on {bind}: {reason_of(error)};"
                " choose another address with --http-bind or end the process that uses it"
            ) from None
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(LOOK_S,), name="http", daemon=True
        )

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The address as a browser takes it."""
        host = str(self._server.server_address[0])
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def parse_address(bind: str) -> tuple[str, int]:
    """Return host and port of an address; a port alone means loopback.

    Raises
    ------
    UsageError: it is no address.
    """
    host, colon, port = bind.rpartition(":")
    if not colon:
        host = "127.0.0.1"
    if not port.isdecimal() or int(port) > 65535 or not host:
        raise UsageError(
            f"http.bind={bind!r} is no address; write host:port, such as 127.0.0.1:9177, or a port"
        )
    return host.removeprefix("[").removesuffix("]"), int(port)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A request that hangs must not keep the process from ending.
    block_on_close = False
    request_queue_size = CONNECTIONS

    def __init__(self, host: str, port: int, endpoints: Endpoints) -> None:
        self.endpoints = endpoints
        self._begun: OrderedDict[Any, float] = OrderedDict()
        """When each connection that is open began, the oldest first."""
        self._lock = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        # HTTPServer's own looks up the host's name, which may take as long as a resolver's limit.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        host, self.server_port = self.server_address[:2]
        self.server_name = str(host)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            while len(self._begun) >= CONNECTIONS:
                _hang_up(self._begun.popitem(last=False)[0])
            self._begun[request] = time.monotonic()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._begun.pop(request, None)

    def service_actions(self) -> None:
        """Cut what takes too long: a byte now and then would be no silence."""
        too_old = time.monotonic() - REQUEST_LIMIT_S
        with self._lock:
            while self._begun and next(iter(self._begun.values())) < too_old:
                _hang_up(self._begun.popitem(last=False)[0])

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("a request of %s failed", client_address, exc_info=True)


def _hang_up(connection: socket.socket) -> None:
    """End a connection under the hands of the thread that serves it, which then ends, too."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "erasurehead"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encoder, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(HTTPStatus.OK, content_type, encoder(self.server.endpoints.registry))
        elif path in ("/healthz", "/readyz"):
            ask = self.server.endpoints
            well, about = ask.healthy() if path == "/healthz" else ask.ready()
            status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
            body = json.dumps({"ok": well, **about}).encode() + b"\n"
            self._answer(status, "application/json", body)
        else:
            body = b"here are /metrics, /healthz and /readyz\n"
            self._answer(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", body)

    do_HEAD = do_GET  # noqa: N815 - the names that http.server looks for

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        log.debug("%s %s", self.address_string(), format % args)
