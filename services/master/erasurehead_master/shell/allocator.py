"""What the C library does with memory that is free again."""

from __future__ import annotations

import ctypes
import logging

log = logging.getLogger(__name__)

KEPT_BYTES = 256 << 20
"""Free memory at the end of the heap that is kept rather than given back."""

FROM_HEAP_BYTES = 32 << 20
"""Smaller pieces come from the heap; the most that glibc accepts."""

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


def keep_freed_memory() -> None:
    """Tell glibc to use freed memory again instead of giving it back; elsewhere do nothing.

    A round's messages are freed all together and wanted again in the next round. By default glibc
    gives them back in between, and every page must then be faulted in again: with models of two
    megabytes more than a thousand times a round, a sixth of the master's processor time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    for option, value in ((_M_TRIM_THRESHOLD, KEPT_BYTES), (_M_MMAP_THRESHOLD, FROM_HEAP_BYTES)):
        if not mallopt(option, value):
            log.debug("mallopt(%d, %d) is not accepted", option, value)
