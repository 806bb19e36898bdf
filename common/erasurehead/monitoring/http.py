"""``/metrics``, ``/healthz`` and ``/readyz`` from a thread of their own.

The thread only reads; the run's own thread is never waited for. Requests are small, few and short
by force: GET and HEAD only, a limit on connections and on the time one may take.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
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
"""Requests served at a time; further ones are turned away at once."""

REQUEST_LIMIT_S = 5.0
"""Longest silence of a client in the middle of its request."""

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
        # Polled only so that `shutdown` is noticed.
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.25,), name="http", daemon=True
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
    """Return host and port of an address; a port alone means loopback."""
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
        self._places = threading.BoundedSemaphore(CONNECTIONS)
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
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("a request of %s failed", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = REQUEST_LIMIT_S
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
