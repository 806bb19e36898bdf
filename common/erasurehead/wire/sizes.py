"""How large frames may be; without numpy, since settings are read before anything is loaded."""

from __future__ import annotations

MAX_HEADER_BYTES = 64 * 1024
"""Of the first frame of a message, which describes the others."""

MAX_FRAME_BYTES = 1 << 30
"""What a worker's socket takes at most. A master must never send more: when a connecting socket has
met a frame over its own limit, libzmq does not connect it again."""
