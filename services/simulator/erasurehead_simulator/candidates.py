"""The schemes that a plan chooses from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from erasurehead.coding.base import FloatArray, GradientCode
from erasurehead.errors import UsageError
from erasurehead.registry import Spec
from erasurehead.schemes import BuiltScheme, Scheme
from erasurehead.straggling.base import DelayModel
from erasurehead_simulator.work import compute_times_s

ARRIVAL_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Shares of the workers after whose arrival a round may be closed."""

DEADLINE_QUANTILES = (0.3, 0.5, 0.7, 0.9)
"""Deadlines, as quantiles of one worker's own time."""

QUANTILE_ROUNDS = 50

LOADS_ONE_BY_ONE = 6
"""Loads above are searched in steps of about a quarter."""

CACHES = ("saga", "sag", "svrg:every=20")


class Kind(StrEnum):
    """Schemes that are ranked alike; of each, the best is tried."""

    EXACT = "exact"
    APPROXIMATE = "approximate"
    ADAPTIVE = "adaptive"
    SAGA = "saga"
    SAG = "sag"
    SVRG = "svrg"

    @classmethod
    def of(cls, scheme: Scheme) -> Kind:
        """Return what a scheme is."""
        if scheme.estimator.name in (cls.SAGA, cls.SAG, cls.SVRG):
            return cls(scheme.estimator.name)
        if scheme.exact:
            return cls.EXACT
        return cls.ADAPTIVE if scheme.stop.name == "adaptive" else cls.APPROXIMATE


@dataclass(frozen=True)
class Candidate:
    """One scheme.

    Attributes
    ----------
    scheme: its text.
    load: most rows that one slot stores, in units of the k-th part of all rows (tasks a slot when
        there are as many tasks as slots); of codes that are placed anew by what is learnt, the
        most that they may come to.
    kind: how it is ranked.
    """

    scheme: str
    load: float
    kind: Kind = Kind.APPROXIMATE

    @property
    def arrivals(self) -> str:
        """Code, decoder and stop rule: what decides who arrives when, and with what weight."""
        parsed = Scheme.parse(self.scheme)
        return str(replace(parsed, estimator=Spec("sum"), written="").long_form)


@dataclass(frozen=True)
class _Family:
    """Schemes that store the same: an exact one, and templates of others.

    Templates hold ``{option}`` (r=5 or deadline_s=0.2), ``{rule}`` (fraction:r=5 or
    deadline:after_s=0.2) or ``{r}`` (5), and are filled in with every stop rule; `fixed` are taken
    as they are. `most_tasks` is what a slot may come to hold when tasks are placed anew.
    """

    exact: str | None = None
    templates: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    most_tasks: int = 0


def build_candidate(scheme: str, n_workers: int, n_tasks: int | None, seed: int) -> BuiltScheme:
    """Make the parts of a scheme, as `erasurehead_master.plan.build_scheme` does."""
    return Scheme.parse(scheme).build(n_workers, n_tasks, np.random.default_rng((seed, 0xC0DE)))


def load_of(code: GradientCode) -> float:
    """Return the load of the fullest slot, in units of the k-th part of all rows."""
    # Rounded, so that equal loads of different codes are equal.
    return round(float(code.loads.max()) / code.n_tasks * code.n_workers, 9)


def candidates(
    n_workers: int,
    n_tasks: int | None,
    max_load: int,
    delays: DelayModel,
    pass_s: float,
    extra: Sequence[str] = (),
) -> list[Candidate]:
    """Return every scheme that exists for the cluster within the load.

    Codes that must be told which slot is fast or reliable (`heterogeneous`, options p) are left
    out: in a real cluster workers get their slots as they come. Those that learn it are searched
    where slots differ.

    Parameters
    ----------
    max_load: as `Candidate.load`.
    delays, pass_s: for deadlines that can be met.
    extra: further schemes, whatever their load.

    Raises
    ------
    UsageError: the load is impossible, or an extra scheme does not fit.
    """
    if not 1 <= max_load <= n_workers:
        raise UsageError(
            f"--max-load {max_load} does not fit {n_workers} workers; it counts k-th parts of the"
            f" data stored per worker, 1 to {n_workers}"
        )
    found: dict[str, Candidate] = {}

    def add(text: str, family: _Family) -> GradientCode | None:
        try:
            code = build_candidate(text, n_workers, n_tasks, 0).code
        except UsageError:
            return None  # no such code for so many workers, or no such cache for its decoder
        load = max(load_of(code), family.most_tasks * n_workers / code.n_tasks)
        if load <= max_load + 1e-9:
            found.setdefault(text, Candidate(text, load, Kind.of(Scheme.parse(text))))
        return code

    for text in extra:
        load = load_of(build_candidate(text, n_workers, n_tasks, 0).code)
        found[text] = Candidate(text, load, Kind.of(Scheme.parse(text)))
    for family in _families(max_load, delays.slots_are_alike):
        code = add(family.exact or family.templates[0].format(**_stop(1)), family)
        if code is None or load_of(code) > max_load + 1e-9:
            continue
        for text in family.fixed:
            add(text, family)
        for stop in _stops(code, delays, pass_s):
            for template in family.templates:
                if "r" in stop or "{r}" not in template:
                    add(template.format(**stop), family)
    return list(found.values())


def _families(max_load: int, alike: bool) -> Iterator[_Family]:
    yield _Family(
        "uncoded",
        ("uncoded:{option}", *(f"uncoded:{{option}},cache={cache}" for cache in CACHES)),
        _adaptive("uncoded"),
    )
    for c in _loads(max_load):
        agc = f"agc:c={c},"
        scales = (f"{agc}{{option}},scale=none", f"{agc}{{option}},scale=group")
        caches = (f"{agc}{{option}},cache={cache}" for cache in CACHES)
        yield _Family(
            f"egc:c={c}",
            (f"{agc}{{option}}", *scales, f"{agc}r={{r}},scale=unbiased", *caches),
            _adaptive(f"frc:c={c}"),
        )
        for code, decoder in (("cyclic-sums:c", "circular"), ("graph:d", "component")):
            parts = f"{code}={c} / {decoder} /"
            yield _Family(f"{parts} exact", (f"{parts} {{rule}}", f"{parts} {{rule}} / sag"))
        # One arrival too few, and these decode nothing useful.
        yield _Family(f"cyclic-mds:s={c - 1} / least-squares / exact")
        spread = f"pairwise-balanced:d={c} / fixed / {{rule}}"
        yield _Family(None, (spread, f"{spread} / saga", f"{spread} / sag"))
        if not alike:
            grouped = f"frc:c={c},groups=balanced / first-copy"
            yield _Family(
                None,
                (
                    f"{grouped}:scale=coverage / {{rule}}",
                    f"{grouped}:scale=group / {{rule}}",
                    f"{grouped}:scale=coverage / {{rule}} / sag",
                ),
            )
            uneven = f"osgc:max_load={c} / fixed / {{rule}}"
            yield _Family(None, (uneven, f"{uneven} / sag"), most_tasks=c)


def _adaptive(code: str) -> tuple[str, ...]:
    """The rule that finds its own r, with and without a cache."""
    plain = f"{code} / first-copy:scale=coverage / adaptive"
    return (plain, f"{plain} / saga", f"{plain} / sag")


def _loads(max_load: int) -> list[int]:
    loads, c = [], 2
    while c <= max_load:
        loads.append(c)
        c += 1 if c < LOADS_ONE_BY_ONE else max(1, c // 4)
    return loads


def _stops(code: GradientCode, delays: DelayModel, pass_s: float) -> Iterator[dict[str, str]]:
    k = code.n_workers
    counts = {math.ceil(share * k - 1e-9) for share in ARRIVAL_SHARES}
    for r in sorted(counts - {k}):
        yield _stop(r)
    for after_s in _deadlines_s(code, delays, pass_s):
        yield {"option": f"deadline_s={after_s:.3g}", "rule": f"deadline:after_s={after_s:.3g}"}


def _stop(r: int) -> dict[str, str]:
    return {"option": f"r={r}", "rule": f"fraction:r={r}", "r": str(r)}


def _deadlines_s(code: GradientCode, delays: DelayModel, pass_s: float) -> FloatArray:
    shares = code.loads / code.n_tasks
    computing_s = compute_times_s(code, pass_s).sum(axis=1)
    times_s = np.array(
        [delays.delays_s(t, shares) + computing_s for t in range(1, QUANTILE_ROUNDS + 1)]
    )
    deadlines: FloatArray = np.quantile(times_s, DEADLINE_QUANTILES)
    return deadlines[deadlines > 0]
