"""Nurseries that many runs share: lent one at a time, replaced when they die, never inherited."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from erasurehead.settings.tree import WorkerSettings
from erasurehead_local.pool import NurseryPool

NOBODY = "tcp://127.0.0.1:1"


@pytest.fixture
def pool() -> Iterator[NurseryPool]:
    made = NurseryPool()
    yield made
    made.close()


def nurseries() -> list[psutil.Process]:
    return psutil.Process().children()


def test_a_nursery_is_lent_again_when_its_workers_are_gone(pool: NurseryPool) -> None:
    with pool.lend() as first:
        first.start([WorkerSettings(connect=NOBODY, name="w")])
    [nursery] = nurseries()
    assert nursery.children() == []
    with pool.lend(turns=0) as second:
        assert second is first
        with pool.lend() as third:  # at the same time, another one
            assert third is not first
    assert len(nurseries()) == 2
    pool.close()
    assert nurseries() == []


def test_a_nursery_that_died_meanwhile_is_replaced(pool: NurseryPool) -> None:
    with pool.lend() as first:
        pass
    [nursery] = nurseries()
    nursery.send_signal(signal.SIGKILL)
    psutil.wait_procs([nursery], 60)
    with pool.lend() as second:
        assert second is not first
        assert second.alive


def test_a_run_that_fails_ends_its_nursery(pool: NurseryPool) -> None:
    with pytest.raises(RuntimeError, match="no luck"), pool.lend():
        raise RuntimeError("no luck")
    assert nurseries() == []


def test_a_guarded_folder_goes_with_the_run(pool: NurseryPool, tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    (folder / "values.npy").touch()
    with pool.lend() as cluster, cluster.guarding(folder):
        assert folder.exists()
    assert not folder.exists()


FORKED = """
import os
from erasurehead_local.pool import POOL
with POOL.lend() as first:
    pass
child = os.fork()
if child == 0:
    os._exit(len(POOL._idle))
_, status = os.waitpid(child, 0)
with POOL.lend() as second:
    print(os.waitstatus_to_exitcode(status), second is first, second.alive)
"""


def test_a_forked_process_leaves_the_nursery_to_its_parent() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.split() == ["0", "True", "True"], done.stderr
