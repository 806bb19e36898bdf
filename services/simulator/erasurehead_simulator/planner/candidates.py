"""The schemes that a plan chooses from: codings with stop rules and gradient estimates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from erasurehead.coding.base import GradientCode
from erasurehead.registry import Spec
from erasurehead.schemes.scheme import Scheme
from erasurehead.straggling.base import DelayModel
from erasurehead_simulator.planner.search_space import Coding, load_of
from erasurehead_simulator.virtual.compute_times import compute_times_s

QUANTILE_ROUNDS = 50

PLAIN, CACHES, SNAPSHOTS = "sum", ("saga", "sag"), "svrg:every=20"


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
        if scheme.estimate.name in (cls.SAGA, cls.SAG, cls.SVRG):
            return cls(scheme.estimate.name)
        if scheme.exact:
            return cls.EXACT
        return cls.ADAPTIVE if scheme.stop.name == "adaptive" else cls.APPROXIMATE


@dataclass(frozen=True)
class Rules:
    """Stop rules to try.

    Attributes
    ----------
    shares: of the workers after whose arrival a round may be closed.
    quantiles: of one worker's own time, for deadlines.
    errors: that `residual` may leave.
    adaptive: whether the rule that finds its own r is tried.
    snapshots: whether SVRG is, under the coarse rules.
    """

    shares: tuple[float, ...]
    quantiles: tuple[float, ...]
    errors: tuple[float, ...] = ()
    adaptive: bool = False
    snapshots: bool = False


COARSE = Rules((0.3, 0.6, 0.9), (0.5,))
FINE = Rules(
    (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    (0.3, 0.5, 0.7, 0.9),
    (0.05, 0.2),
    adaptive=True,
    snapshots=True,
)


@dataclass(frozen=True)
class Candidate:
    """One scheme.

    Attributes
    ----------
    scheme: its text.
    load: see `Coding.load`.
    kind: how it is ranked.
    """

    scheme: str
    load: float
    kind: Kind = Kind.APPROXIMATE

    @property
    def whole_load(self) -> int:
        """The load that a worker must be able to store: candidates of one are rivals."""
        return math.ceil(self.load - 1e-9)

    @property
    def arrivals(self) -> str:
        """Code, decoder and stop rule: what decides who arrives when, and with what weight."""
        parsed = Scheme.parse(self.scheme)
        return replace(parsed, estimate=Spec(PLAIN), written="").long_form


def candidate(scheme: str, load: float) -> Candidate:
    """Return a scheme as a candidate, under its shortest name."""
    parsed = Scheme.parse(scheme)
    return Candidate(_short(parsed), load, Kind.of(parsed))


def candidates(
    coding: Coding, rules: Rules, delays: DelayModel, pass_s: float
) -> Iterator[Candidate]:
    """Yield schemes of a coding; some rules may not fit its decoder.

    Parameters
    ----------
    delays, pass_s: for deadlines that can be met.
    """
    # Tasks are never placed anew then.
    yield candidate(f"{coding.text} / exact", load_of(coding.code))
    for rule in _stops(coding.code, rules, delays, pass_s):
        for estimate in (PLAIN, *(CACHES if coding.cacheable else ())):
            yield candidate(f"{coding.text} / {rule} / {estimate}", coding.load)
    if rules.snapshots and coding.cacheable:
        # Each must be played by itself, so not as many.
        for rule in _stops(coding.code, COARSE, delays, pass_s):
            yield candidate(f"{coding.text} / {rule} / {SNAPSHOTS}", coding.load)


def _stops(code: GradientCode, rules: Rules, delays: DelayModel, pass_s: float) -> Iterator[str]:
    k = code.n_workers
    for r in sorted({math.ceil(share * k - 1e-9) for share in rules.shares} - {k}):
        yield f"fraction:r={r}"
    for after_s in _deadlines_s(code, rules.quantiles, delays, pass_s):
        yield f"deadline:after_s={after_s:.3g}"
    for epsilon in rules.errors:
        yield f"residual:epsilon={epsilon:g}"
    if rules.adaptive:
        yield "adaptive"


def _deadlines_s(
    code: GradientCode, quantiles: Sequence[float], delays: DelayModel, pass_s: float
) -> list[float]:
    shares = code.loads / code.n_tasks
    computing_s = compute_times_s(code, pass_s).sum(axis=1)
    times_s = np.array(
        [delays.delays_s(t, shares) + computing_s for t in range(1, QUANTILE_ROUNDS + 1)]
    )
    return sorted({float(d) for d in np.quantile(times_s, quantiles) if d > 0})


def _short(scheme: Scheme) -> str:
    """Return the papers' name of a scheme if it has one (`egc:c=3`), else its parts."""
    code, decoder, stop = scheme.code, scheme.decoder, scheme.stop
    options = dict(code.options)
    named = code.name == "uncoded" or (code.name == "frc" and list(options) == ["c"])
    if decoder.name != "first-copy" or not named or list(decoder.options) != ["scale"]:
        return scheme.long_form
    if stop.name == "fraction":
        options |= stop.options
    elif stop.name == "deadline":
        options["deadline_s"] = stop.options["after_s"]
    elif stop.name != "exact":
        return scheme.long_form
    if decoder.options["scale"] != "coverage":
        if scheme.exact:
            return scheme.long_form
        options["scale"] = decoder.options["scale"]
    if scheme.estimate.name != PLAIN:
        if "," in str(scheme.estimate):
            return scheme.long_form
        options["cache"] = str(scheme.estimate)
    name = code.name if code.name == "uncoded" else "egc" if scheme.exact else "agc"
    return str(Spec(name, options))
