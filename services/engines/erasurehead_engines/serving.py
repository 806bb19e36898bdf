"""ErasureHead workers as processes of one node of a cluster, for as long as a run wants them.

They are children of a nursery, as those of a local run are. So none of them outlives the process
that the engine has started, however that one ends.
"""

from __future__ import annotations

import select
import socket
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from erasurehead.errors import UsageError
from erasurehead.process.version import installed_version
from erasurehead_engines.orders import Orders
from erasurehead_local.cluster import LocalCluster

RESTART_S = 1.0
"""Seconds after which a worker starts again that something has killed."""

LOOK_S = 0.2
"""Seconds between two looks at whether the workers are still wanted."""


class Serving:
    """The workers of a node, and a thread that looks after them until they have ended.

    Parameters
    ----------
    orders: whose workers start at once.
    """

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._codes: dict[str, int] = {}
        self._failure: BaseException | None = None
        self._unwanted = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="erasurehead", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Have the workers end; `join` and `wait` return when they have."""
        self._unwanted.set()

    def join(self, limit_s: float) -> None:
        """Wait until all workers have ended, but no longer than so many seconds."""
        self._thread.join(limit_s)

    def wait(self) -> dict[str, int]:
        """Wait until all workers have ended, and return the exit code of each name.

        Raises
        ------
        OSError: this machine could not start them.
        """
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        return self._codes

    def _serve(self) -> None:
        try:
            with (
                LocalCluster(turns=0) as cluster,
                cluster.guarding(Path(tempfile.mkdtemp(prefix="erasurehead-"))) as folder,
            ):
                self._look_after(cluster, folder)
            self._codes = dict(cluster.exit_codes)
        except BaseException as error:
            self._failure = error

    def _look_after(self, cluster: LocalCluster, folder: Path) -> None:
        """Return when every worker has ended by itself, or they are unwanted."""
        settings = {s.name or "": s for s in self._orders.settings(folder)}
        cluster.start(list(settings.values()))
        again: dict[str, float] = {}
        while cluster.alive and (again or not cluster.deserted):
            select.select([cluster], [], [], LOOK_S)
            if self._unwanted.is_set():
                return
            now = time.monotonic()
            again.update({name: now + RESTART_S for name, code in cluster.poll() if code < 0})
            for name in [name for name, at in again.items() if at <= now]:
                del again[name]
                cluster.start([settings[name]])


def serve(plain: Mapping[str, Any]) -> Serving:
    """Start the workers of plain orders.

    Raises
    ------
    UsageError: this machine has another version than the master.
    """
    ours = installed_version()
    if plain["version"] != ours:
        raise UsageError(
            f"{socket.gethostname()} has ErasureHead {ours} and the master {plain['version']};"
            " install the same version in both environments"
        )
    return Serving(Orders.model_validate(plain))
