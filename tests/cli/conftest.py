"""Fixtures of the command's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from erasurehead.runs import Run
from tests.support.played_runs import MakeRun, write_run


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Return a function that writes a run into a directory of its own and opens it."""

    def make(*arguments: object, **named: object) -> Run:
        directory = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
        return write_run(directory, *arguments, **named)  # type: ignore[arg-type]

    return make
