"""Open files: as many as a run needs, before anything of it starts."""

from __future__ import annotations

import resource

from erasurehead.errors import UsageError

BESIDES = 40
"""What a process opens that is no connection: libraries, libzmq's own, stores, a run's files."""


def check_room_for(workers: int) -> None:
    """Check that as many workers can connect to a process, and let it open all it may.

    libzmq spins when it cannot accept what waits, and the run could not be written.

    Raises
    ------
    UsageError: the hard limit of open files is too low.
    """
    needed = workers + BESIDES
    allowed = open_as_many_as_allowed()
    if allowed < needed:
        raise UsageError(
            f"{workers} workers need about {needed} open files, and the limit is {allowed}; raise"
            f" it (ulimit -n {needed}) or take fewer workers"
        )


def connections_with_room(wanted: int) -> int:
    """Return how many connections may be held at one time, at most `wanted`."""
    return max(1, min(wanted, open_as_many_as_allowed() - BESIDES))


def open_as_many_as_allowed() -> int:
    """Raise the soft limit of open files to the hard one where it is lower; return the limit."""
    soft, told = resource.getrlimit(resource.RLIMIT_NOFILE)
    hard = told
    if soft == resource.RLIM_INFINITY:
        return _MANY
    if hard == resource.RLIM_INFINITY:
        # Systems that say so have a limit all the same, which is not told.
        hard = max(soft, _MANY)
    if soft < hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, told))
        except (ValueError, OSError):
            return soft
    return hard


_MANY = 10_240
"""What macOS lets a process open at most, unless its administrator says otherwise."""
