"""Work on long vectors in parts, perhaps on several cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from erasurehead import blas

Work = Callable[[slice], None]
"""Does something to the columns of a slice that has both ends and no step; what it does to a column
does not depend on the others."""

InParts = Callable[[int, Work], None]
"""Does work on so many columns, in parts that do not overlap, perhaps several at a time. They begin
at multiples of `CHUNK`."""

CHUNK = 2 * blas.LONGEST
"""Numbers of a vector that are worked on at once: few enough that some vectors fit a cache, enough
that numpy takes longer to work on them than to begin."""

STRETCH = 4 * CHUNK
"""Numbers of a vector on which work of many short calls is done at once: in shorter ones, threads
that begin the calls wait for each other."""


def at_once(n_columns: int, work: Work) -> None:
    """Do work on all columns as one part."""
    work(slice(0, n_columns))


def chunks(part: slice) -> Iterator[tuple[int, slice]]:
    """Yield the chunks of a part, `CHUNK` columns each, with their numbers in the whole.

    What is found out about each chunk alone does not depend on the parts.
    """
    for lo in range(part.start, part.stop, CHUNK):
        yield lo // CHUNK, slice(lo, min(lo + CHUNK, part.stop))


def n_chunks(n_columns: int) -> int:
    """Return into how many chunks so many columns fall."""
    return -(-n_columns // CHUNK)


def stretches(part: slice) -> Iterator[slice]:
    """Yield the stretches of a part, `STRETCH` columns each. They depend on the part."""
    for lo in range(part.start, part.stop, STRETCH):
        yield slice(lo, min(lo + STRETCH, part.stop))


def pieces(here: slice) -> slice:
    """Return which of a whole vector's `erasurehead.blas.dots` are those of a stretch."""
    return slice(here.start // blas.LONGEST, -(-here.stop // blas.LONGEST))
