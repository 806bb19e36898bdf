"""Machines without IPv6 skip what needs it, by name."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

ONLY = "fd00::7"
"""An address of IPv6 that stands for nothing of IPv4, as that of loopback does."""


def has_ipv6() -> bool:
    """Return whether this machine has the loopback address of IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as listener:
            listener.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="there is no ::1 here")


def where_a_name_has_ipv6_only(name: str, folder: Path) -> list[str]:
    """Return what to put before a command for which a name has one address, of IPv6.

    The command sees a file of hosts and a loopback device of its own; where this machine cannot do
    that, the test is skipped.
    """
    hosts = folder / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{ONLY} {name}\n")
    script = (
        f"ip link set lo up && ip -6 address add {ONLY}/128 dev lo nodad"
        f' && mount --bind "{hosts}" /etc/hosts && exec "$@"'
    )
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    command = ["unshare", *as_root, "--mount", "--net", "sh", "-c", script, "sh"]
    missing = [tool for tool in ("unshare", "ip", "getent") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{missing[0]}, which makes a name with an address of IPv6 only, is not there")
    look = [*command, "getent", "ahosts", name]
    found = subprocess.run(look, capture_output=True, text=True, timeout=60, check=False)
    if found.returncode != 0:
        pytest.skip(f"no name can be given an address of IPv6 only here: {found.stderr.strip()}")
    assert {line.split()[0] for line in found.stdout.splitlines()} == {ONLY}
    return command
