"""The plain estimate against dense arithmetic; the ordered one bit for bit."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from erasurehead.coding import CODES
from erasurehead.coding.base import GradientCode
from erasurehead.decoding import DECODERS
from erasurehead.decoding.base import DecoderContext, Decoding
from erasurehead.estimating import ESTIMATES
from erasurehead.estimating.coded_vector import CodedVector
from tests.support.grouped import groups_of

PARAMETERS = 17


def code_of(spec: str, k: int) -> GradientCode:
    return CODES.build(spec, k, None, np.random.default_rng(0))


def decoding(scale: float, held: dict[int, float]) -> Decoding:
    return Decoding(scale, np.ones(1), 0.0, 1.0, 0, held)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["<f8", "<f4"]))
def test_folds_and_holds_equal_dense_arithmetic(seed: int, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    estimate = ESTIMATES.build("sum", code_of("uncoded", 6), PARAMETERS, False)
    for _ in range(2):
        estimate.begin()
        folded, held, loss = np.zeros(PARAMETERS), np.zeros(PARAMETERS), 0.0
        weights: dict[int, float] = {}
        scale = float(rng.normal())
        for symbol in rng.permutation(6)[: rng.integers(0, 7)].tolist():
            size = int(rng.integers(1, PARAMETERS + 1))
            support = None if size == PARAMETERS else np.sort(rng.permutation(PARAMETERS)[:size])
            values = rng.normal(size=size).astype(dtype)
            dense = np.zeros(PARAMETERS)
            dense[slice(None) if support is None else support] = values
            weight, its_loss = float(rng.choice([1.0, rng.normal()])), float(rng.normal())
            if rng.random() < 0.5:
                estimate.fold(CodedVector(symbol, support, values, its_loss), weight)
                folded += weight * dense
                loss += scale * weight * its_loss
            else:
                estimate.hold(CodedVector(symbol, support, values, its_loss))
                weights[symbol] = weight
                held += weight * dense
                loss += weight * its_loss
        gradient, loss_sum = estimate.finish(decoding(scale, weights))
        np.testing.assert_allclose(gradient, scale * folded + held, atol=1e-12)
        assert loss_sum == pytest.approx(loss, abs=1e-12)
        gradient *= 7.0  # the caller's right


def ordered_sums(spec: str, k: int, orders: list[tuple[int, ...]]) -> list[tuple[bytes, float]]:
    """The estimate's bytes for several orders of arrival of the same gradients."""
    code = code_of(spec, k)
    rng = np.random.default_rng(1)
    per_block = rng.normal(size=(groups_of(code).count, PARAMETERS)) * 10.0 ** rng.integers(
        -9, 9, PARAMETERS
    )
    decoder = DECODERS.build("first-copy", code, DecoderContext())
    estimate = ESTIMATES.build("sum", code, PARAMETERS, True)
    sums = []
    for order in orders:
        decoder.begin()
        estimate.begin()
        for slot in order:
            weight = decoder.arrive(slot)
            block = groups_of(code).of_symbol[slot]
            sent = CodedVector(slot, None, per_block[block], float(per_block[block, 0]))
            estimate.take(sent, weight)
        gradient, loss = estimate.finish(decoder.finish())
        sums.append((gradient.tobytes(), loss))
    return sums


def test_ordered_sums_do_not_depend_on_the_order_of_arrival() -> None:
    orders = list(itertools.permutations(range(5)))
    assert len(set(ordered_sums("uncoded", 5, orders))) == 1


def test_ordered_sums_do_not_depend_on_which_copy_came_first() -> None:
    rng = np.random.default_rng(2)
    orders = [tuple(rng.permutation(12).tolist()) for _ in range(50)]
    assert len(set(ordered_sums("frc:c=3", 12, orders))) == 1


def test_a_streaming_estimate_keeps_no_vectors() -> None:
    """After 30 dense and 30 sparse folds the estimate holds one dense sum and nothing else."""
    estimate = ESTIMATES.build("sum", code_of("uncoded", 30), PARAMETERS, False)
    for support in (None, np.arange(PARAMETERS)):
        estimate.begin()
        for symbol in range(30):
            estimate.fold(CodedVector(symbol, support, np.ones(PARAMETERS)), 0.5)

    def floats(part: Any) -> int:
        if isinstance(part, np.ndarray):
            return part.size
        if isinstance(part, dict):
            return sum(map(floats, part.values()))
        if isinstance(part, (list, tuple)):
            return sum(map(floats, part))
        if dataclasses.is_dataclass(part):
            return sum(floats(getattr(part, field.name)) for field in dataclasses.fields(part))
        return sum(map(floats, vars(part).values())) if hasattr(part, "__dict__") else 0

    assert floats(estimate) == PARAMETERS


def test_values_in_order_are_folded_at_once() -> None:
    """An ordered estimate keeps only what came before its turn."""
    code = code_of("uncoded", 4)
    estimate = ESTIMATES.build("sum", code, PARAMETERS, True)
    estimate.begin()
    for slot in (0, 1, 3):
        estimate.fold(CodedVector(slot, None, np.full(PARAMETERS, float(slot))), 1.0)
    assert len(vars(estimate)["_early"]) == 1
    gradient, _ = estimate.finish(decoding(1.0, {}))
    assert gradient.tolist() == [4.0] * PARAMETERS
