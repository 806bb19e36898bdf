"""What an address says about where it can be reached from."""

from __future__ import annotations

import ipaddress

ABSTRACT = "ipc://@"
"""How the address of a socket begins that is no file; Linux has such sockets."""


def stays_on_this_machine(address: str) -> bool:
    """True for ipc, inproc and TCP on a loopback address; a name counts only if ``localhost``.

    A host name may resolve to anything, here or later, so it is taken for an outside one.
    """
    transport, separator, place = address.partition("://")
    if not separator:
        return False
    if transport in ("ipc", "inproc"):
        return True
    if transport != "tcp":
        return False
    host = place.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_address(name: str, address: str, *, listens: bool) -> None:
    """Check that an address is ``tcp://host:port``, or a place of another transport.

    Raises
    ------
    ValueError: one sentence that names the setting `name`.
    """
    transport, separator, place = address.partition("://")
    host, _, port = place.rpartition(":")
    if transport == "tcp" and ":" in host and not (host[0] == "[" and host[-1] == "]"):
        raise ValueError(
            f"{name}={address}: an address of IPv6 stands in brackets, such as tcp://[::1]:5577"
        )
    if separator and transport in ("ipc", "inproc") and place:
        return
    any_port = listens and port in ("*", "0")
    if transport == "tcp" and host and (any_port or _is_port(port)):
        return
    example = "tcp://127.0.0.1:5577"
    raise ValueError(
        f"{name}={address} is no address; write tcp://host:port with a port from 1 to 65535, such"
        f" as {example}"
    )


def host_and_port(address: str) -> tuple[str, int]:
    """Return the parts of ``tcp://host:port``, the host without brackets."""
    host, _, port = address.partition("://")[2].rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 1 <= int(text) <= 65535
