"""How far a round's arrivals move their units' anchors, however much of it is known before."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead.arrays import FloatArray
from erasurehead.optimizing.arriving import Arriving
from erasurehead.optimizing.finding import Renewal, UnitGradient
from erasurehead.optimizing.unit_curvature import AnchorSpread, UnitCurvature
from erasurehead.parts import STRETCH, at_once

N = STRETCH + 3
ALL = slice(0, N)


def some_renewals(seed: int) -> list[Renewal]:
    """Return those of four units, each at anchors and points of its own."""
    rng = np.random.default_rng(seed)

    def at() -> UnitGradient:
        return UnitGradient(rng.standard_normal(N), None, np.zeros(0), 0.0)

    return [Renewal(unit, 1.0, fresh=at(), known=at()) for unit in range(4)]


def some_spread(renewals: list[Renewal]) -> AnchorSpread:
    """Return one that follows the units from their anchors."""
    rng = np.random.default_rng(9)
    spread = AnchorSpread([UnitCurvature(None, rng.random(N)) for _ in renewals], 4, N)
    spread.take({r.unit: r.known.point for r in renewals if r.known is not None})
    return spread


def settled(
    arriving: Arriving, spread: AnchorSpread, renewals: list[Renewal]
) -> tuple[FloatArray, FloatArray]:
    """Return the sum of ways, and what the spread makes of them."""
    arriving.settle(renewals)
    out = np.empty(N)
    for here in (slice(0, STRETCH), slice(STRETCH, N)):
        arriving.put(here, out[here])
    return out, spread.state().copy()


@pytest.mark.parametrize("n_taken", [0, 1, 2, 3, 4])
def test_what_was_taken_before_the_round_closes_changes_no_bit(n_taken: int) -> None:
    renewals = some_renewals(0)
    spread = some_spread(renewals)
    arriving = Arriving(N, spread, at_once)
    before = spread.state().copy()
    for renewal in renewals[:n_taken]:
        arriving.take(renewal)
    np.testing.assert_array_equal(spread.state(), before)
    ways, moved = settled(arriving, spread, renewals)
    expected = np.zeros(N)
    for renewal in renewals:
        assert renewal.known is not None
        expected += renewal.fresh.point - renewal.known.point
    np.testing.assert_array_equal(ways, expected)
    untold = some_spread(renewals)
    np.testing.assert_array_equal(moved, settled(Arriving(N, untold, at_once), untold, renewals)[1])
    assert not np.array_equal(moved, before)


def test_arrivals_of_a_round_that_was_given_up_do_not_count() -> None:
    """Nor do those that follow them unless they are of the round that closes."""
    old, new = some_renewals(1), some_renewals(2)
    spread, untold = some_spread(new), some_spread(new)
    arriving = Arriving(N, spread, at_once)
    for renewal in (old[0], new[0]):
        arriving.take(renewal)
    for one, other in zip(
        settled(arriving, spread, new[:2]),
        settled(Arriving(N, untold, at_once), untold, new[:2]),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
