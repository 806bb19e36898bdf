"""Penalties by their formulas."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead import blas
from erasurehead.errors import UsageError
from erasurehead.optimizing.base import Problem, RoundKind
from erasurehead.optimizing.choosing import choose
from erasurehead.optimizing.elastic_net import ElasticNet
from erasurehead.optimizing.making import make_method
from erasurehead.optimizing.penalty import L2
from tests.support.quadratic import KnownCurvature


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


class TestElasticNet:
    """l1 ||theta||_1 + (l2/2) ||theta||^2."""

    SPARED = np.array([1, 4])

    def penalty(self) -> ElasticNet:
        return ElasticNet(0.3, 0.5, self.SPARED)

    def test_its_value_leaves_spared_parameters_out(self) -> None:
        theta = np.array([3.0, 100.0, -4.0, 0.0, -7.0])
        assert self.penalty().value(theta) == pytest.approx(0.3 * 7 + 0.25 * 25)
        assert not self.penalty().smooth
        assert ElasticNet(0.0, 0.5).smooth

    def test_a_proximal_step_is_the_minimum_that_it_says(self) -> None:
        """Against a fine grid; a size for each parameter, in a part of them."""
        rng = np.random.default_rng(0)
        before, sizes = rng.normal(size=8), rng.uniform(0, 4, 8)
        point = before.copy()
        for here in (slice(0, 3), slice(3, 8)):
            self.penalty().shrink(point, sizes[here], here)
        grid = np.linspace(-3, 3, 60_001)
        for j in range(8):
            l1 = 0.0 if j in self.SPARED else 0.3
            cost = (grid - before[j]) ** 2 / (2 * sizes[j]) + l1 * np.abs(grid)
            assert point[j] == pytest.approx(grid[cost.argmin()], abs=2e-4)
        assert (point == 0).any()
        assert not np.signbit(point[point == 0]).any()

    def test_a_step_is_that_of_the_smooth_part_and_then_proximal(self) -> None:
        rng = np.random.default_rng(1)
        before, gradient = rng.normal(size=6), rng.normal(size=6)
        point, expected = before.copy(), before.copy()
        self.penalty().descend(point, gradient, 0.7, slice(1, 5), np.empty(4))
        L2(0.5, self.SPARED).descend(expected, gradient, 0.7, slice(1, 5), np.empty(4))
        self.penalty().shrink(expected, 0.7, slice(1, 5))
        np.testing.assert_array_equal(point, expected)

    def test_the_subgradient_is_zero_where_nothing_is_left_to_gain(self) -> None:
        gradient = np.array([0.2, 0.2, -0.5, 1.0 - 0.3, -0.3])
        theta = np.array([0.0, 0.0, 0.0, -2.0, 0.0])
        self.penalty().add_to(gradient, theta)
        np.testing.assert_allclose(gradient, [0.0, 0.2, -0.2, 0.7 - 0.3 - 1.0, -0.3], atol=1e-15)


def test_a_method_without_proximal_steps_refuses_the_penalty() -> None:
    problem = Problem(np.zeros(2), ElasticNet(0.1, 0.0), KnownCurvature(np.eye(2)))
    with pytest.raises(UsageError, match="'lbfgs' needs a penalty with a gradient, and that of"):
        make_method("lbfgs", "auto", problem)
    make_method("diagonal", "auto", problem)


@pytest.mark.parametrize(
    ("rounds", "bounded", "method"),
    [
        (RoundKind(exact=True), True, "restarted-nesterov"),
        (RoundKind(n_units=5, units_a_round=2.0), True, "diagonal"),
        (RoundKind(), False, "gradient-descent"),
    ],
)
def test_the_method_for_a_penalty_that_is_not_smooth(
    rounds: RoundKind, bounded: bool, method: str
) -> None:
    chosen = choose("auto", "auto", rounds, bounded=bounded, smooth=False)
    assert chosen.optimizer == method
    assert "an L1 penalty needs proximal steps" in chosen.reason
