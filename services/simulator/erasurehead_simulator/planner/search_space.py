"""Codes at every load, and the decoders that fit them: what a plan chooses from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from erasurehead.coding import CODES
from erasurehead.coding.base import GradientCode
from erasurehead.decoding import DECODERS
from erasurehead.errors import UsageError
from erasurehead.schemes.scheme import BuiltScheme, Scheme, suitable_decoder

LOADS_ONE_BY_ONE = 6
"""Loads above are searched in steps of about a quarter."""

LOAD_OPTIONS = {"c": "{c}", "max_load": "{c}", "d": "{d}", "s": "{s}"}
"""Options of codes that say how much is held: c tasks a slot, or d = s + 1 copies of every task."""

OTHERWISE = {
    "frc": ("frc:c={c}", "frc:c={c},groups=balanced"),
    "hybrid-sums": ("hybrid-sums:c1=1,c2={s},groups={groups}",),
    # Loads between 1 and c: m = 1 and m = 2 private tasks.
    "partial": ("partial:s={s},alpha={alpha_1}", "partial:s={s},alpha={alpha_2}"),
}
"""Codes for which one such option is not enough."""

LEARNS = "groups=balanced"
"""Marks codes that place tasks by what is learnt of the slots, as an option p does."""


@dataclass(frozen=True)
class Coding:
    """A code and a decoder that fits it.

    Attributes
    ----------
    text: the first two parts of a scheme.
    code: as first built.
    load: most rows that one slot stores, in units of the k-th part of all rows (tasks a slot when
        there are as many tasks as slots); of codes that are placed anew by what is learnt, the
        most that they may come to.
    cacheable: whether what is remembered adds up to the full gradient.
    """

    text: str
    code: GradientCode
    load: float
    cacheable: bool


def build(scheme: str, n_workers: int, n_tasks: int | None, seed: int) -> BuiltScheme:
    """Make the parts of a scheme, as `erasurehead_master.machine.plan.build_scheme` does."""
    return Scheme.parse(scheme).build(n_workers, n_tasks, np.random.default_rng((seed, 0xC0DE)))


def load_of(code: GradientCode) -> float:
    """Return the load of the fullest slot, in units of the k-th part of all rows."""
    # Rounded, so that equal loads of different codes are equal.
    return round(float(code.loads.max()) / code.n_tasks * code.n_workers, 9)


def codings(
    n_workers: int, n_tasks: int | None, max_load: int, seed: int, *, alike: bool
) -> Iterator[Coding]:
    """Yield every code that exists for the cluster within the load, with every decoder that fits.

    Codes that were drawn with a task on nobody are left out.

    Of one code, the decoder that it is made for comes first.

    Parameters
    ----------
    max_load: as `Coding.load`.
    alike: whether all slots are as likely to be late, so that there is nothing to learn of them.
    """
    for text, most_tasks in _codes(n_workers, n_tasks or n_workers, max_load, alike):
        for decoder in _decoders(text):
            scheme = f"{text} / {decoder} / fraction:r=1"
            try:
                built = build(scheme, n_workers, n_tasks, seed)
            except UsageError:
                continue  # no such code for so many workers, or it cannot be decoded so
            if not built.code.replication.all():
                break  # drawn with tasks on nobody, whose rows would never be seen
            load = load_of(built.code)
            if built.placement is not None:
                load = max(load, round(most_tasks * n_workers / built.code.n_tasks, 9))
            if load <= max_load + 1e-9:
                cacheable = _exists(f"{scheme} / saga", n_workers, n_tasks, seed)
                yield Coding(f"{text} / {decoder}", built.code, load, cacheable)


def _codes(n_workers: int, n_tasks: int, max_load: int, alike: bool) -> Iterator[tuple[str, int]]:
    """Yield texts of codes, and how many tasks a slot may come to hold by learning."""
    # With fewer tasks than workers, one task a slot is more than a k-th part of the rows.
    least = 1 if n_tasks < n_workers else 2
    for name in CODES:
        for template in _templates(name):
            learns = LEARNS in template or (name not in OTHERWISE and "p" in CODES.options(name))
            if learns and alike:
                continue
            if "{c}" in template:
                numbers = _steps(least, max_load * n_tasks // n_workers)
            elif "{" in template:
                numbers = _steps(2, max_load)
            else:
                numbers = iter((0,))
            for c in numbers:
                yield template.format(**_numbers(n_workers, c)), c if learns else 0


def _templates(code: str) -> tuple[str, ...]:
    """Return texts of a code with numbers to be filled in."""
    if code in OTHERWISE:
        return OTHERWISE[code]
    options = CODES.options(code)
    loads = (
        f"{code}:{option}={number}" for option, number in LOAD_OPTIONS.items() if option in options
    )
    return (next(loads, code),)


def _numbers(n_workers: int, c: int) -> dict[str, object]:
    return {
        "c": c,
        "d": c,
        "s": c - 1,
        "groups": n_workers // _divisor_from(n_workers, min(c, n_workers)),
        "alpha_1": f"{1 + c:g}",
        "alpha_2": f"{1 + c / 2:g}",
    }


def _steps(least: int, most: int) -> Iterator[int]:
    c = least
    while c <= most:
        yield c
        c += 1 if c < LOADS_ONE_BY_ONE else max(1, c // 4)


def _divisor_from(n: int, least: int) -> int:
    """Return the least divisor of n that is at least `least` (at most n)."""
    return next(d for d in range(max(least, 1), n + 1) if n % d == 0)


def _decoders(code: str) -> list[str]:
    """Return every decoder with every choice of its options, the code's own first."""
    every = [
        f"{name}:{','.join(f'{k}={v}' for k, v in zip(choices, chosen, strict=True))}".rstrip(":")
        for name in DECODERS
        for choices in (DECODERS.choices(name),)
        for chosen in product(*choices.values())
    ]
    own = str(suitable_decoder(code.partition(":")[0]))
    return sorted(every, key=lambda text: not text.startswith(own))


def _exists(scheme: str, n_workers: int, n_tasks: int | None, seed: int) -> bool:
    try:
        build(scheme, n_workers, n_tasks, seed)
    except UsageError:
        return False
    return True
