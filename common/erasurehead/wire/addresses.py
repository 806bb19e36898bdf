"""What an address says about who can reach it."""

from __future__ import annotations

import ipaddress


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
