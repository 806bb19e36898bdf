"""Cutting a range into consecutive pieces of nearly equal size."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import IntArray


def blocks_of(n_items: int, n_blocks: int) -> IntArray:
    """Return the block of each item, shape (n_items,): consecutive, sizes floor or ceil of the
    mean, larger blocks first."""
    small, larger = divmod(n_items, n_blocks)
    sizes = np.full(n_blocks, small, dtype=np.int64)
    sizes[:larger] += 1
    return np.repeat(np.arange(n_blocks, dtype=np.int64), sizes)
