"""Codes at every load, and the decoders that fit them: what a search chooses from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from erasurehead.coding import CODES
from erasurehead.coding.base import GradientCode
from erasurehead.decoding import DECODERS
from erasurehead.errors import UsageError
from erasurehead.registry import Spec
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.scheme import SUM, Scheme
from erasurehead.schemes.suitable import suitable_decoder

LOADS_ONE_BY_ONE = 6
"""Loads above are searched in steps of about a quarter."""

LOAD_OPTIONS = {"c": "{c}", "max_load": "{c}", "d": "{d}", "s": "{s}"}
"""Options of codes that say how much is held: c tasks a slot, or d = s + 1 copies of every task."""

OTHERWISE: dict[str, tuple[Mapping[str, str], ...]] = {
    "frc": (
        {"c": "{c}"},
        {"c": "{c}", "groups": "balanced"},
        {"c": "{c}", "parts": "tasks"},
    ),
    "hybrid-sums": ({"c1": "1", "c2": "{s}", "groups": "{groups}"},),
    # Loads between 1 and c: m = 1 and m = 2 private tasks.
    "partial": ({"s": "{s}", "alpha": "{alpha_1}"}, {"s": "{s}", "alpha": "{alpha_2}"}),
}
"""Options of codes for which one such option is not enough."""

FIRST_ARRIVAL = Spec("fraction", {"r": "1"})
"""A stop rule that fits every decoder."""

CACHE = Spec("saga")
"""The estimate by which a code shows whether it can be cached."""


@dataclass(frozen=True, eq=False)
class Pairing:
    """A code and a decoder that fits it.

    Attributes
    ----------
    code, decoder: the first two parts of a scheme.
    built: the code as first built.
    load: most rows that one slot stores, in units of the k-th part of all rows (tasks a slot when
        there are as many tasks as slots); of codes whose tasks are regrouped by what is learnt,
        the largest load that they may get.
    cacheable: whether what is remembered adds up to the full gradient.
    """

    code: Spec
    decoder: Spec
    built: GradientCode
    load: float
    cacheable: bool

    def scheme(self, stop: Spec, estimate: Spec = SUM) -> Scheme:
        """Return the scheme with the other two parts."""
        return Scheme(self.code, self.decoder, stop, estimate)


def load_of(code: GradientCode) -> float:
    """Return the load of the fullest slot, in units of the k-th part of all rows."""
    # Rounded, so that equal loads of different codes are equal.
    return round(float(code.loads.max()) / code.n_tasks * code.n_workers, 9)


def pairings(
    n_workers: int, n_tasks: int | None, max_load: int, seed: int, *, alike: bool
) -> Iterator[Pairing]:
    """Yield every code that exists for the cluster within the load, with every decoder that fits.

    Codes whose drawing left a task on no slot are left out.

    Of one code, the decoder that it is made for comes first.

    Parameters
    ----------
    max_load: as `Pairing.load`.
    alike: whether all slots are as likely to be late, so that there is nothing to learn of them.
    """
    for code, most_tasks in _codes(n_workers, n_tasks or n_workers, max_load):
        for decoder in _decoders(code.name):
            scheme = Scheme(code, decoder, FIRST_ARRIVAL)
            try:
                coding = Coding.of(scheme, n_workers, n_tasks, seed)
            except UsageError:
                continue  # no such code for so many workers, or it cannot be decoded so
            built = coding.code
            learns = coding.places_by is not None
            if (learns and alike) or not built.replication.all():
                break  # nothing to learn; or tasks on no slot, whose rows are never seen
            load = load_of(built)
            if learns:
                load = max(load, round(most_tasks * n_workers / built.n_tasks, 9))
            if load <= max_load + 1e-9:
                cached = Scheme(code, decoder, FIRST_ARRIVAL, CACHE)
                cacheable = _exists(cached, n_workers, n_tasks, seed)
                yield Pairing(code, decoder, built, load, cacheable)


def _codes(n_workers: int, n_tasks: int, max_load: int) -> Iterator[tuple[Spec, int]]:
    """Yield codes, and how many tasks a slot may come to hold where the code follows slots."""
    # With fewer tasks than workers, one task a slot is more than a k-th part of the rows.
    least = 1 if n_tasks < n_workers else 2
    for name in CODES:
        for template in _templates(name):
            filled = "".join(template.values())
            if "{c}" in filled:
                numbers = _steps(least, max_load * n_tasks // n_workers)
            elif "{" in filled:
                numbers = _steps(2, max_load)
            else:
                numbers = iter((0,))
            for c in numbers:
                given = _numbers(n_workers, c)
                yield Spec(name, {k: v.format(**given) for k, v in template.items()}), c


def _templates(code: str) -> tuple[Mapping[str, str], ...]:
    """Return options of a code with numbers to be filled in."""
    if code in OTHERWISE:
        return OTHERWISE[code]
    options = CODES.options(code)
    loads = ({option: number} for option, number in LOAD_OPTIONS.items() if option in options)
    return (next(loads, {}),)


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


def _decoders(code: str) -> list[Spec]:
    """Return every decoder with every choice of its options, the code's own first."""
    every = [
        Spec(name, dict(zip(choices, chosen, strict=True)))
        for name in DECODERS
        for choices in (DECODERS.choices(name),)
        for chosen in product(*choices.values())
    ]
    own = suitable_decoder(code)

    def is_another(decoder: Spec) -> bool:
        asks_for = own.options.items() <= decoder.options.items()
        return decoder.name != own.name or not asks_for

    return sorted(every, key=is_another)


def _exists(scheme: Scheme, n_workers: int, n_tasks: int | None, seed: int) -> bool:
    try:
        Coding.of(scheme, n_workers, n_tasks, seed)
    except UsageError:
        return False
    return True
