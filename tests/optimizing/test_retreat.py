"""When a run goes back to its best point, and how short its steps are then."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from erasurehead.optimizing.retreat import LARGEST_DIVISOR, Retreat

START = np.zeros(2)
BOTH = (0, 1)


class Played:
    """A run of two units whose mean anchor is (round, round)."""

    def __init__(self) -> None:
        self.retreat = Retreat(START)
        self.round = 0

    def look(self, loss: float, arrived: Collection[int] = BOTH) -> bool:
        self.round += 1
        return self.retreat.look(lambda: loss, arrived, 2, np.full(2, float(self.round)))


def test_a_run_that_falls_is_left_alone() -> None:
    played = Played()
    assert not any(played.look(1.0 / n) for n in range(1, 20))
    assert played.retreat.divisor == 1.0
    np.testing.assert_array_equal(played.retreat.point, 19.0)


def test_a_small_rise_shortens_steps_until_cycles_fall_again() -> None:
    played = Played()
    for loss in (1.0, 0.5, 0.55):
        assert not played.look(loss)
    assert played.retreat.divisor == 2.0
    for loss in (0.4, 0.3):
        assert not played.look(loss)
    assert played.retreat.divisor == 1.0


def test_a_large_rise_leads_back_to_the_best_point() -> None:
    played = Played()
    for loss in (1.0, 0.2, 0.3):
        assert not played.look(loss)
    assert played.look(0.5)
    assert played.retreat.returns
    np.testing.assert_array_equal(played.retreat.point, 2.0)
    # Now all units have said what it is worth.
    assert not played.look(0.21)
    assert not played.retreat.returns
    assert played.retreat.divisor == 4.0


def test_a_best_point_that_is_none_leads_back_to_the_start() -> None:
    """Each unit was good at its own anchor, and all are bad at the mean of these."""
    played = Played()
    for loss in (1.0, 0.2):
        played.look(loss)
    assert played.look(0.9)
    assert played.look(3.0)
    np.testing.assert_array_equal(played.retreat.point, START)
    assert not played.look(1.0)


def test_only_cycles_in_which_all_units_were_heard_are_compared() -> None:
    played = Played()
    played.look(1.0)
    assert not any(played.look(50.0, [0]) for _ in range(9))
    assert played.look(50.0, [1])


def test_the_losses_of_other_units_are_not_compared() -> None:
    played = Played()
    for loss in (1.0, 0.1):
        played.look(loss)
    played.retreat.others()
    assert not played.look(0.9)
    assert not played.look(0.8)
    assert played.retreat.divisor == 1.0
    np.testing.assert_array_equal(played.retreat.point, 4.0)


def test_steps_do_not_become_shorter_without_end() -> None:
    played = Played()
    played.look(1.0)
    for n in range(20):
        played.look(10.0 if n % 2 else 1.0)
    assert played.retreat.divisor == LARGEST_DIVISOR


def test_a_resumed_run_goes_back_at_the_same_time() -> None:
    played, resumed = Played(), Played()
    for loss, arrived in ((1.0, BOTH), (0.2, BOTH), (0.6, (0,))):
        played.look(loss, arrived)
    resumed.retreat.load_state({k: v.copy() for k, v in played.retreat.state().items()})
    assert played.look(0.6, [1])
    assert resumed.look(0.6, [1])
    assert resumed.retreat.divisor == played.retreat.divisor
    np.testing.assert_array_equal(resumed.retreat.point, played.retreat.point)
