"""What the theory expects of a scheme, to be shown beside what was simulated."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from erasurehead.coding.base import GradientCode
from erasurehead.decoding.base import Decoder
from erasurehead.schemes.coding import Coding
from erasurehead.stopping.base import StopRule
from erasurehead.straggling.base import DelayModel
from erasurehead.theory.decode_errors import design_error, expander_bound, least_error
from erasurehead.theory.moments import uncovered_bounds
from erasurehead_simulator.laws.decode_errors import error_claim, error_claims, is_unbiased
from erasurehead_simulator.laws.expected_times import (
    LARGE,
    group_size,
    has_tolerance,
    time_claims,
)
from erasurehead_simulator.laws.quantities import Claim, Expectation, Quantity, Relation
from erasurehead_simulator.laws.survivors import Survivors, survivors_under, times_are_alike

LEFT_BY_WAITS = {
    Quantity.ROUND_S: Relation.AT_LEAST,
    Quantity.ERASED_SHARE: Relation.AT_MOST,
}
"""Rounds that also wait for some units last longer, and erase less; errors may go either way."""


def expect(
    coding: Coding,
    delays: DelayModel,
    pass_s: float,
    regroup_after_rounds: int = 0,
    *,
    waits: bool = False,
) -> Expectation:
    """Return what lemmas, bounds and order statistics say of a scheme.

    Nothing, where the master regroups the tasks of slots that differ after
    `regroup_after_rounds`: what holds for the first placement does not for the next. And nothing
    where parts count: those of a slot come one after another, and the formulas are of slots.

    With `waits`, the run's method waits for units that are overdue, and of what would hold without
    these waits only bounds are left.

    Means of erasures and errors are known where the survivors are a uniform random subset of given
    size (`fraction`, slots that are alike and hold equally much) or independent (`deadline`, and
    delays whose distribution is known). Of times see `expected_times`.
    """
    code, session = coding.code, coding.begin()
    decoder, stop = session.decoder, session.stop
    moves = coding.places_by is not None and regroup_after_rounds > 0
    if code.counts_parts or (moves and not times_are_alike(code, delays, pass_s)):
        return Expectation()
    claims = list(time_claims(code, decoder, stop, delays, pass_s))
    if stop.waits_for_all:
        claims += _exact(code, decoder)
    elif code.symbols_per_slot == 1:
        survivors = survivors_under(code, stop, delays, pass_s)
        if survivors is not None:
            claims += _erasures(code, decoder, stop, survivors)
            claims += _errors(code, decoder, survivors)
        if stop.arrivals is not None:
            claims += _whoever_arrives(code, decoder, stop.arrivals)
    # Rounds that have every unit anyway wait for none.
    if waits and not (stop.waits_for_all and group_size(code) is not None):
        claims = [_with_waits(claim) for claim in claims if _outlives_waits(claim)]
    ranks = list(Relation)
    return Expectation(tuple(sorted(claims, key=lambda claim: ranks.index(claim.relation))))


def _outlives_waits(claim: Claim) -> bool:
    left = LEFT_BY_WAITS.get(claim.quantity)
    return left is not None and claim.relation in (Relation.EQUAL, left)


def _with_waits(claim: Claim) -> Claim:
    relation = LEFT_BY_WAITS[claim.quantity]
    return replace(claim, relation=relation, source=f"{claim.source}; overdue units not counted")


def _exact(code: GradientCode, decoder: Decoder) -> Iterator[Claim]:
    grouped = group_size(code) is not None and decoder.exact_when_decodable
    if grouped or has_tolerance(code, decoder):
        for quantity in (Quantity.ERASED_SHARE, Quantity.DECODE_ERROR):
            yield Claim(quantity, Relation.EQUAL, 0.0, "every round is exact")


def _erasures(
    code: GradientCode, decoder: Decoder, stop: StopRule, survivors: Survivors
) -> Iterator[Claim]:
    """A task is erased when no slot that holds it is there, or when the decoder leaves it out."""
    missing, _ = least_error(survivors.missing_tasks())
    relation = Relation.AT_LEAST if decoder.may_leave_tasks_out else Relation.EQUAL
    lemma = "product of the holders' p" if stop.arrivals is None else "Lemma 2"
    yield Claim(Quantity.ERASED_SHARE, relation, missing, lemma)
    equal = group_size(code) is not None and len(set(code.loads.tolist())) == 1
    if stop.arrivals is not None and equal:
        bounds = uncovered_bounds(code.n_workers, code.n_tasks, int(code.loads[0]), stop.arrivals)
        for value, formula in zip(bounds, ("(1-l/k)^r", "exp(-c r/n)"), strict=True):
            yield Claim(Quantity.ERASED_SHARE, Relation.AT_MOST, value, f"Lemma 5, {formula}")


def _errors(code: GradientCode, decoder: Decoder, survivors: Survivors) -> Iterator[Claim]:
    yield from error_claims(decoder, code, survivors)
    least, unbiased = least_error(survivors.missing_tasks())
    yield error_claim(Relation.AT_LEAST, least, "any decoder: erased tasks")
    if math.isfinite(unbiased) and is_unbiased(decoder, code, survivors):
        yield error_claim(Relation.AT_LEAST, unbiased, "any unbiased decoder, arXiv 2006.09638")


def _whoever_arrives(code: GradientCode, decoder: Decoder, r: int) -> Iterator[Claim]:
    """Hold for any r arrivals, adversarial ones too."""
    n, k = code.n_tasks, code.n_workers
    if code.shared_tasks is not None and decoder.no_worse_than_one_step == "optimal":
        value = design_error(n, int(code.loads[0]), code.shared_tasks, r) / n
        yield error_claim(Relation.EQUAL, value, f"any {r} arrivals, arXiv 1904.13373")
    if code.follows_graph and k <= LARGE and decoder.no_worse_than_one_step is not None:
        spectrum = np.linalg.svd(code.matrix.toarray(), compute_uv=False)
        value = expander_bound(float(spectrum[1] / spectrum[0]), 1, k, k - r) ** 2 / n
        yield error_claim(Relation.AT_MOST, value, f"any {r} arrivals, arXiv 1707.03858")
