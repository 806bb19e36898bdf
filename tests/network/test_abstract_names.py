"""Sockets that are no files: they are for processes of the same user."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import zmq

from erasurehead.network import sockets

NOBODY = 65534

CALLER = """
import os, socket, sys
os.setuid(int(sys.argv[1]))
with socket.socket(socket.AF_UNIX) as caller:
    caller.settimeout(60)
    caller.connect(b"\\0" + sys.argv[2].encode())
    print(len(caller.recv(64)) > 0)
"""
"""Says whether it was greeted, or hung up on."""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has such sockets")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_other_users_are_not_let_in() -> None:
    name = f"erasurehead-test-{os.getpid()}"
    with zmq.Context() as context:
        address = f"ipc://@{name}"
        with sockets.bind_router(context, address, high_water_mark=8, max_frame_bytes=1 << 20):
            greeted = [
                subprocess.run(
                    [sys.executable, "-c", CALLER, str(user), name],
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
                for user in (os.geteuid(), NOBODY)
            ]
    assert greeted == ["True\n", "False\n"]
