"""The schemes that a search chooses from: pairings with stop rules and gradient estimates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from erasurehead.coding.base import GradientCode
from erasurehead.estimating import ESTIMATES
from erasurehead.registry import Spec
from erasurehead.schemes.scheme import SUM, Scheme
from erasurehead.schemes.text import shortest
from erasurehead.stopping import STOPS
from erasurehead.straggling.base import DelayModel
from erasurehead_simulator.planner.search_space import Pairing, load_of
from erasurehead_simulator.virtual.compute_times import compute_times_s

QUANTILE_ROUNDS = 50

EXACT = Spec("exact")
CACHES = (Spec("saga"), Spec("sag"))
SNAPSHOTS = Spec("svrg", {"every": "20"})


@dataclass(frozen=True)
class Rules:
    """Stop rules to try.

    Attributes
    ----------
    shares: of the arrivals after which a round may be closed.
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
class Traits:
    """What decides how a scheme is played and ranked.

    Attributes
    ----------
    kind: schemes of one kind are ranked alike, and the best of each is tried: the estimate's name
        if it remembers something, else ``exact``, ``adaptive`` or ``approximate``.
    plays_alone: the times of arrival depend on the gradient estimate, too.
    renews_on_arrival: whatever arrives renews what is remembered.
    sums_memory: a gradient is the sum of what is remembered, whatever the decoder's weights.
    """

    kind: str
    plays_alone: bool
    renews_on_arrival: bool
    sums_memory: bool

    @classmethod
    def of(cls, scheme: Scheme, code: GradientCode) -> Traits:
        """Return those of a scheme with this code.

        Raises
        ------
        UsageError: stop rule or estimate do not fit the code.
        """
        rule = STOPS.build(scheme.stop, code)
        # Of one parameter only: it is looked at, and never used.
        estimate = ESTIMATES.build(scheme.estimate, code, 1, rule.waits_for_all)
        kind = "adaptive" if rule.adapts else "approximate"
        if estimate.memory is not None:
            kind = scheme.estimate.name
        elif rule.waits_for_all:
            kind = "exact"
        return cls(
            kind,
            plays_alone=rule.adapts or estimate.snapshot_every is not None,
            renews_on_arrival=estimate.renews_on_arrival,
            sums_memory=estimate.sums_memory,
        )


@dataclass(frozen=True)
class Candidate:
    """One scheme.

    Attributes
    ----------
    load: see `Pairing.load`.
    traits: how it is played and ranked.
    asked: the text that it was asked for by.
    """

    scheme: Scheme
    load: float
    traits: Traits
    asked: str | None = field(default=None, compare=False)

    @property
    def text(self) -> str:
        """The scheme as it was asked for, else by its shortest name."""
        return self.asked or shortest(self.scheme)

    @property
    def kind(self) -> str:
        """See `Traits.kind`."""
        return self.traits.kind

    @property
    def whole_load(self) -> int:
        """The load that a worker must be able to store: candidates of one are rivals."""
        return math.ceil(self.load - 1e-9)

    @property
    def arrivals(self) -> Scheme:
        """The scheme without a memory: what decides when slots arrive, and with what weight."""
        return replace(self.scheme, estimate=SUM)


def candidates(
    pairing: Pairing, rules: Rules, delays: DelayModel, pass_s: float
) -> Iterator[Candidate]:
    """Yield schemes of a pairing; some rules may not fit its decoder.

    Parameters
    ----------
    delays, pass_s: for deadlines that can be met.
    """
    code = pairing.built

    def candidate(stop: Spec, estimate: Spec, load: float) -> Candidate:
        scheme = pairing.scheme(stop, estimate)
        return Candidate(scheme, load, Traits.of(scheme, code))

    # Tasks are never regrouped then.
    yield candidate(EXACT, SUM, load_of(code))
    for rule in _stops(code, rules, delays, pass_s):
        for estimate in (SUM, *(CACHES if pairing.cacheable else ())):
            yield candidate(rule, estimate, pairing.load)
    if rules.snapshots and pairing.cacheable:
        # Each must be played by itself, so not as many.
        for rule in _stops(code, COARSE, delays, pass_s):
            yield candidate(rule, SNAPSHOTS, pairing.load)


def _stops(code: GradientCode, rules: Rules, delays: DelayModel, pass_s: float) -> Iterator[Spec]:
    most = code.n_arrivals
    for r in sorted({math.ceil(share * most - 1e-9) for share in rules.shares} - {most}):
        yield Spec("fraction", {"r": str(r)})
    for after_s in _deadlines_s(code, rules.quantiles, delays, pass_s):
        yield Spec("deadline", {"after_s": f"{after_s:.3g}"})
    for epsilon in rules.errors:
        yield Spec("residual", {"epsilon": f"{epsilon:g}"})
    if rules.adaptive:
        yield Spec("adaptive")


def _deadlines_s(
    code: GradientCode, quantiles: Sequence[float], delays: DelayModel, pass_s: float
) -> list[float]:
    shares = code.loads / code.n_tasks
    computing_s = compute_times_s(code, pass_s).sum(axis=1)
    times_s = np.array(
        [delays.delays_s(t, shares) + computing_s for t in range(1, QUANTILE_ROUNDS + 1)]
    )
    return sorted({float(d) for d in np.quantile(times_s, quantiles) if d > 0})
