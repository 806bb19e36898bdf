"""Sockets that are files: whether one may be bound there. libzmq removes whatever is in its way."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

from erasurehead.errors import BindError


def check_path_is_free(address: str) -> None:
    """Check that nobody listens on an ``ipc://`` path, and that nothing but a socket is there.

    A socket that a process left behind when it died is free to be taken over. Addresses of other
    transports pass.

    Raises
    ------
    BindError: somebody listens there, or another file has that name.
    """
    transport, _, place = address.partition("://")
    if transport != "ipc" or not place or place == "*" or place.startswith("@"):
        return  # the kernel itself keeps abstract names apart
    path = Path(place)
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise BindError(
            f"cannot listen on {address}: another kind of file is there; choose another path with"
            " --bind"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.setblocking(False)  # a full queue of callers answers as well
        try:
            caller.connect(place)
        except ConnectionRefusedError:
            return  # left behind
        except BlockingIOError:
            pass
        except OSError as error:
            raise BindError(
                f"cannot listen on {address}: {error.strerror or error}; choose another path with"
                " --bind"
            ) from None
    raise BindError(
        f"cannot listen on {address}: another process listens there; choose another path with"
        " --bind or end that process"
    )
