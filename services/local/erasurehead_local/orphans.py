"""No process outlives the one that forked it, however that one ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int) -> None:
    """Have this process asked to end (SIGTERM) when its parent is gone; on Linux only.

    Elsewhere a worker whose nursery was killed waits for a master for ever.

    Parameters
    ----------
    parent: its process id.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it went before the kernel knew
        os.kill(os.getpid(), signal.SIGTERM)
