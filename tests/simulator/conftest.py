"""A store small enough for a hundred runs a second."""

from __future__ import annotations

from pathlib import Path

import pytest

from erasurehead.datasets.prepare import prepare


@pytest.fixture(scope="session")
def small_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stores") / "small"
    options = {"rows": "400", "columns": "40", "nnz": "5", "labels": "two-classes", "seed": "3"}
    return prepare("synthetic", source=None, out=out, options=options).path
