"""A run whose master is in this process, and whose workers an engine starts elsewhere."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from types import TracebackType

from erasurehead.errors import reason_of
from erasurehead.process.version import installed_version
from erasurehead.records import Observer, RunSummary
from erasurehead.settings.plugins import loaded_plugins
from erasurehead_engines.addresses import Place
from erasurehead_engines.engine import Engine
from erasurehead_engines.keys import RunKeys, fresh_keys
from erasurehead_engines.orders import Orders, Wanted
from erasurehead_engines.visiting import Doorbell, check_findings
from erasurehead_master.keep.checkpoint import Snapshot
from erasurehead_master.machine.events import Departed, Event
from erasurehead_master.run.planning import PlannedRun
from erasurehead_master.shell.loop import Watched
from erasurehead_master.shell.main import host

log = logging.getLogger(__name__)

NEWS_S = 0.25
"""Seconds between two looks at what has become of the workers."""

LATE = "late"
"""What the key is called that workers share which come later."""


@dataclass(frozen=True, eq=False)
class Site:
    """An engine that was looked at, and where the master of a run on it listens.

    Attributes
    ----------
    keyed: whether connections have keys.
    """

    engine: Engine
    place: Place
    keyed: bool

    @classmethod
    def of(cls, engine: Engine, bind: str | None, *, insecure: bool) -> Site:
        """Look at every node of an engine, before anything starts.

        Parameters
        ----------
        bind: the address that the user names; None: the one that the nodes are likely to reach.
        insecure: do without keys also where other machines reach the address.

        Raises
        ------
        UsageError: a node cannot work for this process.
        BindError: the address cannot be had.
        """
        place = Place.of(bind, [node.host for node in engine.nodes()])
        with Doorbell(place) as visitor:
            check_findings(engine.visit(visitor), engine.name, place.host)
        return cls(engine, place, keyed=not (insecure or place.stays_here))

    def run(
        self, planned: PlannedRun, observers: Sequence[Observer], resume: Snapshot | None = None, /
    ) -> RunSummary:
        """Run to the end, and leave nothing at the engine.

        Parameters
        ----------
        resume: the checkpoint to go on from.
        """
        begun = time.monotonic()
        planned = _shared(planned)
        names = [
            f"{self.engine.name.lower()}-{slot}"
            for slot in range(planned.plan.settings.coding.workers)
        ]
        with ExitStack() as stack:
            keys = stack.enter_context(fresh_keys([*names, LATE])) if self.keyed else RunKeys()
            stack.callback(self.engine.end)
            watch = stack.enter_context(Watch(self.engine.news))

            def attach(bound: str) -> Watched:
                self.engine.start(
                    Orders(
                        run=planned.plan.run,
                        version=installed_version(),
                        address=self.place.connect(bound),
                        plugin=loaded_plugins(),
                        public=keys.public,
                        workers=tuple(
                            Wanted(name=name, slot=slot, secret=keys.secrets.get(name))
                            for slot, name in enumerate(names)
                        ),
                        late=Wanted(name=None, slot=None, secret=keys.secrets.get(LATE)),
                    )
                )
                watch.start()
                return watch.fileno(), watch.take

            return host(planned, self.place.bind, observers, begun, attach, resume, keys.master)


class Watch:
    """Looks for news on a thread of its own, and wakes the master's loop if there are any.

    Parameters
    ----------
    look: returns news.
    """

    def __init__(self, look: Callable[[], list[Event]]) -> None:
        self._look = look
        self._events: deque[Event] = deque()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine news", daemon=True)

    def __enter__(self) -> Watch:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        if self._thread.ident is not None:
            self.join()
        self._reader.close()
        self._writer.close()

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def join(self) -> None:
        """Wait for the end of looking, which comes with the news that no worker can come back."""
        self._thread.join()

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when `take` has news."""
        return self._reader.fileno()

    def take(self) -> list[Event]:
        """Return what happened since the last call."""
        with suppress(BlockingIOError):
            self._reader.recv(4096)
        events = []
        while self._events:
            events.append(self._events.popleft())
        return events

    def _run(self) -> None:
        told = ""
        while not self._over.wait(NEWS_S):
            try:
                events = self._look()
            except Exception as error:  # whatever an engine raises that is not at its best
                if told != (told := reason_of(error)):
                    log.warning("cannot see what has become of the workers: %s", told)
                continue
            self._events.extend(events)
            if events:
                self._writer.send(b"x")
            if any(isinstance(event, Departed) and event.last for event in events):
                return


def _shared(planned: PlannedRun) -> PlannedRun:
    """Let workers elsewhere fetch a store that has a URL; a path they look up as it is.

    Where there is no such path, or another store, they ask the master for their rows.
    """
    plan = planned.plan
    location = plan.settings.problem.store
    if plan.data_reference is None or "://" not in location:
        return planned
    return replace(planned, plan=replace(plan, data_reference=location))
