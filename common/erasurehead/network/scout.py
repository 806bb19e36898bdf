"""Looks on a thread of its own why nobody answers at an address, and over which family one does.

libzmq resolves names by itself, but tells nobody when it cannot, takes addresses of one family
only, and never tries another.
"""

from __future__ import annotations

import contextlib
import socket
import threading

from erasurehead.errors import reason_of
from erasurehead.network.addresses import host_and_port
from erasurehead.network.reach import Sighting

PATIENCE_S = 3.0
"""Seconds for which each address is waited for."""


def look(host: str, port: int) -> Sighting:
    """Try the addresses of a name, of both families, until one of them answers."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return Sighting(None, f"cannot resolve {host} ({reason_of(error)})")
    reasons: dict[str, None] = {}
    for family, kind, protocol, _, place in found:
        try:
            with socket.socket(family, kind, protocol) as caller:
                caller.settimeout(PATIENCE_S)
                caller.connect(place)
                return Sighting(family == socket.AF_INET6)
        except OSError as error:
            reasons[f"{place[0]}: {reason_of(error).lower()}"] = None
    families = {family == socket.AF_INET6 for family, *_ in found}
    return Sighting(None, "; ".join(reasons), families.pop() if len(families) == 1 else None)


def is_ipv6(address: str) -> bool:
    """Return whether an address is one of IPv6 by number, or a name that has no other."""
    transport, _, place = address.partition("://")
    host = place.rpartition(":")[0]
    if transport != "tcp" or host.startswith("["):
        return host.startswith("[")
    if host == "*":
        return False
    with contextlib.suppress(OSError):
        socket.inet_pton(socket.AF_INET, host)
        return False  # a number: nothing to look up, and no tables of Unicode to load for it
    try:
        found = {family for family, *_ in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return found == {socket.AF_INET6}


class Scout:
    """Looks at one address, never twice at the same time.

    Parameters
    ----------
    address: ``tcp://host:port``.
    """

    def __init__(self, address: str) -> None:
        self._host, self._port = host_and_port(address)
        self._thread: threading.Thread | None = None
        self._sighting: Sighting | None = None

    def send(self) -> None:
        """Begin a look, unless one is under way."""
        if self._thread is None or not self._thread.is_alive():
            # Nobody waits for it: resolving a name has no limit of time.
            self._thread = threading.Thread(target=self._look, name="scout", daemon=True)
            self._thread.start()

    def back(self) -> Sighting | None:
        """Return what a look has found, once."""
        sighting, self._sighting = self._sighting, None
        return sighting

    def _look(self) -> None:
        with contextlib.suppress(UnicodeError):  # a name that is none; libzmq says so
            self._sighting = look(self._host, self._port)
