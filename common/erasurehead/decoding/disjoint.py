"""Plain sums of arrivals that share no task: any number of stragglers, no linear solve."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode
from erasurehead.decoding.base import DecoderContext
from erasurehead.decoding.holding import HoldingDecoder
from erasurehead.errors import UsageError

STRIDE = 0.6180339887498949
"""Share of the slots by which the preferred slot moves on each round (the golden ratio: evenly)."""

SEARCHED_WORKERS = 64
"""Up to so many slots the largest disjoint set is searched for; beyond, it is built greedily."""


class DisjointDecoder(HoldingDecoder):
    """Sums a set of arrivals no two of which share a task (Su, Sukhnandan, Li, ISIT 2023).

    With |I| of them chosen, the covered tasks have alpha = scale and the others 0. Where several
    sets are as good, a slot that moves on each round decides, so that none is left out for good.

    Parameters
    ----------
    code: one symbol a slot, with coefficients 1.
    context: not used.
    scale: `coverage`, tasks over covered tasks; or `none`, 1.

    Raises
    ------
    UsageError: a slot sends several results or vectors, or a coefficient is not 1.
    """

    name = "disjoint"
    fits = "cyclic-sums, hybrid-sums or frc"

    def __init__(
        self,
        code: GradientCode,
        context: DecoderContext,
        *,
        scale: Literal["none", "coverage"] = "coverage",
    ) -> None:
        if code.symbols_per_slot > 1:
            parts = "parts" if code.n_parts > 1 else "vectors in a part"
            raise UsageError(
                f"decoder '{self.name}' takes one sum from each worker in a round, and code"
                f" '{code.name}' sends {code.symbols_per_slot} {parts}; use it with {self.fits}, or"
                " use least-squares"
            )
        if np.any(code.matrix.data != 1.0):
            raise UsageError(
                f"decoder '{self.name}' adds disjoint sums up and needs coefficients of 1, which"
                f" code '{code.name}' has not; use it with {self.fits}, or use least-squares"
            )
        self.scale = scale
        self.instead_of_exact = _instead_of_exact(code)
        self._round = 0
        super().__init__(code)
        self.expect_placement()

    def expect_placement(self) -> None:
        """Raise UsageError unless the decoder knows how the code places its tasks."""

    def begin(self) -> None:
        """Start a round with no arrivals."""
        super().begin()
        self._round += 1

    @property
    def preferred(self) -> int:
        """The slot that ties are broken in favour of, in this round."""
        return int(self._round * STRIDE % 1.0 * self.code.n_workers)

    def weights(self, arrived: list[int]) -> FloatArray:
        """Return the scale for the chosen arrivals and 0 for the others."""
        chosen = self.choose(arrived)
        scale = 1.0
        if self.scale == "coverage":
            scale = self.code.n_tasks / sum(len(self._tasks[slot]) for slot in chosen)
        return np.where(np.isin(arrived, sorted(chosen)), scale, 0.0)

    @abstractmethod
    def choose(self, arrived: list[int]) -> set[int]:
        """Return a largest set of arrivals no two of which share a task."""


def _instead_of_exact(code: GradientCode) -> str:
    n, c = code.n_tasks, int(code.loads.max())
    if n % c == 0:
        return "another placement, another decoder or another stop rule"
    below = max(d for d in range(1, c + 1) if n % d == 0)
    above = min(d for d in range(c, n + 1) if n % d == 0)
    return (
        f"a load that divides the {n} tasks (the nearest are {below} and {above}), another"
        " decoder or another stop rule"
    )


class SearchDecoder(DisjointDecoder):
    """For any placement: branch and bound over the pairs of slots that conflict.

    Exact up to 64 slots, then greedy by fewest conflicts (finding a largest set is NP-hard in
    general; placements with a few tasks a slot are easy).
    """

    def __init__(
        self,
        code: GradientCode,
        context: DecoderContext,
        *,
        scale: Literal["none", "coverage"] = "coverage",
    ) -> None:
        super().__init__(code, context, scale=scale)
        shared = (code.matrix @ code.matrix.T).tocsr()
        self._conflicts = [0] * code.n_workers
        for slot in range(code.n_workers):
            others = shared.indices[shared.indptr[slot] : shared.indptr[slot + 1]]
            self._conflicts[slot] = sum(1 << int(o) for o in others if o != slot)
        self._value = [len(tasks) for tasks in self._tasks]

    def choose(self, arrived: list[int]) -> set[int]:
        """Return arrivals that cover the most tasks without sharing any."""
        k = self.code.n_workers
        self._order = sorted(arrived, key=lambda slot: (slot - self.preferred) % k)
        candidates = sum(1 << slot for slot in arrived)
        if k > SEARCHED_WORKERS:
            return self._greedy(candidates)
        _, chosen = self._best(candidates, {})
        return {slot for slot in arrived if chosen >> slot & 1}

    def _greedy(self, candidates: int) -> set[int]:
        chosen = set()
        while candidates:
            members = [slot for slot in self._order if candidates >> slot & 1]
            slot = min(members, key=lambda s: (self._conflicts[s] & candidates).bit_count())
            chosen.add(slot)
            candidates &= ~(self._conflicts[slot] | 1 << slot)
        return chosen

    def _best(self, candidates: int, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
        """Return (tasks covered, chosen slots as bits) of the best choice among candidates."""
        if candidates in known:
            return known[candidates]
        left, value, chosen = candidates, 0, 0
        most, branch = 1, -1
        for slot in self._order:
            if not left >> slot & 1:
                continue
            rivals = self._conflicts[slot] & left
            # With at most one rival, worth no more, a slot can be taken without looking further.
            if rivals & (rivals - 1) == 0 and (
                not rivals or self._value[slot] >= self._value[rivals.bit_length() - 1]
            ):
                value, chosen = value + self._value[slot], chosen | 1 << slot
                left &= ~(rivals | 1 << slot)
            elif rivals.bit_count() > most:
                most, branch = rivals.bit_count(), slot
        if left:
            if branch < 0 or not left >> branch & 1:
                branch = next(s for s in self._order if left >> s & 1)
            with_it = self._best(left & ~(self._conflicts[branch] | 1 << branch), known)
            without = self._best(left & ~(1 << branch), known)
            took, bits = with_it[0] + self._value[branch], with_it[1] | 1 << branch
            if took < without[0]:
                took, bits = without
            value, chosen = value + took, chosen | bits
        known[candidates] = value, chosen
        return value, chosen
