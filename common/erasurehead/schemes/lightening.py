"""A scheme for fewer workers than it was written for: the largest load and count that fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from erasurehead.registry import Spec
from erasurehead.schemes.scheme import Scheme

LOADS = {"c": 1, "d": 1, "s": 0}
"""Options of codes by which loads grow, and the least value of each."""


def lighter(scheme: Scheme, n_workers: int) -> Iterator[Scheme]:
    """Yield the scheme with smaller and smaller loads, the largest first, for so many workers.

    Rounds that close at the r-th arrival close at the last one where there are fewer workers.
    """
    stop = _clamped(scheme.stop, "r", n_workers)
    for code in _lighter_codes(scheme.code, n_workers):
        yield replace(scheme, code=code, stop=stop)


def _lighter_codes(code: Spec, n_workers: int) -> Iterator[Spec]:
    for option, least in LOADS.items():
        asked = code.options.get(option, "")
        if asked.isdecimal():
            for load in range(min(int(asked), n_workers), least - 1, -1):
                yield _changed(code, option, load)
            return
    yield code


def _clamped(spec: Spec, option: str, most: int) -> Spec:
    asked = spec.options.get(option, "")
    return _changed(spec, option, most) if asked.isdecimal() and int(asked) > most else spec


def _changed(spec: Spec, option: str, value: int) -> Spec:
    return replace(spec, options={**spec.options, option: str(value)})
