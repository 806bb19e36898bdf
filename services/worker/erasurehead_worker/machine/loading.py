"""The rows of a slot: read from the store, or asked of the master chunk by chunk. No I/O."""

from __future__ import annotations

from erasurehead.wire.messages import Assign, NeedTask, Task
from erasurehead_worker.machine.actions import Feed
from erasurehead_worker.machine.events import Loaded


class Loading:
    """Which rows are at hand, and which chunks are still wanted of the master."""

    def __init__(self) -> None:
        self.rows: Loaded | None = None
        """Those of the slot, once they are in memory."""
        self.streams = False
        """The master sends the rows."""
        self._wanted: list[tuple[int, int]] = []
        """Tasks, and the next chunk of each."""

    @property
    def asks(self) -> bool:
        """True while a chunk is waited for."""
        return bool(self._wanted)

    def begin(self) -> None:
        """Other rows are to be loaded."""
        self.rows = None
        self.streams = False
        self._wanted = []

    def stream(self, assign: Assign) -> None:
        """Have the master send all rows of an assignment."""
        self.streams = True
        self._wanted = [(int(task), 0) for task in assign.tasks]

    def wish(self, assign: Assign) -> NeedTask:
        """Return what asks for the next chunk."""
        task, chunk = self._wanted[0]
        return NeedTask(assign.epoch, task, chunk)

    def take(self, task: Task, assign: Assign) -> Feed | None:
        """Return what to do with a chunk; None: it is not the one that is waited for."""
        if not self._wanted or task.epoch != assign.epoch:
            return None
        if (task.task, task.chunk) != self._wanted[0]:
            return None
        self._wanted.pop(0)
        if task.chunk + 1 < task.chunks:
            self._wanted.insert(0, (task.task, task.chunk + 1))
        return Feed(task, last=not self._wanted)
