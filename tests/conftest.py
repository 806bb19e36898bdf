"""What tests of several packages share."""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing import resource_tracker
from pathlib import Path

import pytest
from hypothesis import settings

# No test depends on timing: a busy disk must not fail one.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    """End multiprocessing's own helper, which stays until this process ends: tests that come later
    look for processes that were left behind."""
    yield
    # typeshed does not list the method.
    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of the three real data sets, which a lone clone does not have."""
    path = Path(__file__).parents[2] / "shared" / "data"
    if not path.is_dir():
        pytest.skip("the real data sets are not beside this repository (../shared/data)")
    return path
