"""Nurseries that outlive a run, for many short runs of one process.

Starting a nursery takes as long as importing what a worker needs; a worker that it forks is there
in some milliseconds. So a grid search starts a nursery once, and each fit forks its workers.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from collections.abc import Iterator

from erasurehead_local.cluster import LocalCluster

PATIENCE_S = 5.0
"""Seconds that the workers of a run have to leave after its end."""


class NurseryPool:
    """Lends nurseries without workers, one to each run that goes on at the same time."""

    def __init__(self) -> None:
        self._idle: list[LocalCluster] = []
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def lend(self, turns: int | None = None) -> Iterator[LocalCluster]:
        """Lend a nursery, an idle one if there is any; it is idle again when its workers are gone.

        Parameters
        ----------
        turns: as for `LocalCluster`.
        """
        cluster = self._take(turns)
        try:
            yield cluster
            # They have been told that the run is over, and would wait for their last words to be
            # sent to a master that is gone.
            cluster.end_workers()
            keep = cluster.wait(PATIENCE_S) and cluster.alive
        except BaseException:
            cluster.__exit__(None, None, None)
            raise
        if keep:
            with self._lock:
                self._idle.append(cluster)
        else:
            cluster.__exit__(None, None, None)

    def close(self) -> None:
        """End all idle nurseries; the next run starts one."""
        with self._lock:
            idle, self._idle = self._idle, []
        for cluster in idle:
            cluster.__exit__(None, None, None)

    def forget(self) -> None:
        """Let go of all nurseries, in a process that was forked from their parent."""
        self._lock = threading.Lock()
        idle, self._idle = self._idle, []
        for cluster in idle:
            cluster.disown()

    def _take(self, turns: int | None) -> LocalCluster:
        while True:
            with self._lock:
                cluster = self._idle.pop() if self._idle else None
            if cluster is None:
                return LocalCluster(turns=turns).__enter__()
            if cluster.alive:
                cluster.take_turns(turns)
                return cluster
            cluster.__exit__(None, None, None)


POOL = NurseryPool()
"""Of this process."""

atexit.register(POOL.close)
os.register_at_fork(after_in_child=POOL.forget)
