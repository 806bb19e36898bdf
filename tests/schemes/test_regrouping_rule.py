"""When tasks are placed anew."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead.arrays import FloatArray
from erasurehead.schemes.regrouping import Placement
from erasurehead.schemes.scheme import Scheme

ROUNDS = 200
LEARNING = (
    "osgc / fixed / deadline:after_s=1",
    "frc:c=3,groups=balanced / first-copy / deadline:after_s=1",
    "matched-cyclic:c=3 / fixed / deadline:after_s=1",
)


def placement_of(scheme: str) -> Placement:
    placement = Scheme.parse(scheme).build(12, None, np.random.default_rng(0)).placement
    assert placement is not None
    return placement


def first_due(placement: Placement, late: FloatArray, seed: int) -> int | None:
    """Return the first round after which tasks are to be placed anew."""
    rng = np.random.default_rng(seed)
    for round_ in range(1, ROUNDS + 1):
        placement.learnt.observe(rng.random(12) > late)
        if placement.due(round_, 20):
            return round_
    return None


@pytest.mark.parametrize("scheme", LEARNING)
@pytest.mark.parametrize("late", [0.02, 0.2, 0.5, 0.9])
def test_alike_slots_keep_their_tasks_however_late_they_all_are(scheme: str, late: float) -> None:
    """Equal probabilities place tasks alike, so that their size is no reason to move any."""
    due = [first_due(placement_of(scheme), np.full(12, late), seed) for seed in range(4)]
    assert due == [None] * 4


@pytest.mark.parametrize("scheme", LEARNING)
def test_slots_that_differ_are_found_out(scheme: str) -> None:
    late = np.where(np.arange(12) < 4, 0.8, 0.1)
    for seed in range(4):
        found = first_due(placement_of(scheme), late, seed)
        assert found is not None
        assert 20 <= found < 40


def test_differences_show_where_nearly_everybody_is_late() -> None:
    late = np.where(np.arange(12) < 4, 0.7, 0.97)
    for seed in range(4):
        assert first_due(placement_of(LEARNING[0]), late, seed) is not None


def test_nothing_is_placed_anew_before_its_time_or_if_never_is_asked_for() -> None:
    placement = placement_of(LEARNING[0])
    for _ in range(50):
        placement.learnt.observe(np.arange(12) > 3)
    assert placement.due(50, 50)
    assert not placement.due(49, 50)
    assert not placement.due(50, 0)
