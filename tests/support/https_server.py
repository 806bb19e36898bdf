"""A small HTTPS server, and an authority of our own that signs its certificate."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NEW_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"


def make_certificates(folder: Path) -> None:
    """Write `ca.crt`, and `server.pem`: key and certificate of localhost, signed by it."""
    (folder / "names").write_text(
        "subjectAltName=DNS:localhost\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    )
    for arguments in (
        f"req -x509 {NEW_KEY} -keyout ca.key -out ca.crt -days 2 -subj /CN=authority",
        f"req {NEW_KEY} -keyout server.key -out server.csr -subj /CN=server",
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile names -days 2"
        " -out server.crt",
    ):
        command = ["openssl", *arguments.split()]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)
    pem = (folder / "server.key").read_text() + (folder / "server.crt").read_text()
    (folder / "server.pem").write_text(pem)


@dataclass(frozen=True)
class Heard:
    """A request."""

    path: str
    authorization: str | None
    body: bytes


@dataclass
class Desk:
    """What a server was asked, and the codes of the answers that it gives first."""

    answers: list[int] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    port: int = 0


@contextmanager
def https_server(certificate: Path, answers: Sequence[int] = ()) -> Iterator[Desk]:
    """Serve on localhost: the given codes first, then 200."""
    desk = Desk(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            desk.heard.append(Heard(self.path, self.headers["Authorization"], body))
            code = desk.answers.pop(0) if desk.answers else 200
            said = b'{"message": "said by the server"}'
            self.send_response(code)
            self.send_header("Content-Length", str(len(said)))
            self.send_header("Location", "https://localhost:1/elsewhere")
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = False

        def handle_error(self, request: object, client_address: object) -> None:
            """A caller that does not trust us has hung up."""

    with Server(("127.0.0.1", 0), Handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        desk.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield desk
        finally:
            server.shutdown()
            thread.join()
