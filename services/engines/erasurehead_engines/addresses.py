"""Under which address the nodes of a cluster are likely to reach this machine."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass

from erasurehead.errors import UsageError, reason_of
from erasurehead.network.addresses import check_address, host_and_port, stays_on_this_machine

EVERYWHERE = ("0.0.0.0", "::", "*")
"""Hosts that stand for all addresses of a machine."""

ANY_PORT = "*"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the master listens.

    Attributes
    ----------
    bind: its address.
    host: under which workers look for it.
    """

    bind: str
    host: str

    @classmethod
    def of(cls, bind: str | None, hosts: Iterable[str]) -> Place:
        """Return the place that a user names, or the one for workers on these hosts.

        Raises
        ------
        UsageError: the user's address is none, or there is no way to a host.
        """
        if bind is not None:
            try:
                check_address("bind", bind, listens=True)
            except ValueError as error:
                raise UsageError(str(error)) from None
            if not bind.startswith("tcp://"):
                raise UsageError(f"bind={bind} is no address of TCP; write tcp://host:port")
            host = bind.removeprefix("tcp://").rpartition(":")[0]
            if host.strip("[]") not in EVERYWHERE:
                return cls(bind, host)
        host = host_towards(hosts)
        host = f"[{host}]" if ":" in host else host
        return cls(bind or f"tcp://{host}:{ANY_PORT}", host)

    @property
    def stays_here(self) -> bool:
        """True where no other machine reaches the master."""
        return stays_on_this_machine(self.bind)

    def listener(self) -> socket.socket:
        """Return a socket that listens there, before the master does.

        Raises
        ------
        OSError: the address cannot be had.
        """
        host, _, port = self.bind.removeprefix("tcp://").rpartition(":")
        host = host.strip("[]")
        wanted = "" if host in EVERYWHERE else host, 0 if port == ANY_PORT else int(port)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server(wanted, family=family)

    def connect(self, bound: str) -> str:
        """Return what workers connect to, once the master has bound its address."""
        return f"tcp://{self.host}:{host_and_port(bound)[1]}"


def host_towards(hosts: Iterable[str]) -> str:
    """Return the address of this machine on the way to the first host that is another machine.

    If all of them are this machine, it is the loopback address.

    Raises
    ------
    UsageError: there is no way to a host.
    """
    for host in hosts:
        ours, theirs = _way(host)
        if ours != theirs:
            return ours
    return "127.0.0.1"


def _way(host: str) -> tuple[str, str]:
    """Return the two ends of the way to a host; they are one address if it is this machine."""
    try:
        family, kind, *_, address = socket.getaddrinfo(host, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)  # a datagram socket sends nothing for that
            return str(probe.getsockname()[0]), str(address[0])
    except OSError as error:
        raise UsageError(
            f"this machine knows no way to {host}, where a worker of the cluster is:"
            f" {reason_of(error)}; name an address of this machine that it reaches by bind"
        ) from None
