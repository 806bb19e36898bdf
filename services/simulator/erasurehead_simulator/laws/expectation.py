"""What the theory expects of a scheme, to be shown beside what was simulated."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array, diags_array

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode, RepetitionCode
from erasurehead.decoding.base import Decoder
from erasurehead.decoding.first_copy import GREATEST_WEIGHT, FirstCopyDecoder
from erasurehead.decoding.fixed import FixedDecoder
from erasurehead.decoding.least_squares import LeastSquaresDecoder
from erasurehead.decoding.one_step import OneStepDecoder
from erasurehead.stopping.base import StopRule
from erasurehead.stopping.exact import ExactStop
from erasurehead.stopping.fraction import FractionStop
from erasurehead.stopping.observing import LearningStop
from erasurehead.straggling.base import DelayModel
from erasurehead.theory.decode_errors import (
    coverage_error,
    design_error,
    expander_bound,
    least_error,
    replication_bounds,
)
from erasurehead.theory.moments import uncovered_bounds
from erasurehead_simulator.laws.expected_times import (
    LARGE,
    SUFFICES,
    group_size,
    has_tolerance,
    time_claims,
)
from erasurehead_simulator.laws.quantities import Claim, Expectation, Quantity, Relation
from erasurehead_simulator.laws.survivors import (
    Independent,
    Survivors,
    UniformSubset,
    survivors_under,
    times_are_alike,
)
from erasurehead_simulator.virtual.ideal import SchemeParts

LEARNT_SCATTER = 5e-3
"""Decode errors that come from the scatter of what is learnt, which formulas leave out."""


def expect(
    parts: SchemeParts, delays: DelayModel, pass_s: float, regroup_after_rounds: int = 0
) -> Expectation:
    """Return what lemmas, bounds and order statistics say of a scheme.

    Nothing, where the tasks of slots that differ are placed anew after `regroup_after_rounds`:
    what holds for the first placement does not for the next.

    Means of erasures and errors are known where the survivors are a uniform random subset of given
    size (`fraction`, slots that are alike and hold equally much) or independent (`deadline`, and
    delays whose distribution is known). Of times see `expected_times`.
    """
    code, decoder = parts.code, parts.decoder
    moves = parts.placement is not None and regroup_after_rounds > 0
    if moves and not times_are_alike(code, delays, pass_s):
        return Expectation()
    stop = parts.stop.rule if isinstance(parts.stop, LearningStop) else parts.stop
    claims = list(time_claims(code, decoder, stop, delays, pass_s))
    if isinstance(stop, ExactStop):
        claims += _exact(code, decoder)
    elif code.symbols_per_slot == 1:
        survivors = survivors_under(code, stop, delays, pass_s)
        if survivors is not None:
            claims += _erasures(code, decoder, stop, survivors)
            claims += _errors(code, decoder, survivors)
        if isinstance(stop, FractionStop):
            claims += _whoever_arrives(code, decoder, stop.r)
    ranks = list(Relation)
    return Expectation(tuple(sorted(claims, key=lambda claim: ranks.index(claim.relation))))


def _exact(code: GradientCode, decoder: Decoder) -> Iterator[Claim]:
    grouped = group_size(code) is not None and isinstance(decoder, SUFFICES)
    if grouped or has_tolerance(code, decoder):
        for quantity in (Quantity.ERASED_SHARE, Quantity.DECODE_ERROR):
            yield Claim(quantity, Relation.EQUAL, 0.0, "every round is exact")


def _erasures(
    code: GradientCode, decoder: Decoder, stop: StopRule, survivors: Survivors
) -> Iterator[Claim]:
    """A task is erased when nobody who holds it is there, or when the decoder leaves it out."""
    missing, _ = least_error(survivors.missing_tasks())
    adds_all = isinstance(decoder, FirstCopyDecoder | FixedDecoder | OneStepDecoder)
    relation = Relation.EQUAL if adds_all else Relation.AT_LEAST
    lemma = "Lemma 2" if isinstance(stop, FractionStop) else "product of the holders' p"
    yield Claim(Quantity.ERASED_SHARE, relation, missing, lemma)
    size = group_size(code)
    if isinstance(stop, FractionStop) and size is not None and len(set(code.loads.tolist())) == 1:
        bounds = uncovered_bounds(code.n_workers, code.n_tasks, int(code.loads[0]), stop.r)
        for value, formula in zip(bounds, ("(1-l/k)^r", "exp(-c r/n)"), strict=True):
            yield Claim(Quantity.ERASED_SHARE, Relation.AT_MOST, value, f"Lemma 5, {formula}")


def _errors(code: GradientCode, decoder: Decoder, survivors: Survivors) -> Iterator[Claim]:
    if isinstance(decoder, FirstCopyDecoder) and isinstance(code, RepetitionCode):
        yield from _first_copy(code, decoder, survivors)
    elif isinstance(decoder, FixedDecoder):
        yield from _fixed(code, decoder, survivors)
    elif _weighs_alike(decoder, code, survivors) and isinstance(survivors, UniformSubset):
        error = _mean_weight_error(code, survivors)
        yield _error(Relation.EQUAL, error, "sampling without replacement")
    elif isinstance(decoder, LeastSquaresDecoder):
        yield from _least_squares(code, survivors)
    least, unbiased = least_error(survivors.missing_tasks())
    yield _error(Relation.AT_LEAST, least, "any decoder: erased tasks")
    if math.isfinite(unbiased) and _is_unbiased(code, decoder, survivors):
        yield _error(Relation.AT_LEAST, unbiased, "any unbiased decoder, arXiv 2006.09638")


def _is_unbiased(code: GradientCode, decoder: Decoder, survivors: Survivors) -> bool:
    """True when task weights are 1 on average, or nearly where they are learnt."""
    if isinstance(decoder, FirstCopyDecoder) and isinstance(code, RepetitionCode):
        if decoder.scale == "coverage":
            return False
        q = survivors.missing_groups(code)
        return bool(np.allclose((1.0 - q) * _group_weights(decoder, q), 1.0))
    if isinstance(decoder, FixedDecoder):
        weights = decoder.weights(survivors.late if decoder.given is None else decoder.given)
    elif _weighs_alike(decoder, code, survivors):
        weights = np.full(code.n_workers, _mean_weight(code, survivors))
    else:
        return False
    return bool(np.allclose(((1.0 - survivors.late) * weights) @ code.matrix, 1.0))


def _error(relation: Relation, value: float, source: str) -> Claim:
    return Claim(Quantity.DECODE_ERROR, relation, value, source)


def _fixed(code: GradientCode, decoder: FixedDecoder, survivors: Survivors) -> Iterator[Claim]:
    late = survivors.late
    if decoder.given is not None:
        error = survivors.error(_weighted(code, decoder.weights(decoder.given)))
        yield _error(Relation.EQUAL, error, "variance and bias of fixed weights")
    else:
        error = survivors.error(_weighted(code, decoder.weights(late)))
        if error > LEARNT_SCATTER:
            yield _error(Relation.ABOUT, error, "fixed weights, p learnt")
    copies = np.unique(code.replication)
    equal = isinstance(survivors, Independent) and len(copies) == len(np.unique(late)) == 1
    if equal and _is_unbiased(code, decoder, survivors):
        _, least = replication_bounds(float(late[0]), int(copies[0]))
        yield _error(Relation.AT_LEAST, least, "fixed unbiased weights, arXiv 2006.09638")


def _least_squares(code: GradientCode, survivors: Survivors) -> Iterator[Claim]:
    if isinstance(code, RepetitionCode):
        share = float(np.mean(survivors.missing_tasks()))
        yield _error(Relation.EQUAL, share, "erased groups, arXiv 1711.06771")
    elif isinstance(survivors, UniformSubset) and code.matrix.data.min(initial=0.0) >= 0:
        bound = _mean_weight_error(code, survivors)
        yield _error(Relation.AT_MOST, bound, "no worse than one-step")


def _first_copy(
    code: RepetitionCode, decoder: FirstCopyDecoder, survivors: Survivors
) -> Iterator[Claim]:
    q = survivors.missing_groups(code)
    share = code.block_sizes / code.n_tasks
    if decoder.scale == "coverage":
        equal = len(np.unique(code.block_sizes)) == 1 and group_size(code) is not None
        if equal and code.n_workers <= LARGE:
            value = coverage_error(survivors.covered_groups(code))
            yield _error(Relation.EQUAL, value, "sum over m covered of P(m) (B-m)/m")
        return
    weights = _group_weights(decoder, q)
    value = float(share @ (q + (1.0 - q) * (weights - 1.0) ** 2))
    known = decoder.fixed_weights is not None
    source = "erased groups" if decoder.scale == "none" else "groups erased and their weights"
    yield _error(Relation.EQUAL if known else Relation.ABOUT, value, source)


def _group_weights(decoder: FirstCopyDecoder, q: FloatArray) -> FloatArray:
    """Return the weight of each block, what it will be where it is learnt."""
    if decoder.fixed_weights is not None:
        return decoder.fixed_weights
    return np.asarray(1.0 / np.maximum(1.0 - q, 1.0 / GREATEST_WEIGHT))


def _whoever_arrives(code: GradientCode, decoder: Decoder, r: int) -> Iterator[Claim]:
    """Hold for any r arrivals, adversarial ones too."""
    n, k = code.n_tasks, code.n_workers
    solves = isinstance(decoder, LeastSquaresDecoder)
    if code.name == "design" and (
        solves or (isinstance(decoder, OneStepDecoder) and decoder.scale == "optimal")
    ):
        value = design_error(n, int(code.loads[0]), 1, r) / n
        yield _error(Relation.EQUAL, value, f"any {r} arrivals, arXiv 1904.13373")
    if code.name == "expander" and k <= LARGE and (solves or isinstance(decoder, OneStepDecoder)):
        spectrum = np.linalg.svd(code.matrix.toarray(), compute_uv=False)
        value = expander_bound(float(spectrum[1] / spectrum[0]), 1, k, k - r) ** 2 / n
        yield _error(Relation.AT_MOST, value, f"any {r} arrivals, arXiv 1707.03858")


def _weighs_alike(decoder: Decoder, code: GradientCode, survivors: Survivors) -> bool:
    """True for one-step decoding with the same weight whoever arrives.

    Fewer than r arrivals that happen to decode exactly would close the round, with another weight;
    they must hold every task.
    """
    if not isinstance(decoder, OneStepDecoder) or decoder.scale != "mean":
        return False
    if not isinstance(survivors, UniformSubset):
        return False
    most = np.sort(code.loads)[::-1][: survivors.r - 1].sum()
    return bool(most < code.n_tasks)


def _mean_weight(code: GradientCode, survivors: Survivors) -> float:
    """Return the weight with which task weights are 1 on average over all tasks and survivors."""
    n_arrivals = float(np.sum(1.0 - survivors.late))
    return code.n_tasks * code.n_workers / (float(code.matrix.sum()) * n_arrivals)


def _mean_weight_error(code: GradientCode, survivors: UniformSubset) -> float:
    weights = np.full(code.n_workers, _mean_weight(code, survivors))
    return survivors.error(_weighted(code, weights))


def _weighted(code: GradientCode, weights: FloatArray) -> csr_array:
    return csr_array(diags_array(weights) @ code.matrix)
