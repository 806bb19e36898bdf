"""Fixtures of the command's tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from erasurehead.runs import Run
from tests.support.played_runs import IMPROVING, MakeRun, write_run


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Return a function that writes a run into a directory of its own and opens it."""

    def make(
        scheme: str = "uncoded",
        round_s: float = 1.0,
        values: Iterable[float] = IMPROVING,
        metric: str | None = "auc",
        **settings: str,
    ) -> Run:
        directory = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
        return write_run(directory, scheme, round_s, values, metric, **settings)

    return make
