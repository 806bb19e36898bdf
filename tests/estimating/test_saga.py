"""SAGA's estimate against its formula in dense arithmetic."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from erasurehead.arrays import FloatArray
from erasurehead.coding import CODES
from erasurehead.decoding import DECODERS
from erasurehead.decoding.base import DecoderContext, Decoding
from erasurehead.estimating import ESTIMATES
from erasurehead.estimating.coded_vector import CodedVector
from tests.support.estimate_rounds import decoding, step, uncoded_estimate
from tests.support.grouped import groups_of


def test_saga_is_unbiased_whatever_is_remembered() -> None:
    """Mean of g_hat over all arrival sets of a round is the gradient, for stale caches too."""
    rng = np.random.default_rng(0)
    code = CODES.build("frc:c=2", 6, None, rng)
    decoder = DECODERS.build("first-copy:scale=unbiased", code, DecoderContext(3))
    A = code.matrix.toarray()
    old, new = rng.normal(size=(6, 4)), rng.normal(size=(6, 4))
    estimates = []
    for arrived in itertools.combinations(range(6), 3):
        estimate = ESTIMATES.build("saga", code, 4, False)
        for gradients, slots in ((old, (0, 1, 2, 3)), (new, arrived)):
            decoder.begin()
            estimate.begin()
            for slot in slots:
                sent = CodedVector(slot, None, A[slot] @ gradients, float(gradients[0, 0]))
                estimate.take(sent, decoder.arrive(slot))
            gradient, _ = step(estimate, decoder.finish())
        estimates.append(gradient.copy())
    np.testing.assert_allclose(np.mean(estimates, axis=0), new.sum(axis=0), atol=1e-12)


def test_supports_are_kept_and_may_change() -> None:
    """Values live on their support; a unit whose support changes is replaced as a whole."""
    estimate = uncoded_estimate("saga", k=2)
    estimate.begin()
    estimate.fold(CodedVector(0, np.array([1, 3]), np.array([1.0, 2.0]), 0.5), 1.0)
    estimate.fold(CodedVector(1, None, np.array([1.0, 1, 1, 1]), 0.25), 1.0)
    gradient, loss = step(estimate, decoding())
    assert gradient.tolist() == [1, 2, 1, 3]
    assert loss == 0.75
    estimate.begin()
    estimate.fold(CodedVector(0, np.array([0]), np.array([5.0]), 1.5), 2.0)
    gradient, loss = step(estimate, decoding())
    # total + 2 (new - old): old was (0, 1, 0, 2), new is (5, 0, 0, 0).
    assert gradient.tolist() == [1 + 10, 2 - 2, 1, 3 - 4]
    assert loss == 0.75 + 2.0
    estimate.begin()
    assert step(estimate, decoding())[0].tolist() == [6, 1, 1, 1]


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_any_weights_on_any_supports_give_the_formula(seed: int) -> None:
    """Random rounds of two copies a block: folded or held, weighted alike or not, dense or sparse,
    second copies counted, too. g_hat = sum_b h_b + sum_i w_i (y_i - h_b(i)) in dense arithmetic."""
    rng = np.random.default_rng(seed)
    k, parameters = 6, 7
    code = CODES.build("frc:c=2,groups=consecutive", k, None, rng)
    estimate = ESTIMATES.build("saga", code, parameters, False)
    remembered = np.zeros((groups_of(code).count, parameters))
    losses = np.zeros(groups_of(code).count)
    supports = [np.sort(rng.permutation(parameters)[:4]) for _ in range(groups_of(code).count)]
    for _ in range(5):
        estimate.begin()
        folds, scale = rng.random() < 0.5, float(rng.choice([1.0, 1.5]))
        alike = float(rng.normal()) if rng.random() < 0.5 else None
        change, loss_change = np.zeros(parameters), 0.0
        fresh: dict[int, tuple[FloatArray, float]] = {}
        held: dict[int, float] = {}
        news = rng.normal(size=(groups_of(code).count, parameters))
        for slot in sorted(rng.permutation(k)[: rng.integers(0, k + 1)].tolist()):
            block = int(groups_of(code).of_symbol[slot])
            support = None if rng.random() < 0.3 else supports[block]
            vector = news[block].copy() if support is None else np.zeros(parameters)
            if support is not None:
                vector[support] = news[block][support]
            values = vector if support is None else vector[support]
            weight = alike or float(rng.choice([0.5, 1.0, 2.0]))
            loss = float(rng.normal())
            sent = CodedVector(slot, support, values, loss)
            if folds:
                estimate.fold(sent, weight)
                weight *= scale
            else:
                estimate.hold(sent)
                held[slot] = weight
            change += weight * (vector - remembered[block])
            loss_change += weight * (loss - losses[block])
            fresh.setdefault(block, (vector, loss))
        gradient, loss_sum = step(estimate, decoding(scale if folds else 1.0, held))
        np.testing.assert_allclose(gradient, remembered.sum(axis=0) + change, atol=1e-12)
        assert loss_sum == pytest.approx(losses.sum() + loss_change, abs=1e-12)
        for block, (vector, loss) in fresh.items():
            remembered[block], losses[block] = vector, loss


@settings(max_examples=40)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(
        ["cyclic-mds:s=2", "cyclic-mds:s=2,field=complex", "bernoulli:c=5", "pairwise-balanced:d=2"]
    ),
)
def test_units_may_have_weights_of_their_own(seed: int, spec: str) -> None:
    """g_hat = sum_u c_u h_u + sum_i w_i (y_i - h_i), c of least norm with A^T c = 1, whatever the
    decoder's weights, folded and held; late results in between. In dense arithmetic."""
    rng = np.random.default_rng(seed)
    parameters = 4
    code = CODES.build(spec, 7, None, np.random.default_rng(7))
    estimate = ESTIMATES.build("saga", code, parameters, False)
    A = code.matrix.toarray()
    c = np.linalg.lstsq(A.T, np.ones(code.n_tasks), rcond=None)[0]
    np.testing.assert_allclose(c @ A, 1.0)
    known, seen = np.zeros((code.n_symbols, parameters)), np.zeros(code.n_symbols, dtype=int)
    for number in range(1, 6):
        estimate.begin()
        news = rng.normal(size=known.shape)
        change = np.zeros(parameters)
        stale = int(rng.integers(code.n_symbols))
        if seen[stale] < number - 1:
            values = rng.normal(size=parameters)
            estimate.late(CodedVector(stale, None, values), age=1)
            known[stale], seen[stale] = values, number - 1
        arrived = rng.permutation(code.n_symbols)[: rng.integers(1, code.n_symbols + 1)].tolist()
        folds, alike = rng.random() < 0.5, rng.random() < 0.5
        held: dict[int, float] = {}
        for symbol in arrived:
            weight = float(1.5 * c[symbol] if alike else rng.normal())
            if folds:
                estimate.fold(CodedVector(symbol, None, news[symbol]), weight)
            else:
                estimate.hold(CodedVector(symbol, None, news[symbol]))
                held[symbol] = weight
            change += weight * (news[symbol] - known[symbol])
        gradient, _ = step(estimate, Decoding(1.0, np.ones(1), 1.0, 1.0, 0, held))
        np.testing.assert_allclose(gradient, c @ known + change, atol=1e-11)
        known[arrived], seen[arrived] = news[arrived], number
