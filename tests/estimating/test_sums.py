"""Weighted sums of long vectors: alone, and several at once in parts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from erasurehead import blas
from erasurehead.arrays import FloatArray, IntArray, Vector
from erasurehead.estimating.sums import PENDING_VECTORS, Accumulator, JointSums
from erasurehead.parts import Work, at_once

WEIGHTS = (1.0, -1.0, 0.25, 3.0)
Sent = tuple[IntArray | None, Vector]


def vectors(n_parameters: int, n_vectors: int, seed: int) -> list[Sent]:
    """Dense and sparse ones, in double and single precision."""
    rng = np.random.default_rng(seed)
    sent: list[Sent] = []
    for index in range(n_vectors):
        support = None
        if index % 3 == 1:
            support = np.sort(rng.permutation(n_parameters)[: n_parameters // 2])
        values = rng.standard_normal(n_parameters if support is None else len(support))
        sent.append((support, values.astype(np.float32) if index % 4 == 2 else values))
    return sent


def summed(n_parameters: int, sent: list[Sent], weights: list[float]) -> FloatArray:
    total = np.zeros(n_parameters)
    for (support, values), weight in zip(sent, weights, strict=True):
        total[slice(None) if support is None else support] += weight * values.astype(np.float64)
    return total


def in_thirds(n_parameters: int, work: Work) -> None:
    cuts = (0, n_parameters // 3, 2 * n_parameters // 3, n_parameters)
    for lo, hi in pairwise(cuts):
        work(slice(lo, hi))


@given(
    n_parameters=st.sampled_from([1, 5, blas.LONGEST, 2 * blas.LONGEST + 3]),
    weights=st.lists(st.sampled_from(WEIGHTS), max_size=2 * PENDING_VECTORS + 1),
    seed=st.integers(0, 99),
    dirty=st.booleans(),
)
def test_sums_are_what_numpy_says(
    n_parameters: int, weights: list[float], seed: int, dirty: bool
) -> None:
    """Whatever was in the sum before it was cleared; alone, or in parts with another sum."""
    sent = vectors(n_parameters, len(weights), seed)
    alone, one, other = (Accumulator(n_parameters) for _ in range(3))
    joint = JointSums()
    for total in (alone, one, other):
        if dirty:
            total.add(None, np.full(n_parameters, np.nan), 1.0)
        total.clear()
    for (support, values), weight in zip(sent, weights, strict=True):
        alone.add(support, values, weight)
        joint.add(support, values, [(one, weight), (other, 0.5)])
        if joint.is_full:
            joint.flush(in_thirds)
    joint.flush(in_thirds)
    expected = summed(n_parameters, sent, weights)
    np.testing.assert_allclose(alone.sum, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(one.sum, expected, rtol=1e-12, atol=1e-12)
    halved = summed(n_parameters, sent, [0.5] * len(sent))
    np.testing.assert_allclose(other.sum, halved, rtol=1e-12, atol=1e-12)


def test_what_waits_can_be_dropped() -> None:
    total, joint = Accumulator(3), JointSums()
    joint.add(None, np.ones(3), [(total, 1.0)])
    joint.drop()
    joint.flush(at_once)
    assert total.sum.tolist() == [0.0] * 3
