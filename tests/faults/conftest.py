"""One small store for all faults, and a fresh scene for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from erasurehead.datasets.prepare import prepare
from erasurehead_local.pool import NurseryPool
from tests.support.fault_scene import Scene


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 300 rows and 60 columns."""
    out = tmp_path_factory.mktemp("stores") / "small"
    options = {"rows": "300", "columns": "60", "nnz": "4", "seed": "3"}
    return prepare("synthetic", source=None, out=out, options=options).path


@pytest.fixture(scope="module")
def nurseries() -> Iterator[NurseryPool]:
    """Nurseries that serve one test after the other; their workers are of one test each."""
    pool = NurseryPool()
    yield pool
    pool.close()


@pytest.fixture
def fault_scene(small: Path, nurseries: NurseryPool) -> Iterator[Scene]:
    with nurseries.lend() as cluster:
        cluster.exit_codes.clear()
        yield Scene(str(small), cluster)
