"""What the mean of anchors leaves out where units curve by themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erasurehead.arrays import FloatArray
from erasurehead.optimizing.unit_curvature import AnchorSpread, UnitCurvature

N_UNITS, N_PARAMETERS = 4, 6
ALL = slice(0, N_PARAMETERS)


def some_diagonals(rng: np.random.Generator) -> FloatArray:
    """Return C_u of all units, shape (units, parameters), a third of them zero but for unit 2."""
    values = rng.uniform(0.1, 2.0, (N_UNITS, N_PARAMETERS))
    values[:2] *= rng.random((2, N_PARAMETERS)) > 1 / 3
    values[3] *= rng.random(N_PARAMETERS) > 1 / 3
    return values


def spread_of(diagonals: FloatArray) -> AnchorSpread:
    curvatures = [
        UnitCurvature(None, row) if row.all() else UnitCurvature(np.flatnonzero(row), row[row > 0])
        for row in diagonals
    ]
    return AnchorSpread(curvatures, N_UNITS, np.ones(N_PARAMETERS), np.float64)


def found(spread: AnchorSpread, mean: FloatArray) -> FloatArray:
    out = np.empty(N_PARAMETERS)
    spread.put(mean, ALL, out)
    return out


@given(st.integers(0, 10_000))
def test_the_gradient_at_the_mean_is_exact_where_units_differ_on_their_diagonals(seed: int) -> None:
    """Unit u has the Hessian H/n + C_u - C/n, and its gradient at its own anchor is known."""
    rng = np.random.default_rng(seed)
    diagonals, anchors = some_diagonals(rng), rng.standard_normal((N_UNITS, N_PARAMETERS))
    shared = rng.standard_normal((N_PARAMETERS, N_PARAMETERS))
    shared = shared @ shared.T / N_UNITS - np.diag(diagonals.mean(axis=0))
    slopes = rng.standard_normal((N_UNITS, N_PARAMETERS))
    hessians = [shared + np.diag(diagonal) for diagonal in diagonals]
    mean = anchors.mean(axis=0)

    def gradient(unit: int, point: FloatArray) -> FloatArray:
        return np.asarray(slopes[unit] + hessians[unit] @ point)

    remembered = sum(gradient(u, anchors[u]) for u in range(N_UNITS))
    spread = spread_of(diagonals)
    spread.take(dict(enumerate(anchors)))
    exact = sum(gradient(u, mean) for u in range(N_UNITS))
    np.testing.assert_allclose(remembered + found(spread, mean), exact, atol=1e-12)


def test_anchors_move_one_by_one_as_if_they_were_taken_afresh() -> None:
    rng = np.random.default_rng(1)
    diagonals, anchors = some_diagonals(rng), rng.standard_normal((N_UNITS, N_PARAMETERS))
    moved, afresh = spread_of(diagonals), spread_of(diagonals)
    moved.take(dict(enumerate(anchors)))
    point = rng.standard_normal(N_PARAMETERS)
    for unit in (0, 2):
        moved.move(unit, point, anchors[unit])
    anchors[[0, 2]] = point
    afresh.take(dict(enumerate(anchors)))
    mean = anchors.mean(axis=0)
    np.testing.assert_allclose(found(moved, mean), found(afresh, mean), atol=1e-14)


@pytest.mark.parametrize("heard", [[0, 1, 2, 3], [1, 3]])
def test_what_the_sum_changes_by_is_known_by_itself(heard: list[int]) -> None:
    """By what it falls as an anchor moves, and by how it grows with the mean."""
    rng = np.random.default_rng(5)
    anchors = {unit: rng.standard_normal(N_PARAMETERS) for unit in heard}
    spread, point = spread_of(some_diagonals(rng)), rng.standard_normal(N_PARAMETERS)
    spread.take(anchors)
    mean = np.mean([*anchors.values()], axis=0)
    way = point - anchors[1]
    before, falls = found(spread, mean), np.zeros(N_PARAMETERS)
    spread.add_fall(1, way, falls)
    spread.move(1, point, anchors[1])
    after = found(spread, mean + way / len(heard))
    expected = before - falls + spread.stiffness * way / len(heard)
    np.testing.assert_allclose(after, expected, atol=1e-13)


def test_nothing_is_left_out_at_one_anchor() -> None:
    rng = np.random.default_rng(2)
    spread, point = spread_of(some_diagonals(rng)), rng.standard_normal(N_PARAMETERS)
    spread.take(dict.fromkeys(range(N_UNITS), point))
    assert not found(spread, point).any()


def test_units_that_are_heard_stand_for_all() -> None:
    rng = np.random.default_rng(3)
    diagonals, anchors = some_diagonals(rng), rng.standard_normal((2, N_PARAMETERS))
    spread = spread_of(diagonals)
    spread.take({0: anchors[0], 3: anchors[1]})
    mean = anchors.mean(axis=0)
    own = diagonals[0] * (mean - anchors[0]) + diagonals[3] * (mean - anchors[1])
    np.testing.assert_allclose(found(spread, mean), N_UNITS / 2 * own)


@pytest.mark.parametrize("heard", [[0, 1, 2, 3], [1, 3]])
def test_a_resumed_sum_is_the_same_to_the_last_bit(heard: list[int]) -> None:
    rng = np.random.default_rng(4)
    diagonals = some_diagonals(rng)
    anchors = {unit: rng.standard_normal(N_PARAMETERS) for unit in heard}
    spread, resumed = spread_of(diagonals), spread_of(diagonals)
    spread.take(anchors)
    resumed.load_state(spread.state().copy(), frozenset(heard))
    mean = rng.standard_normal(N_PARAMETERS)
    np.testing.assert_array_equal(found(resumed, mean), found(spread, mean))
