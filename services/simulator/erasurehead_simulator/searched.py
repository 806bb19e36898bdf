"""Codes at every load, and the decoders that fit them: what a plan chooses from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from erasurehead.coding.base import GradientCode
from erasurehead.decoding import DECODERS
from erasurehead.errors import UsageError
from erasurehead.schemes import BuiltScheme, Scheme, suitable_decoder

LOADS_ONE_BY_ONE = 6
"""Loads above are searched in steps of about a quarter."""

ANYWHERE = (
    "frc:c={c}",
    "cyclic-repetition:s={s}",
    "cyclic-mds:s={s}",
    "reed-solomon:s={s}",
    "bernoulli:c={c}",
    "regularized-bernoulli:c={c}",
    "stochastic-block:c={c}",
    "regular:c={c}",
    "pairwise-balanced:d={c}",
    "expander:d={c}",
    "graph:d={c}",
    "coupon:c={c}",
    "cyclic-sums:c={c}",
    "hybrid-sums:c1=1,c2={s},groups={groups}",
    # Loads between 1 and c: m = 1 and m = 2 private tasks.
    "partial:s={s},alpha={alpha_1}",
    "partial:s={s},alpha={alpha_2}",
)
"""For c tasks a slot; s = c - 1."""

WHERE_SLOTS_DIFFER = ("frc:c={c},groups=balanced", "osgc:max_load={c}", "matched-cyclic:c={c}")
"""Codes that place tasks by what is learnt of the slots."""

TOLD = ("heterogeneous",)
"""Codes that must be told which slot is fast: real workers get their slots as they come."""


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
    """Make the parts of a scheme, as `erasurehead_master.plan.build_scheme` does."""
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
    most_tasks_a_slot = max_load * (n_tasks or n_workers) // n_workers
    for text, most_tasks in _codes(n_workers, most_tasks_a_slot, alike):
        for decoder in _decoders(text):
            try:
                code = build(f"{text} / {decoder} / fraction:r=1", n_workers, n_tasks, seed).code
            except UsageError:
                continue  # no such code for so many workers, or it cannot be decoded so
            if not code.replication.all():
                break  # drawn with tasks on nobody, whose rows would never be seen
            load = max(load_of(code), most_tasks * n_workers / code.n_tasks)
            if load <= max_load + 1e-9:
                yield Coding(
                    f"{text} / {decoder}",
                    code,
                    load,
                    _exists(f"{text} / {decoder} / fraction:r=1 / saga", n_workers, n_tasks, seed),
                )


def _codes(n_workers: int, most: int, alike: bool) -> Iterator[tuple[str, int]]:
    """Yield texts of codes, and how many tasks a slot may come to hold by learning."""
    yield "uncoded", 0
    yield "design", 0
    for c in _loads(most):
        numbers = {
            "c": c,
            "s": c - 1,
            "groups": n_workers // _divisor_from(n_workers, min(c, n_workers)),
            "alpha_1": f"{1 + c:g}",
            "alpha_2": f"{1 + c / 2:g}",
        }
        for template in ANYWHERE:
            yield template.format(**numbers), 0
        if not alike:
            for template in WHERE_SLOTS_DIFFER:
                yield template.format(**numbers), c


def _loads(most: int) -> Iterator[int]:
    """Yield numbers of tasks that a slot may hold."""
    c = 2
    while c <= most:
        yield c
        c += 1 if c < LOADS_ONE_BY_ONE else max(1, c // 4)


def _divisor_from(n: int, least: int) -> int:
    """Return the least divisor of n that is at least `least` (at most n)."""
    return next(d for d in range(least, n + 1) if n % d == 0)


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
