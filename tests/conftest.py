"""What tests of several packages share."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from pathlib import Path

import pytest
from hypothesis import settings

from erasurehead.datasets.prepare import PreparedStore, prepare
from tests.support.published_files import PUBLISHED

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


@pytest.fixture(scope="session")
def prepared(
    shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], PreparedStore]:
    """Prepare one of the published data sets, once for all processes of a session."""
    place = tmp_path_factory.getbasetemp()
    place = (place.parent if "PYTEST_XDIST_WORKER" in os.environ else place) / "published"
    place.mkdir(exist_ok=True)
    made: dict[str, PreparedStore] = {}

    def get(name: str) -> PreparedStore:
        if name not in made:
            with (place / f"{name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                made[name] = prepare(name, source=shared_data / PUBLISHED[name], out=place / name)
        return made[name]

    return get
