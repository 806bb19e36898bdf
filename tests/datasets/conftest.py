"""Small stores, and the three real data sets prepared once a session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from erasurehead.datasets.prepare import PreparedStore, prepare
from erasurehead.datasets.store import Store, write_store
from tests.support.published_files import PUBLISHED
from tests.support.small_rows import MADE_UP, rows_of


@pytest.fixture
def small_store(tmp_path: Path) -> Store:
    """A store of nine training and three test rows."""
    train, test = rows_of(9), rows_of(3, seed=1)
    return write_store(tmp_path / "small", "small", "two classes", train, test, MADE_UP)


@pytest.fixture(scope="session")
def prepared(
    shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], PreparedStore]:
    """Prepare one of the published data sets, once a session."""
    out = tmp_path_factory.mktemp("stores")
    made: dict[str, PreparedStore] = {}

    def get(name: str) -> PreparedStore:
        if name not in made:
            made[name] = prepare(name, source=shared_data / PUBLISHED[name], out=out / name)
        return made[name]

    return get
