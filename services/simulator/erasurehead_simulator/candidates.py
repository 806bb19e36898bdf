"""The schemes that a plan chooses from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from erasurehead.coding.base import FloatArray, GradientCode
from erasurehead.errors import UsageError
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


@dataclass(frozen=True)
class Candidate:
    """One scheme.

    Attributes
    ----------
    scheme: its text.
    load: most rows that one slot stores, in units of the k-th part of all rows (tasks a slot when
        there are as many tasks as slots).
    exact: True when every round waits for the full gradient.
    remembering: the same scheme with a cache of earlier results for erased tasks; None where that
        is no use.
    """

    scheme: str
    load: float
    exact: bool = False
    remembering: str | None = None


@dataclass(frozen=True)
class _Family:
    """Schemes of one code: the exact one, and templates of approximate ones.

    Templates hold ``{option}`` (r=5 or deadline_s=0.2) or ``{rule}`` (fraction:r=5 or
    deadline:after_s=0.2); `memory` is what to append for a cache.
    """

    exact: str
    approximate: tuple[str, ...] = ()
    memory: str | None = None


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
    for text in extra:
        code = build_candidate(text, n_workers, n_tasks, 0).code
        found[text] = Candidate(text, load_of(code), Scheme.parse(text).exact)
    for family in _families(max_load):
        try:
            code = build_candidate(family.exact, n_workers, n_tasks, 0).code
        except UsageError:
            continue  # no such code for so many workers
        load = load_of(code)
        if load > max_load + 1e-9:
            continue
        found.setdefault(family.exact, Candidate(family.exact, load, exact=True))
        for stop in _stops(code, delays, pass_s):
            for place, template in enumerate(family.approximate):
                text = template.format(**stop)
                # Only the first template's decoder is scaled so that a cache can complete it.
                memory = family.memory if place == 0 else None
                remembering = None if memory is None else text + memory
                found.setdefault(text, Candidate(text, load, False, remembering))
    return list(found.values())


def _families(max_load: int) -> Iterator[_Family]:
    yield _Family("uncoded", ("uncoded:{option}",), ",cache=saga")
    for c in _loads(max_load):
        yield _Family(
            f"egc:c={c}",
            (f"agc:c={c},{{option}}", f"agc:c={c},{{option}},scale=none"),
            ",cache=saga",
        )
        for code, decoder in (("cyclic-sums:c", "circular"), ("graph:d", "component")):
            parts = f"{code}={c} / {decoder} /"
            yield _Family(f"{parts} exact", (f"{parts} {{rule}}",), " / saga")
        # One arrival too few, and these decode nothing useful.
        yield _Family(f"cyclic-mds:s={c - 1} / least-squares / exact")


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
        yield {"option": f"r={r}", "rule": f"fraction:r={r}"}
    for after_s in _deadlines_s(code, delays, pass_s):
        yield {"option": f"deadline_s={after_s:.3g}", "rule": f"deadline:after_s={after_s:.3g}"}


def _deadlines_s(code: GradientCode, delays: DelayModel, pass_s: float) -> FloatArray:
    shares = code.loads / code.n_tasks
    computing_s = compute_times_s(code, pass_s).sum(axis=1)
    times_s = np.array(
        [delays.delays_s(t, shares) + computing_s for t in range(1, QUANTILE_ROUNDS + 1)]
    )
    deadlines: FloatArray = np.quantile(times_s, DEADLINE_QUANTILES)
    return deadlines[deadlines > 0]
