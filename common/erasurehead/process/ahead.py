"""Threads that make what is needed next while something else is done."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")

MAKERS = 2
"""Threads of `mapped_ahead`; so many results wait at most."""


@contextmanager
def meanwhile(make: Callable[[], T]) -> Iterator[Future[T]]:
    """Let another thread make something while the ``with`` block runs."""
    with ThreadPoolExecutor(1) as maker:
        yield maker.submit(make)


@contextmanager
def aside() -> Iterator[Callable[[Callable[[], object]], None]]:
    """Yield a function that lets another thread do things, one after another.

    The ``with`` block ends when all of them are done, and raises what the first that failed raised.
    """
    with ThreadPoolExecutor(1) as doer:
        promised: list[Future[object]] = []
        yield lambda do: promised.append(doer.submit(do))
        for each in promised:
            each.result()


def ahead(pieces: Iterable[T]) -> Iterator[T]:
    """Yield the same, the next being made by another thread while one is looked at."""
    source = iter(pieces)
    end = object()
    with ThreadPoolExecutor(1) as maker:
        coming = maker.submit(next, source, end)
        while (piece := coming.result()) is not end:
            coming = maker.submit(next, source, end)
            yield piece  # type: ignore[misc]


def mapped_ahead(make: Callable[[S], T], sources: Iterable[S]) -> Iterator[T]:
    """Yield what is made of each source, in their order; `MAKERS` threads make the next ones."""
    coming: deque[Future[T]] = deque()
    with ThreadPoolExecutor(MAKERS) as makers:
        for source in sources:
            coming.append(makers.submit(make, source))
            if len(coming) > MAKERS:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
