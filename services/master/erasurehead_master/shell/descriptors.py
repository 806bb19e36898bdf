"""File descriptors for as many connections as there may be."""

from __future__ import annotations

import logging
import resource

log = logging.getLogger(__name__)

DESCRIPTORS_BESIDES = 256
"""Descriptors for everything that is no connection of a peer."""


def make_room_for(connections: int) -> None:
    """Raise the soft limit of descriptors where the hard one allows it.

    libzmq spins when it cannot accept what waits, and the master could write no checkpoint.
    """
    needed = connections + DESCRIPTORS_BESIDES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        log.warning(
            "this process may have %d descriptors, too few for %d connections; raise the limit"
            " (ulimit -n) or lower limits.max_connections",
            hard,
            connections,
        )
        needed = hard
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
