"""Which format serves a run that was not told one."""

from __future__ import annotations

from erasurehead.wire.vectors.f2 import F2
from erasurehead.wire.vectors.f4 import F4
from erasurehead.wire.vectors.f8 import F8

NEGLIGIBLE = 1e-4
"""Rounding counts for nothing if its error is at most this share of what erasures cost."""


def automatic_format(loses: float) -> str:
    """Return the name of the shortest of our formats whose rounding counts for nothing.

    Parameters
    ----------
    loses: the relative error of a gradient that erasures leave, 0.0 where they leave none.
    """
    for shorter in (F2, F4):
        if shorter.relative_error <= NEGLIGIBLE * loses:
            return shorter.name
    return F8.name
