"""Cyclic MDS codes: deterministic, and without the bad draws of random cyclic repetition.

How much they amplify rounding depends on which stragglers are missing. Random sets of five among
thirty amplify 10 x at the median (random cyclic repetition: 340 x), neighbours 5,000 x (550 x). The
complex code amplifies more as k and s grow: at k = 60, s = 10 two million times at the median,
where random cyclic repetition does 1,500 times (docs/codes-measured.md).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.coding.amplification import is_searched, typical
from erasurehead.coding.base import GradientCode, code_from_rows
from erasurehead.coding.cyclic import cyclic_repetition, cyclic_tasks
from erasurehead.coding.options import check_tolerance, same_as_workers
from erasurehead.coding.precision import kept_promise
from erasurehead.errors import UsageError


def cyclic_mds(
    n_workers: int,
    n_tasks: int | None,
    rng: np.random.Generator,
    probabilities: FloatArray | None = None,
    *,
    s: int,
    field: Literal["real", "complex"] = "real",
) -> GradientCode:
    """Return the code whose rows are cyclic shifts of a generator polynomial.

    arXiv 1707.03858, Section 4: g(x) = prod_{t in J} (x - exp(2 pi i t / k)) with J a run of s
    exponents without 0 has s + 1 coefficients and generates an MDS code that contains 1, so any
    k - s rows span 1. n = k, load s + 1. With J centred on k/2, g is real; that needs k + s odd.

    Parameters
    ----------
    s: stragglers tolerated, 0 to k - 1.
    field: `complex` has J = {1..s}, exists for every s and sends two vectors a result.

    Raises
    ------
    UsageError: n is not k, s is out of range or beyond double precision, or there is no real code.
    """
    same_as_workers("cyclic-mds", n_workers, n_tasks)
    check_tolerance("cyclic-mds", n_workers, s)
    return kept_promise(lambda s: _code(n_workers, s, field), s)


def _code(n_workers: int, s: int, field: str) -> GradientCode:
    if field == "complex":
        coefficients = _generator(n_workers, np.arange(1, s + 1))
        parts = [coefficients.real, coefficients.imag]
    else:
        if (n_workers + s) % 2 == 0 and s > 0:
            raise UsageError(
                f"there is no real cyclic MDS code for {n_workers} workers and s={s}, whose sum"
                f" must be odd; use s={s - 1}, s={s + 1} or {_instead(n_workers, s)}"
            )
        first = (n_workers - s + 1) // 2
        parts = [_generator(n_workers, np.arange(first, first + s)).real]
    rows: list[tuple[IntArray, FloatArray]] = [
        (cyclic_tasks(slot, s + 1, n_workers), part) for slot in range(n_workers) for part in parts
    ]
    return code_from_rows(
        "cyclic-mds",
        rows,
        n_workers,
        n_workers=n_workers,
        tolerance=s,
        n_vectors=len(parts),
        fewer_suffice=True,
    )


def _instead(k: int, s: int) -> str:
    """Return which code for these k and s amplifies rounding less: the complex, or a random one."""
    if is_searched(k, s):
        random = cyclic_repetition(k, None, np.random.default_rng(0), s=s)
        if typical(random, s) < typical(_code(k, s, "complex"), s):
            return f"cyclic-repetition:s={s}, which amplifies rounding less than field=complex"
    return "field=complex"


def _generator(k: int, exponents: IntArray) -> np.ndarray[tuple[int], np.dtype[np.complex128]]:
    """Return the coefficients of prod (x - zeta^t), highest power first."""
    roots = np.exp(2j * np.pi * exponents / k)
    # Multiplied in an order that spreads the roots, or the partial products grow large.
    polynomial = np.ones(1, dtype=np.complex128)
    for root in _spread(roots):
        polynomial = np.convolve(polynomial, [1.0, -root])
    return polynomial


def _spread(
    roots: np.ndarray[tuple[int], np.dtype[np.complex128]],
) -> list[complex]:
    """Return the roots in Leja order: each next one farthest from those before it."""
    left = [complex(r) for r in roots]
    chosen: list[complex] = []
    while left:
        logs = [sum(np.log(abs(r - c)) for c in chosen) for r in left]
        chosen.append(left.pop(int(np.argmax(logs))))
    return chosen
