"""Penalties by their formulas."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead import blas
from erasurehead.optimizing.penalty import L2


def test_the_value_is_half_the_squared_norm_times_the_weight() -> None:
    assert L2(0.5).value(np.array([3.0, 4.0])) == pytest.approx(6.25)
    assert L2(0.0).value(np.array([np.inf])) == 0.0


def test_the_gradient_is_that_of_the_value() -> None:
    theta, gradient = np.array([3.0, -4.0]), np.array([1.0, 1.0])
    L2(0.5).add_to(gradient, theta)
    assert gradient.tolist() == [2.5, -1.0]


def test_a_step_goes_against_both_gradients_and_moves_its_part_alone() -> None:
    rng = np.random.default_rng(0)
    before, gradient = rng.normal(size=10), rng.normal(size=10)
    gradient.flags.writeable = False
    point = before.copy()
    L2(0.5).descend(point, gradient, 0.1, slice(3, 7), np.empty(4))
    moved = before - 0.1 * (gradient + 0.5 * before)
    np.testing.assert_allclose(point[3:7], moved[3:7], rtol=1e-14)
    np.testing.assert_array_equal(point[:3], before[:3])
    np.testing.assert_array_equal(point[7:], before[7:])


@pytest.mark.parametrize("length", [0, 5, blas.LONGEST, 2 * blas.LONGEST + 3])
def test_squared_norms_of_any_length(length: int) -> None:
    vector = np.random.default_rng(length).normal(size=length)
    assert blas.squared_norm(vector) == pytest.approx(np.sum(vector**2), rel=1e-12)
