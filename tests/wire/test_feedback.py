"""What one vector loses in rounding comes with the next, and what a cache gains by that."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from scipy.optimize import minimize

from erasurehead.arrays import FloatArray
from erasurehead.wire.vectors.base import Packer
from erasurehead.wire.vectors.q8 import BLOCK, Q8

Q8_FORMAT = Q8()


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_worked_example() -> None:
    """Steps of 1/126: a third is 42 steps, .3 is 37.8 steps, of which .2 are made up for."""
    packer = Q8_FORMAT.packer(rng())
    sent = [packer.pack(np.array([1.0, 1 / 3, 0.3])) for _ in range(5)]
    assert [s.arrays[0].tolist() for s in sent] == [
        [126, 42, third] for third in (38, 38, 37, 38, 38)
    ]
    np.testing.assert_allclose([s.arrays[1][0] for s in sent], 1 / 126)


def test_each_block_has_a_scale_of_its_own() -> None:
    values = np.concatenate([np.full(BLOCK, 1e6), np.linspace(-1e-6, 1e-6, 10)])
    found = Q8_FORMAT.unpack(Q8_FORMAT.pack(values, rng()))
    assert np.abs(found[BLOCK:] - values[BLOCK:]).max() <= 1e-6 * Q8_FORMAT.relative_error


@given(st.integers(1, 30), st.integers(1, 600), st.integers(0, 1000))
def test_no_sum_over_rounds_is_off_by_more_than_one_rounding(
    rounds: int, n: int, seed: int
) -> None:
    """The errors telescope: what is missing at any time is what the last vector lost."""
    draws = np.random.default_rng(seed)
    packer, meant, came = Q8_FORMAT.packer(draws), np.zeros(n), np.zeros(n)
    for _ in range(rounds):
        values = draws.normal(size=n)
        last = values + meant - came
        meant += values
        came += Q8_FORMAT.unpack(packer.pack(values))
        bound = Q8_FORMAT.relative_error * np.abs(last).max()
        assert np.abs(meant - came).max() <= bound + 1e-12


def test_a_vector_that_is_not_finite_leaves_nothing_behind() -> None:
    packer = Q8_FORMAT.packer(rng())
    packer.pack(np.array([1.0, 0.3]))
    assert np.isnan(Q8_FORMAT.unpack(packer.pack(np.array([1.0, np.nan])))).tolist() == [
        False,
        True,
    ]
    first = Q8_FORMAT.packer(rng()).pack(np.array([1.0, 0.3]))
    assert packer.pack(np.array([1.0, 0.3])).arrays[0].tolist() == first.arrays[0].tolist()


class Blocks:
    """A penalised logistic problem whose rows are cut into ten tasks that a cache remembers."""

    def __init__(self) -> None:
        draws = np.random.default_rng(3)
        self.x = (draws.random((600, 300)) < 0.05) * 1.0
        self.y = np.where(self.x @ draws.normal(size=300) + draws.normal(size=600) > 0, 1.0, -1.0)
        self.l2 = 0.01
        done = minimize(
            self.value,
            np.zeros(300),
            jac=lambda w: sum(self.gradient(w, u) for u in range(10)) + self.l2 * w,
            method="L-BFGS-B",
            options={"maxiter": 2000, "ftol": 1e-16, "gtol": 1e-12},
        )
        self.least = float(done.fun)
        self.step = 1 / (0.25 * np.linalg.norm(self.x, 2) ** 2 / 600 + self.l2)

    def value(self, w: FloatArray) -> float:
        return float(np.logaddexp(0, -self.y * (self.x @ w)).mean() + 0.5 * self.l2 * w @ w)

    def gradient(self, w: FloatArray, unit: int) -> FloatArray:
        rows = slice(60 * unit, 60 * unit + 60)
        pull = self.y[rows] / (1 + np.exp(self.y[rows] * (self.x[rows] @ w)))
        return np.asarray(-self.x[rows].T @ pull / 600)

    def floor(self, make: Callable[[], Packer], arrivals: int, rounds: int = 700) -> float:
        """Return the gap at which a cache ends of whose units so many arrive at a time."""
        downwards, packers = make(), [make() for _ in range(10)]
        draws, w, remembered = np.random.default_rng(0), np.zeros(300), np.zeros((10, 300))
        gaps = []
        for round_ in range(rounds):
            received = np.asarray(Q8_FORMAT.unpack(downwards.pack(w)), dtype=np.float64)
            for unit in range(10) if not round_ else draws.permutation(10)[:arrivals]:
                packed = packers[unit].pack(self.gradient(received, unit))
                remembered[unit] = Q8_FORMAT.unpack(packed)
            w = w - self.step * (remembered.sum(axis=0) + self.l2 * w)
            if round_ >= rounds - 50:
                gaps.append(self.value(w) - self.least)
        return float(np.median(gaps)) / (self.value(np.zeros(300)) - self.least)


@pytest.mark.parametrize(
    ("arrivals", "with_feedback", "without"), [(10, 1e-6, 5e-6), (3, 6e-6, 7e-6)]
)
def test_the_floor_of_a_cache_of_eight_bits_is_lower_with_feedback(
    arrivals: int, with_feedback: float, without: float
) -> None:
    """With all arrivals the feedback leaves next to nothing of it; the fewer, the more is left."""
    blocks = Blocks()
    assert blocks.floor(lambda: Q8_FORMAT.packer(rng()), arrivals) < with_feedback
    assert blocks.floor(lambda: Packer(Q8_FORMAT, rng()), arrivals) > without


@pytest.mark.parametrize("n", [0, 1, BLOCK, BLOCK + 1])
def test_sizes_of_any_kind_fit(n: int) -> None:
    packed = Q8_FORMAT.pack(np.ones(n), rng())
    assert Q8_FORMAT.fits(packed)
    assert not Q8_FORMAT.fits(replace(packed, n=n + 1))
    np.testing.assert_array_equal(Q8_FORMAT.unpack(packed), np.ones(n))
