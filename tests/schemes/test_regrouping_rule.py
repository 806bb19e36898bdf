"""When tasks are placed anew."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead.arrays import FloatArray
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.regrouping import is_due
from erasurehead.schemes.text import parse
from erasurehead.straggling.estimate import StragglerEstimate

ROUNDS = 200
LEARNING = (
    "osgc / fixed / deadline:after_s=1",
    "frc:c=3,groups=balanced / first-copy / deadline:after_s=1",
    "matched-cyclic:c=3 / fixed / deadline:after_s=1",
)


def placed(scheme: str) -> tuple[FloatArray, StragglerEstimate]:
    """Return the probabilities that tasks were placed by, and what is learnt of the slots."""
    coding = Coding.of(parse(scheme), 12)
    assert coding.places_by is not None
    return coding.places_by, coding.begin().learnt.slots


def first_due(scheme: str, late: FloatArray, seed: int) -> int | None:
    """Return the first round after which tasks are to be placed anew."""
    rng = np.random.default_rng(seed)
    placed_by, learnt = placed(scheme)
    for round_ in range(1, ROUNDS + 1):
        learnt.observe(rng.random(12) > late)
        if is_due(placed_by, learnt, round_, 20):
            return round_
    return None


@pytest.mark.parametrize("scheme", LEARNING)
@pytest.mark.parametrize("late", [0.02, 0.2, 0.5, 0.9])
def test_alike_slots_keep_their_tasks_however_late_they_all_are(scheme: str, late: float) -> None:
    """Equal probabilities place tasks alike, so that their size is no reason to move any."""
    due = [first_due(scheme, np.full(12, late), seed) for seed in range(4)]
    assert due == [None] * 4


@pytest.mark.parametrize("scheme", LEARNING)
def test_slots_that_differ_are_found_out(scheme: str) -> None:
    late = np.where(np.arange(12) < 4, 0.8, 0.1)
    for seed in range(4):
        found = first_due(scheme, late, seed)
        assert found is not None
        assert 20 <= found < 40


def test_differences_show_where_nearly_everybody_is_late() -> None:
    late = np.where(np.arange(12) < 4, 0.7, 0.97)
    for seed in range(4):
        assert first_due(LEARNING[0], late, seed) is not None


def dues(late_by_round: list[FloatArray], seed: int) -> list[int]:
    """Return after which rounds tasks are placed anew, each time by what is learnt then."""
    rng = np.random.default_rng(seed)
    n_workers = len(late_by_round[0])
    learnt = StragglerEstimate(n_workers)
    placed_by, found = np.full(n_workers, 0.5), [0]
    for round_, late in enumerate(late_by_round, start=1):
        learnt.observe(rng.random(n_workers) > late)
        if is_due(placed_by, learnt, round_ - found[-1], 25):
            placed_by = learnt.probabilities
            found.append(round_)
    return found[1:]


@pytest.mark.parametrize("n_workers", [12, 60, 200])
def test_slots_that_stay_as_they_are_are_placed_once_or_twice(n_workers: int) -> None:
    """Early by what 25 rounds say, and once more when twice as much is known."""
    for seed in range(3):
        late = np.random.default_rng(seed).uniform(0.1, 0.8, n_workers)
        found = dues([late] * 1000, seed)
        assert found[0] == 25
        assert len(found) <= 2
        assert found[-1] <= 200


def test_slots_that_change_are_placed_anew() -> None:
    for seed in range(3):
        late = np.random.default_rng(seed).uniform(0.1, 0.8, 30)
        found = dues([late] * 500 + [late[::-1]] * 100, seed)
        assert any(500 < round_ <= 560 for round_ in found)


def test_nothing_is_placed_anew_before_its_time_or_if_never_is_asked_for() -> None:
    placed_by, learnt = placed(LEARNING[0])
    for _ in range(50):
        learnt.observe(np.arange(12) > 3)
    assert is_due(placed_by, learnt, 50, 50)
    assert not is_due(placed_by, learnt, 49, 50)
    assert not is_due(placed_by, learnt, 50, 0)
