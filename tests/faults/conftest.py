"""One small store for all faults, and a fresh scene for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from erasurehead.datasets.prepare import prepare
from erasurehead_local.cluster import LocalCluster
from tests.support.fault_scene import Scene


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 300 rows and 60 columns."""
    out = tmp_path_factory.mktemp("stores") / "small"
    options = {"rows": "300", "columns": "60", "nnz": "4", "seed": "3"}
    return prepare("synthetic", source=None, out=out, options=options).path


@pytest.fixture
def fault_scene(small: Path) -> Iterator[Scene]:
    with LocalCluster() as cluster:
        yield Scene(str(small), cluster)
