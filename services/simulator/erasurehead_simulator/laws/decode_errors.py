"""What is known of the mean decode error, decoder by decoder.

A decoder that is not here has no formulas; others register theirs with `error_claims` and, if they
are unbiased at times, with `is_unbiased`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch

import numpy as np
from scipy.sparse import csr_array, diags_array

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode
from erasurehead.decoding.base import Decoder
from erasurehead.decoding.first_copy import GREATEST_WEIGHT, FirstCopyDecoder
from erasurehead.decoding.fixed import FixedDecoder
from erasurehead.decoding.least_squares import LeastSquaresDecoder
from erasurehead.decoding.one_step import OneStepDecoder
from erasurehead.theory.decode_errors import coverage_error, replication_bounds
from erasurehead_simulator.laws.expected_times import LARGE, group_size
from erasurehead_simulator.laws.quantities import Claim, Quantity, Relation
from erasurehead_simulator.laws.survivors import Survivors

LEARNT_SCATTER = 5e-3
"""Decode errors that come from the scatter of what is learnt, which formulas leave out."""


@singledispatch
def error_claims(decoder: Decoder, code: GradientCode, survivors: Survivors) -> Iterator[Claim]:
    """Yield what formulas say of the mean decode error under random survivors."""
    return iter(())


@singledispatch
def is_unbiased(decoder: Decoder, code: GradientCode, survivors: Survivors) -> bool:
    """Return True when task weights are 1 on average, or nearly where they are learnt."""
    return False


@error_claims.register
def _(decoder: FirstCopyDecoder, code: GradientCode, survivors: Survivors) -> Iterator[Claim]:
    groups = decoder.groups
    q = survivors.missing_groups(groups)
    share = groups.block_sizes / code.n_tasks
    if decoder.scale == "coverage":
        equal = len(np.unique(groups.block_sizes)) == 1 and group_size(code) is not None
        if equal and code.n_workers <= LARGE:
            value = coverage_error(survivors.covered_groups(groups))
            yield error_claim(Relation.EQUAL, value, "sum over m covered of P(m) (B-m)/m")
        return
    weights = _group_weights(decoder, q)
    value = float(share @ (q + (1.0 - q) * (weights - 1.0) ** 2))
    known = decoder.fixed_weights is not None
    source = "erased groups" if decoder.scale == "none" else "groups erased and their weights"
    yield error_claim(Relation.EQUAL if known else Relation.ABOUT, value, source)


@is_unbiased.register
def _(decoder: FirstCopyDecoder, code: GradientCode, survivors: Survivors) -> bool:
    if decoder.scale == "coverage":
        return False
    q = survivors.missing_groups(decoder.groups)
    return bool(np.allclose((1.0 - q) * _group_weights(decoder, q), 1.0))


@error_claims.register
def _(decoder: FixedDecoder, code: GradientCode, survivors: Survivors) -> Iterator[Claim]:
    late = survivors.late
    if decoder.given is not None:
        error = survivors.error(_weighted(code, decoder.weights(decoder.given)))
        yield error_claim(Relation.EQUAL, error, "variance and bias of fixed weights")
    else:
        error = survivors.error(_weighted(code, decoder.weights(late)))
        if error > LEARNT_SCATTER:
            yield error_claim(Relation.ABOUT, error, "fixed weights, p learnt")
    copies = np.unique(code.replication)
    equal = survivors.independent and len(copies) == len(np.unique(late)) == 1
    if equal and is_unbiased(decoder, code, survivors):
        _, least = replication_bounds(float(late[0]), int(copies[0]))
        yield error_claim(Relation.AT_LEAST, least, "fixed unbiased weights, arXiv 2006.09638")


@is_unbiased.register
def _(decoder: FixedDecoder, code: GradientCode, survivors: Survivors) -> bool:
    weights = decoder.weights(survivors.late if decoder.given is None else decoder.given)
    return _weights_are_unbiased(weights, code, survivors)


@error_claims.register
def _(decoder: OneStepDecoder, code: GradientCode, survivors: Survivors) -> Iterator[Claim]:
    if _weighs_alike(decoder, code, survivors):
        error = _mean_weight_error(code, survivors)
        yield error_claim(Relation.EQUAL, error, "sampling without replacement")


@is_unbiased.register
def _(decoder: OneStepDecoder, code: GradientCode, survivors: Survivors) -> bool:
    if not _weighs_alike(decoder, code, survivors):
        return False
    weights = np.full(code.n_workers, _mean_weight(code, survivors))
    return _weights_are_unbiased(weights, code, survivors)


@error_claims.register
def _(decoder: LeastSquaresDecoder, code: GradientCode, survivors: Survivors) -> Iterator[Claim]:
    if code.groups is not None:
        share = float(np.mean(survivors.missing_tasks()))
        yield error_claim(Relation.EQUAL, share, "erased groups, arXiv 1711.06771")
    elif survivors.size is not None and code.matrix.data.min(initial=0.0) >= 0:
        bound = _mean_weight_error(code, survivors)
        yield error_claim(Relation.AT_MOST, bound, "no worse than one-step")


def error_claim(relation: Relation, value: float, source: str) -> Claim:
    """Return a claim about the mean decode error."""
    return Claim(Quantity.DECODE_ERROR, relation, value, source)


def _group_weights(decoder: FirstCopyDecoder, q: FloatArray) -> FloatArray:
    """Return the weight of each block, what it will be where it is learnt."""
    if decoder.fixed_weights is not None:
        return decoder.fixed_weights
    return np.asarray(1.0 / np.maximum(1.0 - q, 1.0 / GREATEST_WEIGHT))


def _weights_are_unbiased(weights: FloatArray, code: GradientCode, survivors: Survivors) -> bool:
    return bool(np.allclose(((1.0 - survivors.late) * weights) @ code.matrix, 1.0))


def _weighs_alike(decoder: OneStepDecoder, code: GradientCode, survivors: Survivors) -> bool:
    """True for one-step decoding with the same weight for any set of arrivals.

    Fewer than r arrivals that happen to decode exactly would close the round, with another weight;
    they must hold every task.
    """
    if decoder.scale != "mean" or survivors.size is None:
        return False
    most = np.sort(code.loads)[::-1][: survivors.size - 1].sum()
    return bool(most < code.n_tasks)


def _mean_weight(code: GradientCode, survivors: Survivors) -> float:
    """Return the weight with which task weights are 1 on average over all tasks and survivors."""
    n_arrivals = float(np.sum(1.0 - survivors.late))
    return code.n_tasks * code.n_workers / (float(code.matrix.sum()) * n_arrivals)


def _mean_weight_error(code: GradientCode, survivors: Survivors) -> float:
    weights = np.full(code.n_workers, _mean_weight(code, survivors))
    return survivors.error(_weighted(code, weights))


def _weighted(code: GradientCode, weights: FloatArray) -> csr_array:
    return csr_array(diags_array(weights) @ code.matrix)
