"""The random order in which a store has the rows of its source, test rows first."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from erasurehead.datasets.encoding import ROWS_PER_TEST_ROW, SPLIT_SEED, split

MOST_LISTED = 1 << 24
"""Up to so many rows the order is the published one (`split`), which is held in memory."""

ROUNDS = 6
_MIXER = np.uint64(0x9E3779B97F4A7C15)

Places = npt.NDArray[np.int64]


class RowOrder:
    """Where each row of a source goes: a permutation of 0..n_rows-1; the first are test rows.

    Up to `MOST_LISTED` rows it is that of `split`. Beyond, a Feistel network computes each place
    from the row's number, so that no list of all rows is needed; numbers that it takes beyond the
    last row go through it once more (Black and Rogaway, "Ciphers with arbitrary finite domains",
    2002, section 3: cycle walking).

    Parameters
    ----------
    n_rows: at least 2.

    Attributes
    ----------
    n_test: how many places, from 0, are those of test rows.

    Raises
    ------
    DataError: fewer rows.
    """

    def __init__(self, n_rows: int) -> None:
        self.n_rows = n_rows
        self.n_test = -(-n_rows // ROWS_PER_TEST_ROW)
        self._is_listed = n_rows <= MOST_LISTED
        if self._is_listed and n_rows < 2:
            split(n_rows)  # which says why not
        self._half_bits = np.uint64((n_rows.bit_length() + 1) // 2)
        self._keys = np.random.RandomState(SPLIT_SEED).randint(0, 2**63, ROUNDS).astype(np.uint64)

    def places(self, lo: int, hi: int) -> Places:
        """Return where the rows lo to hi - 1 go, shape (hi - lo,)."""
        if self._is_listed:
            return self._listed[lo:hi]
        found = self._mixed(np.arange(lo, hi, dtype=np.uint64))
        while (beyond := found >= self.n_rows).any():
            found[beyond] = self._mixed(found[beyond])
        return found.astype(np.int64)

    def rows(self) -> tuple[Places, Places]:
        """Return the numbers of the test rows and of the training rows, in their order."""
        if self._is_listed:
            train, test = split(self.n_rows)
            return test, train
        rows = np.empty(self.n_rows, dtype=np.int64)
        rows[self.places(0, self.n_rows)] = np.arange(self.n_rows)
        return rows[: self.n_test], rows[self.n_test :]

    @cached_property
    def _listed(self) -> Places:
        places = np.empty(self.n_rows, dtype=np.int64)
        places[np.concatenate(self.rows())] = np.arange(self.n_rows)
        return places

    def _mixed(self, numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        """Permute the numbers of twice `_half_bits` bits."""
        bits = self._half_bits
        low_bits = (np.uint64(1) << bits) - np.uint64(1)
        high, low = numbers >> bits, numbers & low_bits
        for key in self._keys:
            mixed = (low ^ key) * _MIXER
            mixed ^= mixed >> np.uint64(29)
            mixed *= _MIXER
            high, low = low, high ^ ((mixed >> np.uint64(32)) & low_bits)
        return (high << bits) | low
