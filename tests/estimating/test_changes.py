"""Weights that differ from unit to unit, and stay the same: old vectors are hardly read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from erasurehead.coding import CODES
from erasurehead.estimating import ESTIMATES
from erasurehead.estimating.coded_vector import CodedVector
from tests.support.estimate_rounds import decoding, step


@pytest.mark.parametrize("name", ["saga", "svrg:every=3"])
def test_constant_weights_that_differ_are_weighed_from_memory(name: str) -> None:
    """Weights 1, 2, ..., some slots missing, stale results in between: the formula in every round,
    and with everybody there no old vector is read."""
    k, parameters = 6, 5
    code = CODES.build("uncoded", k, None, np.random.default_rng(0))
    estimate = ESTIMATES.build(name, code, parameters, False)
    rng = np.random.default_rng(3)
    weights = np.arange(1.0, k + 1)
    known, fresh_round = np.zeros((k, parameters)), np.zeros(k, dtype=int)
    for number in range(1, 16):
        everybody = number in (1, 4, 7, 8, 9, 10, 13)
        slots = rng.permutation(k)[: k if everybody else rng.integers(0, k + 1)].tolist()
        if name == "saga" and number % 3 == 0:
            stale = int(np.argmin(fresh_round))
            late = rng.normal(size=parameters)
            estimate.begin()
            estimate.late(CodedVector(stale, None, late), age=1)
            if number - 1 > fresh_round[stale]:
                known[stale], fresh_round[stale] = late, number - 1
        else:
            estimate.begin()
        news = rng.normal(size=(k, parameters))
        if number in (9, 10):  # nobody is missing, nobody was: old vectors may be anything
            assert estimate.memory is not None
            unknown = np.full(parameters, np.nan)
            estimate.memory.known = [
                replace(unit, values=unknown) for unit in estimate.memory.known
            ]
        for slot in slots:
            estimate.fold(CodedVector(slot, None, news[slot]), float(weights[slot]))
        gradient, _ = step(estimate, decoding(0.5))
        expected = known.sum(axis=0) + 0.5 * weights[slots] @ (news[slots] - known[slots])
        snapshot = (number - 1) % 3 == 0
        if name == "saga" or (snapshot and len(slots) == k):
            if name != "saga":
                expected = news.sum(axis=0)
            known[slots], fresh_round[slots] = news[slots], number
        np.testing.assert_allclose(gradient, expected, atol=1e-12)
