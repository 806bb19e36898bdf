"""What a worker says it has computed is looked at before it is used."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead_master.machine.vetting import is_support

LEAST, MOST = np.iinfo(np.int32).min, np.iinfo(np.int32).max


@pytest.mark.parametrize("columns", [[3], [0, 1, 9], list(range(10))])
def test_sorted_columns_are_a_support(columns: list[int]) -> None:
    assert is_support(np.array(columns, dtype=np.int32), 10)


@pytest.mark.parametrize(
    "columns",
    [
        [],
        [-1, 3],
        [3, 10],
        [3, 3],
        [4, 3],
        [1, 7, 2, 9],
        # Their difference as 32-bit integers is +1.
        [MOST, LEAST],
        [1, MOST, LEAST, 2],
    ],
)
def test_anything_else_is_none(columns: list[int]) -> None:
    assert not is_support(np.array(columns, dtype=np.int32), 10)
