"""Runs under a virtual clock on a few made-up rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from erasurehead.rows import CsrRows
from erasurehead_simulator.virtual.cluster import VirtualCluster
from tests.support.virtual_run import make_virtual, some_rows


@pytest.fixture
def virtual() -> Callable[..., VirtualCluster]:
    """Make a virtual cluster: settings by name, `timing`, `rows`."""

    def make(rows: CsrRows | None = None, **settings: Any) -> VirtualCluster:
        return make_virtual(rows or some_rows(), **settings)

    return make
