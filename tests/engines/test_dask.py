"""Runs on a real Dask cluster of processes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import erasurehead as eh
from erasurehead.errors import EXIT_NO_WORKERS
from erasurehead.records import RoundRecord
from tests.support.cluster_runs import SETTINGS, Harm, nurseries, small_store, wait_until

distributed = pytest.importorskip("distributed", reason="distributed is not installed")


@pytest.fixture
def client() -> Iterator[Any]:
    """Yield the client of a cluster of three processes of one thread each."""
    given = {"n_workers": 3, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**given) as cluster, distributed.Client(cluster) as client:
        yield client


def plugins_of(client: Any) -> set[str]:
    found = client.run(lambda dask_worker: list(dask_worker.plugins))
    return {name for names in found.values() for name in names}


def test_a_dask_worker_is_killed_and_the_one_that_comes_instead_helps(
    client: Any, tmp_path: Path
) -> None:
    plugins = plugins_of(client)
    pids = client.run(os.getpid)
    killed = psutil.Process(pids[min(pids)])
    orphans: list[psutil.Process] = []

    def kill() -> None:
        orphans.extend(killed.children(recursive=True))
        killed.send_signal(signal.SIGKILL)

    def interrupt_when_helped(record: RoundRecord) -> bool:
        others = {slot for slot, name in enumerate(harm.workers) if name and name[:5] != "dask-"}
        if others & {arrival.slot for arrival in record.arrivals}:
            os.kill(os.getpid(), signal.SIGINT)
        return False

    harm = Harm(5, kill, interrupt_when_helped)
    store, out = small_store(tmp_path), tmp_path / "run"
    # An address that other machines reach as well: hence with keys, also for those that join.
    everywhere = "tcp://0.0.0.0:*"
    run = eh.dask.train(client, store, out=out, bind=everywhere, observers=[harm], **SETTINGS)
    assert run.interrupted
    assert run.settings.coding.workers == 3
    assert eh.Run.open(out).summary == run.summary
    assert set(run.history[0].workers) <= {"dask-0", "dask-1", "dask-2", ""}
    assert any("came in under the key late" in notice for notice in harm.notices)
    assert len(orphans) >= 2
    wait_until(lambda: not nurseries() and not any(p.is_running() for p in orphans))
    # Dask has its threads again, and nothing of ours is left there.
    assert client.submit(sum, [1, 2]).result(timeout=60) == 3
    assert plugins_of(client) == plugins
    with pytest.raises(eh.UsageError, match=r"asks for 9 workers and Dask has room for 3"):
        eh.dask.train(client, store, workers=9, membership={"max_wait_s": 0.1})


def test_an_error_and_a_client_that_is_closed_end_the_run(client: Any) -> None:
    X = np.random.default_rng(0).standard_normal((60, 3))

    def fail() -> None:
        raise ZeroDivisionError("an observer's own")

    given = {**SETTINGS, "workers": 2, "scheme": "uncoded"}
    with pytest.raises(ZeroDivisionError):
        eh.dask.train(client, X, X[:, 0], observers=[Harm(5, fail, bool)], **given)
    wait_until(lambda: not nurseries())

    harm = Harm(5, threading.Thread(target=client.close).start, lambda record: False)
    with pytest.raises(eh.RunError, match="all workers of this run have ended") as error:
        eh.dask.train(client, X, X[:, 0], observers=[harm], **given)
    assert error.value.exit_code == EXIT_NO_WORKERS
    assert "worker dask-0 is given up: the client was closed" in "".join(harm.notices)
    assert error.value.run is not None
    assert len(error.value.run.history) >= 5
    wait_until(lambda: not nurseries())


def test_what_is_no_client_is_told_of() -> None:
    with pytest.raises(eh.UsageError, match="client is of type str; give a distributed"):
        eh.dask.train("tcp://127.0.0.1:8786", "stores/x")
