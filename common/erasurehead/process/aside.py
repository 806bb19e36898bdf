"""Work that is done aside, in order, by a thread of its own: nobody waits for it but at the end."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable


class Aside:
    """A thread that does what it is given, one after the other.

    After a piece of work has failed, those that are given later are not done.

    Attributes
    ----------
    failed: what the first failure raised.
    """

    def __init__(self) -> None:
        self.failed: Exception | None = None
        self._work: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How much was given and is not begun yet."""
        return self._work.qsize()

    def do(self, work: Callable[[], object]) -> None:
        """Have something done after all that was given before; return at once."""
        self._work.put(work)

    def finish(self, limit_s: float) -> bool:
        """Wait until everything is done; return False if it was not after the limit."""
        self._work.put(None)
        self._thread.join(limit_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            if self.failed is None:
                try:
                    work()
                except Exception as error:  # whatever a library of the user's choice raises
                    self.failed = error
