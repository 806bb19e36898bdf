"""What a round's arrivals change in the metric, however much of it is found before it closes."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead.arrays import FloatArray, Vector
from erasurehead.optimizing.arriving import Arriving
from erasurehead.optimizing.finding import Renewal, UnitGradient
from erasurehead.optimizing.unit_curvature import AnchorSpread, UnitCurvature
from erasurehead.parts import STRETCH, at_once

N = STRETCH + 3
ALL = slice(0, N)
ROOT = np.linspace(0.5, 2.0, N)


def some_renewals(seed: int) -> list[Renewal]:
    """Return those of four units, each at anchors and points of its own."""
    rng = np.random.default_rng(seed)

    def at() -> UnitGradient:
        return UnitGradient(rng.standard_normal(N), None, np.zeros(0), 0.0)

    return [Renewal(unit, 1.0, fresh=at(), known=at()) for unit in range(4)]


def scaled(renewal: Renewal) -> Vector:
    assert renewal.known is not None
    return ROOT * (renewal.fresh.point - renewal.known.point)


def some_spread(renewals: list[Renewal]) -> AnchorSpread:
    """Return one that follows the units from their anchors; half of them have half the columns."""
    rng = np.random.default_rng(9)
    supports = [None, np.arange(0, N, 2), None, np.arange(1, N, 2)]
    curvatures = [UnitCurvature(s, rng.random(N if s is None else len(s))) for s in supports]
    spread = AnchorSpread(curvatures, 4, 1.0 / ROOT, np.float64)
    spread.take({r.unit: r.known.point for r in renewals if r.known is not None})
    return spread


def some_arriving(spread: AnchorSpread) -> Arriving:
    return Arriving(N, spread, np.float64, at_once, scaled)


def settled(arriving: Arriving, renewals: list[Renewal]) -> tuple[FloatArray, FloatArray]:
    """Return the sum of ways, and what the spread falls by."""
    arriving.settle(renewals)
    out, change = np.empty(N), np.zeros(N)
    for here in (slice(0, STRETCH), slice(STRETCH, N)):
        arriving.put(here, out[here])
        arriving.let_fall(here, change[here])
    return out, -change


@pytest.mark.parametrize("n_taken", [0, 1, 2, 3, 4])
def test_what_was_taken_before_the_round_closes_changes_no_bit(n_taken: int) -> None:
    renewals = some_renewals(0)
    spread = some_spread(renewals)
    before = spread.state().copy()
    arriving = some_arriving(spread)
    for renewal in renewals[:n_taken]:
        arriving.take(renewal)
    ways, falls = settled(arriving, renewals)
    expected = np.zeros(N)
    for renewal in renewals:
        expected += scaled(renewal)
    np.testing.assert_array_equal(ways, expected)
    np.testing.assert_array_equal(falls, settled(some_arriving(spread), renewals)[1])
    np.testing.assert_array_equal(spread.state(), before)


def test_the_spread_falls_as_anchors_move() -> None:
    renewals, mean = some_renewals(3), np.zeros(N)
    spread, before, after = some_spread(renewals), np.empty(N), np.empty(N)
    _, falls = settled(some_arriving(spread), renewals)
    spread.put(mean, ALL, before)
    for renewal in renewals:
        assert renewal.known is not None
        spread.move(renewal.unit, renewal.fresh.point, renewal.known.point)
    spread.put(mean, ALL, after)
    np.testing.assert_allclose(falls, (before - after) / ROOT, atol=1e-13)


def test_arrivals_of_a_round_that_was_given_up_do_not_count() -> None:
    """Nor do those that follow them unless they are of the round that closes."""
    old, new = some_renewals(1), some_renewals(2)
    spread = some_spread(new)
    arriving = some_arriving(spread)
    for renewal in (old[0], new[0]):
        arriving.take(renewal)
    for one, other in zip(
        settled(arriving, new[:2]), settled(some_arriving(spread), new[:2]), strict=True
    ):
        np.testing.assert_array_equal(one, other)
