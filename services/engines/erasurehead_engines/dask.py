"""Workers on a Dask cluster: long tasks, and a plugin for Dask workers that join later.

Each Dask worker that is there gets one task, pinned to it, which secedes from the pool of threads
and then only waits for the processes that it has started; so Dask knows that the worker is in use,
and goes on giving it other tasks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import distributed

from erasurehead.errors import UsageError, reason_of
from erasurehead_engines.engine import Engine, Node, deal
from erasurehead_engines.orders import Orders
from erasurehead_engines.serving import Serving, serve
from erasurehead_engines.versions import warn_if_untried
from erasurehead_engines.visiting import Findings, Visitor
from erasurehead_master.machine.events import Departed, Event

log = logging.getLogger(__name__)

ENDING_S = 15.0
"""Seconds that a Dask worker waits for its ErasureHead workers to end."""

RESULT_S = 5.0
"""Seconds that a Dask worker has to hand over what a task that is over has returned."""

_serving: dict[tuple[str, str], Serving] = {}
"""What this process serves, by the run and the Dask worker's address."""


class Dask(Engine):
    """The cluster of a client.

    Parameters
    ----------
    client: of `distributed`, connected.

    Raises
    ------
    UsageError: it is no client, or one that must be awaited.
    """

    name = "Dask"
    tried = ("2026.8", "2026.8")
    grow = "start more Dask workers (cluster.scale) or wait for them"

    def __init__(self, client: distributed.Client) -> None:
        if not isinstance(client, distributed.Client):
            raise UsageError(
                f"client is of type {type(client).__name__}; give a distributed.Client, for"
                " example Client(cluster)"
            )
        if client.asynchronous:
            raise UsageError(
                "client is asynchronous, and a run waits for its end; give a Client without"
                " asynchronous=True, and call train in a thread if an event loop must go on"
            )
        warn_if_untried(self.name, distributed.__version__, *self.tried)
        self._client = client
        self._plugin: str | None = None
        self._tasks: dict[distributed.Future, tuple[str, ...]] = {}

    def nodes(self) -> Sequence[Node]:
        """Return the Dask workers."""
        return [
            Node(address, distributed.comm.get_address_host(address), threads)
            for address, threads in self._client.nthreads().items()
        ]

    def visit(self, visitor: Visitor) -> Mapping[str, Findings]:
        """Call a visitor in every Dask worker; one that is just leaving is not missed."""
        found: Mapping[str, Findings] = self._client.run(visitor, on_error="ignore")
        return found

    def start(self, orders: Orders) -> None:
        """Submit a task to each Dask worker, and register the plugin."""
        nodes = self.nodes()
        dealt = deal(orders.workers, nodes)
        most = max(map(len, dealt.values()), default=1)
        self._plugin = f"erasurehead-{orders.run}"
        late = orders.only([orders.late] * most).plain()
        self._client.register_plugin(
            make_plugin(late, frozenset(node.name for node in nodes)), name=self._plugin
        )
        for number, (address, workers) in enumerate(dealt.items()):
            task = self._client.submit(
                serve_in_task,
                orders.only(workers).plain(),
                key=f"{self._plugin}-{number}",
                workers=[address],
                allow_other_workers=False,
            )
            self._tasks[task] = tuple(worker.name or "" for worker in workers)

    def news(self) -> list[Event]:
        """Return which workers have failed, or that Dask has dropped the run."""
        cancelled = any(task.status == "cancelled" for task in self._tasks)
        if cancelled or self._client.status in ("closing", "closed"):
            why = "is given up: the client was closed, or Dask has cancelled its task"
            return [Departed("dask-0", why, last=True)]
        found: list[Event] = []
        for task, names in list(self._tasks.items()):
            if task.done():
                del self._tasks[task]
                found += _failures(task, names)
        return found

    def end(self) -> None:
        """Take the plugin and the tasks back; each Dask worker then ends what it has started."""
        if self._plugin is None or self._client.status != "running":
            return
        with suppress(Exception):
            self._client.unregister_worker_plugin(self._plugin)
        with suppress(Exception):
            self._client.cancel(list(self._tasks), force=True)


def _failures(task: distributed.Future, names: Sequence[str]) -> list[Event]:
    """Return what a task that is over tells of workers that have not ended well."""
    if task.status == "error":
        why = f"could not work: {reason_of(task.exception())}"
        return [Departed(name, why) for name in names]
    codes: dict[str, int] = {}
    with suppress(TimeoutError):  # the Dask worker that has the result may be gone
        codes = task.result(timeout=RESULT_S)
    return [Departed(name, f"ended with code {codes[name]}") for name in names if codes.get(name)]


def make_plugin(late: Mapping[str, Any], present: frozenset[str]) -> distributed.WorkerPlugin:
    """Return a plugin that starts workers in every Dask worker that joins.

    Its class is one inside a function, and hence pickled by value: a Dask worker that has no
    ErasureHead, or another version of it, joins the cluster as it would without us.

    Parameters
    ----------
    late: plain orders for as many workers as one node may have.
    present: addresses of the Dask workers that were there when the run began: they have tasks.
    """

    class Newcomers(distributed.WorkerPlugin):  # type: ignore[misc]
        def setup(self, worker: distributed.Worker) -> None:
            if worker.address in present:
                return
            try:
                from erasurehead_engines.dask import welcome
            except ImportError:
                import logging

                logging.getLogger("distributed.worker").warning(
                    "this Dask worker has no ErasureHead of version %s, and does not help the run",
                    late["version"],
                )
            else:
                welcome(late, worker)

        async def teardown(self, worker: distributed.Worker) -> None:
            try:
                from erasurehead_engines.dask import dismiss
            except ImportError:
                return
            await dismiss(late["run"], worker)

    return Newcomers()


def serve_in_task(plain: Mapping[str, Any]) -> dict[str, int]:
    """Run workers for as long as this task of Dask goes on; return their exit codes by name."""
    distributed.secede()
    return _begin(plain, distributed.get_worker()).wait()


def welcome(late: Mapping[str, Any], worker: distributed.Worker) -> None:
    """Start workers in a Dask worker that has joined, as many as it has threads at most."""
    some = {**late, "workers": late["workers"][: worker.state.nthreads]}
    try:
        _begin(some, worker)
    except UsageError as error:
        log.warning("this Dask worker does not help the run: %s", error)


async def dismiss(run: str, worker: distributed.Worker) -> None:
    """End what a Dask worker has started for a run, and wait for that."""
    serving = _serving.pop((run, worker.address), None)
    if serving is not None:
        serving.end()
        await asyncio.to_thread(serving.join, ENDING_S)


def _begin(plain: Mapping[str, Any], worker: distributed.Worker) -> Serving:
    serving = _serving[plain["run"], worker.address] = serve(plain)
    return serving
