"""The nursery and its workers: who lives, and how they ended."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import psutil
import pytest

from erasurehead.errors import EXIT_OK
from erasurehead.settings.tree import WorkerSettings
from erasurehead_local.cluster import LocalCluster
from erasurehead_local.hatching import Hatching
from erasurehead_local.nursery import NICENESS

NOBODY = "tcp://127.0.0.1:1"


def until(cluster: LocalCluster, condition: Callable[[], bool]) -> bool:
    """Read the nursery's news until a condition holds, for a while."""
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
        cluster.poll()
    return condition()


def test_a_successor_is_not_forgotten_when_its_predecessor_is_reaped() -> None:
    """Kill and start again under the same name at once: the name stands for the new process."""
    with LocalCluster() as cluster:
        cluster.start([WorkerSettings(connect=NOBODY, name="w")])
        assert until(cluster, lambda: "w" in cluster.pids)
        seen = {cluster.pids["w"]}
        for _ in range(5):
            cluster.signal("w", signal.SIGKILL)
            cluster.start([WorkerSettings(connect=NOBODY, name="w")])
            assert until(cluster, lambda: cluster.pids.get("w", 0) not in {0, *seen})
            seen.add(cluster.pids["w"])
        assert until(cluster, lambda: cluster.exit_codes.get("w") == -signal.SIGKILL)
        assert cluster.pids["w"] in seen


def test_exit_codes_are_told() -> None:
    with LocalCluster() as cluster:
        cluster.start([WorkerSettings(connect=NOBODY, name="w", retry_limit_s=0.2)])
        assert until(cluster, lambda: "w" in cluster.exit_codes)
        assert cluster.exit_codes == {"w": 7}
        assert not cluster.pids


def test_workers_end_with_their_nursery() -> None:
    """However it ends: here it is killed, and can tell nobody."""
    with LocalCluster() as cluster:
        cluster.start([WorkerSettings(connect=NOBODY, name=name) for name in ("a", "b")])
        assert until(cluster, lambda: len(cluster.pids) == 2)
        workers = [psutil.Process(pid) for pid in cluster.pids.values()]
        (nursery,) = psutil.Process().children()
        nursery.kill()
        assert until(cluster, lambda: cluster.deserted)
        assert cluster.exit_codes == {"a": -signal.SIGKILL, "b": -signal.SIGKILL}
        gone, _ = psutil.wait_procs(workers, 60)
        assert len(gone) == 2
        cluster.start([WorkerSettings(connect=NOBODY, name="c")])
        assert until(cluster, lambda: cluster.exit_codes.get("c") == -signal.SIGKILL)


def test_workers_leave_the_cores_to_the_master() -> None:
    expected = min(os.nice(0) + NICENESS, 19)
    with LocalCluster() as cluster:
        cluster.start([WorkerSettings(connect=NOBODY, name="w")])
        assert until(cluster, lambda: "w" in cluster.pids)
        worker = psutil.Process(cluster.pids["w"])
        assert until(cluster, lambda: worker.nice() == expected)


def test_a_nursery_started_ahead_is_used_once_and_ended_when_it_was_not() -> None:
    me = psutil.Process()
    with Hatching() as hatching:
        (nursery,) = me.children()
        with LocalCluster(hatching=hatching) as cluster:
            cluster.start([WorkerSettings(connect=NOBODY, name="w")])
            assert until(cluster, lambda: "w" in cluster.pids)
            assert psutil.Process(cluster.pids["w"]).ppid() == nursery.pid
        with pytest.raises(RuntimeError, match="has its user already"):
            hatching.take()
    with Hatching():
        (unused,) = me.children()
    assert not unused.is_running()


def test_who_is_asked_to_end_at_once_ends_as_asked() -> None:
    """A worker may be asked before it is able to answer; it is not killed by that."""
    names = [f"w{n}" for n in range(10)]
    with LocalCluster() as cluster:
        cluster.start([WorkerSettings(connect=NOBODY, name=name) for name in names])
        cluster.end_workers()
        assert until(cluster, lambda: cluster.deserted)
        assert cluster.exit_codes == dict.fromkeys(names, EXIT_OK)
