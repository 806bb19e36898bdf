"""The same work for many items, on several cores, with results in the order of the items."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Generic, TypeVar

from erasurehead.errors import EXIT_INTERNAL, UsageError
from erasurehead.process.cores import one_thread_each
from erasurehead.settings.plugins import load_plugins, loaded_plugins

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Result = TypeVar("Result")

ITEMS_AT_ONCE = 4
"""Handed to a process together, since some take less time than a message."""

_shared: Any = None
"""In a process of a crew: what all of it know."""


class Crew(Generic[Shared]):
    """Processes that all know one thing; made by `crew`.

    Parameters
    ----------
    shared: the first argument of every call.
    executor: the processes; None: calls are made in this one.
    """

    def __init__(self, shared: Shared, executor: ProcessPoolExecutor | None) -> None:
        self._shared = shared
        self._executor = executor

    def map(
        self,
        work: Callable[[Shared, Item], Result],
        items: Sequence[Item],
        at_once: int = ITEMS_AT_ONCE,
    ) -> Iterator[Result]:
        """Yield `work(shared, item)` of every item, in their order.

        Parameters
        ----------
        at_once: items that are handed to a process together; 1 where each takes long.

        Raises
        ------
        UsageError: a process was killed from outside.
        """
        if self._executor is None:
            for item in items:
                yield work(self._shared, item)
            return
        # Not `executor.map`, which would cancel futures while the executor gives them up itself.
        together = [items[i : i + at_once] for i in range(0, len(items), at_once)]
        try:
            with _main_left_alone(work):
                futures = [self._executor.submit(_call, work, some) for some in together]
            for future in futures:
                yield from future.result()
        except BrokenProcessPool:
            raise UsageError(
                "a process of the search was killed, perhaps for want of memory; use fewer with"
                " --jobs 1"
            ) from None


@contextmanager
def crew(shared: Shared, n_processes: int) -> Iterator[Crew[Shared]]:
    """Have a crew while the context lasts.

    Parameters
    ----------
    shared: must be picklable if there is more than one process.
    n_processes: at least 1.
    """
    if n_processes == 1:
        yield Crew(shared, None)
        return
    # Copies of a process that has threads may never wake up, so each starts afresh.
    context = multiprocessing.get_context("spawn")
    others = multiprocessing.active_children()
    # What is shared may be of a plug-in's types, so plug-ins come first there.
    arguments = (loaded_plugins(), pickle.dumps(shared))
    with one_thread_each():
        executor = ProcessPoolExecutor(n_processes, context, _begin, arguments)
        try:
            yield Crew(shared, executor)
        except BaseException:
            # The work at hand is of no use any more.
            for process in multiprocessing.active_children():
                if process not in others:
                    process.terminate()
            raise
        finally:
            executor.shutdown(cancel_futures=True)


@contextmanager
def _main_left_alone(work: Callable[..., Any]) -> Iterator[None]:
    """Let processes that start meanwhile not run the main script once more, if work is not in it.

    So a script that plans need not guard itself with ``if __name__ == "__main__"``.
    """
    main = sys.modules["__main__"]
    if work.__module__ != main.__name__:
        sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _begin(plugins: Sequence[str], shared: bytes) -> None:
    global _shared  # an initializer has no other place to leave it
    # Ctrl-C in a terminal reaches all processes; the first tells the others to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    load_plugins(plugins)
    _shared = pickle.loads(shared)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End when the parent is gone: a process that waits for work would never find out by itself."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(EXIT_INTERNAL)


def _call(work: Callable[[Any, Item], Result], items: Sequence[Item]) -> list[Result]:
    return [work(_shared, item) for item in items]
