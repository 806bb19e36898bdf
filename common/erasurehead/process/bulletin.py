"""The status of this process, posted as JSON over HTTPS to a server that was named to it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PATIENCE_S = 5.0
"""Seconds for the connection, and for each piece of the answer."""

GIVE_UP_S = 600.0
"""Seconds without a success after which a server is left alone: one that is restarted or moved is
back long before."""

READ_BYTES = 2000
"""Of an answer, which may say why a status is refused."""

TOLD = 200
"""Characters of it."""


class RefusedError(Exception):
    """The server answered, and does not take what it was sent."""


@dataclass(frozen=True)
class StatusServer:
    """Where a status is posted, and in whose name.

    No redirect is followed, so nobody else is sent the token.

    Attributes
    ----------
    address: an ``https://`` URL.
    authority: file of the certificates that the server's is signed with; None: the system's.
    token: file of the token; None: there is none. It is read for each status, as it is renewed.
    """

    address: str
    authority: str | None = None
    token: str | None = None

    def post(self, status: Mapping[str, Any]) -> None:
        """Post a status.

        Raises
        ------
        RefusedError: the address is none of HTTPS, or the server does not take such a status.
        OSError: a file cannot be read; or the server cannot be reached, cannot prove who it is, or
            has trouble of its own.
        """
        # Two megabytes, which only runs need that tell somebody.
        import http.client
        import ssl

        place = urlsplit(self.address)
        if place.scheme != "https" or place.hostname is None:
            raise RefusedError(
                f"{self.address} is no https:// address, and a token is sent nowhere else"
            )
        headers = {"Content-Type": "application/json"}
        if self.token is not None:
            text = Path(self.token).read_text(encoding="utf-8")
            headers["Authorization"] = f"Bearer {text.strip()}"
        connection = http.client.HTTPSConnection(
            place.hostname,
            place.port,
            timeout=PATIENCE_S,
            context=ssl.create_default_context(cafile=self.authority),
        )
        try:
            connection.request("POST", place.path or "/", json.dumps(status), headers)
            answer = connection.getresponse()
            said = " ".join(answer.read(READ_BYTES).decode(errors="replace").split())[:TOLD]
        except http.client.HTTPException as error:
            raise OSError(f"the answer is no HTTP ({type(error).__name__})") from None
        finally:
            connection.close()
        if answer.status >= 500 or answer.status in (408, 429):
            raise OSError(f"HTTP {answer.status}: {said}")
        if answer.status >= 300:
            raise RefusedError(f"HTTP {answer.status}: {said}")


class Bulletin:
    """Posts now and then, and puts up with a server that does not answer for a while.

    Parameters
    ----------
    server: is told the status.
    every_s: seconds between two posts at least.
    clock: seconds.
    """

    def __init__(
        self,
        server: StatusServer,
        every_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._every_s = every_s
        self._clock = clock
        self._due_at = self._reached_at = clock()

    @property
    def due(self) -> bool:
        """True when it is time for the next post."""
        return self._clock() >= self._due_at

    def post(self, status: Mapping[str, Any], *, last: bool = False) -> None:
        """Post a status; if it is the last one, it must get there.

        Raises
        ------
        RefusedError: see `StatusServer.post`.
        OSError: as well, of the last status, or when there was no success for `GIVE_UP_S`.
        """
        try:
            self._server.post(status)
            self._reached_at = self._clock()
        except OSError:
            if last or self._clock() > self._reached_at + GIVE_UP_S:
                raise
        self._due_at = self._clock() + self._every_s

    @staticmethod
    def now() -> str:
        """Return the time as RFC 3339 writes it, in whole seconds of UTC."""
        return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
