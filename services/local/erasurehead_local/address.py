"""Where the master of a local run listens."""

from __future__ import annotations

import secrets
import sys

from erasurehead.network.addresses import ABSTRACT

LOOPBACK = "tcp://127.0.0.1:*"


def own_address() -> str:
    """Return an address that processes of this user on this machine reach, and nobody else.

    Linux has names for sockets that are no files, so nothing is left behind. Messages take less of
    the processor than over TCP (`benchmarks/overhead.py`).
    """
    linux = sys.platform.startswith("linux")
    return f"{ABSTRACT}erasurehead-{secrets.token_hex(16)}" if linux else LOOPBACK
