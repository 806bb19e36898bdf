"""Small problems from Python, and no nursery left behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from erasurehead_local.pool import POOL


class Table(NamedTuple):
    """A matrix and its labels."""

    X: npt.NDArray[np.float64]
    y: npt.NDArray[np.str_]


@pytest.fixture
def table() -> Table:
    """Return 240 rows of two classes that overlap."""
    rng = np.random.default_rng(7)
    X = rng.standard_normal((240, 6))
    noise = 2 * rng.standard_normal(240)
    return Table(X, np.where(X @ np.arange(6.0) + noise > 0, "late", "early"))


@pytest.fixture(scope="module", autouse=True)
def _no_nursery_is_left() -> Iterator[None]:
    """End what waits for the next run: tests that come later look for processes left behind."""
    yield
    POOL.close()
