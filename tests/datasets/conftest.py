"""Small stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from erasurehead.datasets.store import Store, write_store
from tests.support.small_rows import MADE_UP, rows_of


@pytest.fixture
def small_store(tmp_path: Path) -> Store:
    """A store of nine training and three test rows."""
    train, test = rows_of(9), rows_of(3, seed=1)
    return write_store(tmp_path / "small", "small", "two classes", train, test, MADE_UP)
