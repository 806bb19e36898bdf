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


def test_the_gradient_of_a_part_is_that_part() -> None:
    rng = np.random.default_rng(2)
    theta = rng.normal(size=10)
    penalty = L2(0.5, np.array([1, 4, 8]))
    whole, in_parts = np.zeros(10), np.full(10, np.nan)
    penalty.add_to(whole, theta)
    for here in (slice(0, 3), slice(3, 4), slice(4, 10)):
        penalty.slope(theta, here, in_parts[here])
    np.testing.assert_array_equal(in_parts, whole)


def test_the_curvature_is_the_weight_where_nothing_is_spared() -> None:
    penalty = L2(0.5, np.array([1]))
    diagonal = np.array([1.0, 2.0, 3.0])
    penalty.add_curvature(diagonal)
    assert diagonal.tolist() == [1.5, 2.0, 3.5]
    way = np.array([1.0, 7.0, -2.0])
    assert penalty.along(way) == pytest.approx(0.5 * 5)
    assert penalty.along(way[1:], slice(1, 3)) == pytest.approx(0.5 * 4)


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


def test_spared_parameters_are_as_if_there_were_no_penalty() -> None:
    """In a step, also where only some of them are in the part that moves."""
    rng = np.random.default_rng(1)
    before, gradient = rng.normal(size=10), rng.normal(size=10)
    spared = np.array([0, 4, 6, 9])
    penalty = L2(0.5, spared)
    kept = before.copy()
    kept[spared] = 0.0
    assert penalty.value(before) == pytest.approx(0.25 * kept @ kept)
    total = gradient.copy()
    penalty.add_to(total, before)
    np.testing.assert_allclose(total, gradient + 0.5 * kept, rtol=1e-14)
    point = before.copy()
    for here in (slice(0, 5), slice(5, 7), slice(7, 10)):
        penalty.descend(point, gradient, 0.1, here, np.empty(here.stop - here.start))
    np.testing.assert_allclose(point, before - 0.1 * total, rtol=1e-14)
    np.testing.assert_array_equal(point[spared], (before - 0.1 * gradient)[spared])


@pytest.mark.parametrize("length", [0, 5, blas.LONGEST, 2 * blas.LONGEST + 3])
def test_squared_norms_of_any_length(length: int) -> None:
    vector = np.random.default_rng(length).normal(size=length)
    assert blas.squared_norm(vector) == pytest.approx(np.sum(vector**2), rel=1e-12)
