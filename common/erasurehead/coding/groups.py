"""Groups of equal symbols: the structure of repetition codes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from erasurehead.arrays import IntArray


@dataclass(frozen=True, eq=False)
class Groups:
    """Symbols in groups, tasks in blocks: every symbol of group b is the plain sum of block b.

    Where slots send one symbol each, the groups are groups of slots.

    Attributes
    ----------
    of_symbol: the group of each symbol, shape (n_symbols,). A group may have none at all (batched
        coupon collector).
    of_task: the group whose block each task is in, shape (n,). Blocks partition the tasks.
    """

    of_symbol: IntArray
    of_task: IntArray

    @cached_property
    def count(self) -> int:
        """B, the number of groups, which is that of blocks."""
        return int(self.of_task.max()) + 1

    @cached_property
    def sizes(self) -> IntArray:
        """Symbols per group, shape (B,)."""
        return np.bincount(self.of_symbol, minlength=self.count).astype(np.int64)

    @cached_property
    def block_sizes(self) -> IntArray:
        """Tasks per block, shape (B,)."""
        return np.bincount(self.of_task, minlength=self.count).astype(np.int64)
