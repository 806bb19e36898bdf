"""Bits for unequal stragglers: worked allocations, a brute force, and the quantiser's variance."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.theory.quantization import best_bits, quantized_reliability, relative_variance

P = np.array([0.05, 0.1, 0.2, 0.3, 0.5, 0.7])


def total(bits: IntArray, spread: float, p: FloatArray = P) -> float:
    return float(quantized_reliability(p, bits, spread).sum())


def one_bit_at_a_time(budget: int, spread: float) -> IntArray:
    bits = np.zeros(len(P), dtype=np.int64)
    for _ in range(budget):
        gains = [total(bits + np.eye(len(P), dtype=np.int64)[i], spread) for i in range(len(P))]
        bits[int(np.argmax(gains))] += 1
    return bits


@pytest.mark.parametrize(
    ("spread", "budget", "bits", "best", "greedy", "uniform"),
    [
        (10.0, 12, [7, 5, 0, 0, 0, 0], 26.919, 25.173, 3.144),
        (1000.0, 36, [11, 9, 8, 8, 0, 0], 33.512, 31.053, 9.722),
    ],
)
def test_worked_allocations(
    spread: float, budget: int, bits: list[int], best: float, greedy: float, uniform: float
) -> None:
    found = best_bits(P, budget, spread)
    assert found.tolist() == bits
    assert total(found, spread) == pytest.approx(best, abs=5e-4)
    assert total(one_bit_at_a_time(budget, spread), spread) == pytest.approx(greedy, abs=5e-4)
    assert total(np.full(6, budget // 6), spread) == pytest.approx(uniform, abs=5e-4)


def test_best_bits_by_brute_force() -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        p, spread = rng.uniform(0.05, 0.9, 3), float(rng.uniform(1, 500))
        best = max(
            total(np.array(bits), spread, p)
            for bits in itertools.product(range(11), repeat=3)
            if sum(bits) == 10
        )
        found = best_bits(p, 10, spread)
        assert found.sum() == 10
        assert total(found, spread, p) == pytest.approx(best, rel=1e-12)


def test_variance_of_the_quantiser() -> None:
    """200 columns, 4 bits: a stochastic uniform quantiser has .151, within the bound .222."""
    rng = np.random.default_rng(1)
    bound = float(relative_variance(np.array([4]), 200 / 4)[0])
    assert bound == pytest.approx(0.222, abs=5e-4)
    levels, found = 2**4 - 1, []
    for _ in range(400):
        v = rng.normal(size=200)
        norm = float(np.linalg.norm(v))
        share = np.abs(v) / norm * levels
        sent = np.floor(share) + (rng.random(200) < share % 1.0)
        found.append(float(np.sum((np.sign(v) * sent * norm / levels - v) ** 2)) / norm**2)
    assert np.mean(found) == pytest.approx(0.151, abs=0.005)
    assert max(found) < bound
