"""Groups of slots that send the same symbol: the structure of repetition codes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from erasurehead.arrays import IntArray


@dataclass(frozen=True, eq=False)
class Groups:
    """Slots in groups, tasks in blocks: every slot of group b sends the plain sum of block b.

    Attributes
    ----------
    of_slot: the group of each slot, shape (k,). A group may have no slot at all (batched coupon
        collector).
    of_task: the group whose block each task is in, shape (n,). Blocks partition the tasks.
    """

    of_slot: IntArray
    of_task: IntArray

    @cached_property
    def count(self) -> int:
        """B, the number of groups, which is that of blocks."""
        return int(self.of_task.max()) + 1

    @cached_property
    def sizes(self) -> IntArray:
        """Slots per group, shape (B,)."""
        return np.bincount(self.of_slot, minlength=self.count).astype(np.int64)

    @cached_property
    def block_sizes(self) -> IntArray:
        """Tasks per block, shape (B,)."""
        return np.bincount(self.of_task, minlength=self.count).astype(np.int64)
