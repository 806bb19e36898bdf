"""Shares of rounds in which nothing of a group came, against counts written out."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead.errors import DataError
from erasurehead.straggling.erasures import FORGETTING, GUESS_ROUNDS, GroupErasures

GROUPS = np.array([0, 0, 1, 2])
GUESS = np.array([0.25, 0.5, 0.0])


def test_before_any_round_it_is_the_guess() -> None:
    np.testing.assert_allclose(GroupErasures(GROUPS, GUESS).weights, [4 / 3, 2.0, 1.0])


def test_a_group_is_there_when_one_of_its_slots_is() -> None:
    """N, X and S as the class says, the guess among them as rounds that are forgotten."""
    erasures = GroupErasures(GROUPS, GUESS)
    rounds = np.array([[1, 0, 0, 1], [0, 0, 1, 1], [1, 1, 0, 1]], dtype=bool)
    for arrived in rounds:
        erasures.observe(arrived)
    old = FORGETTING ** np.arange(3, -1, -1)
    covered = np.stack([1.0 - GUESS, [1, 0, 1], [0, 1, 1], [1, 0, 1]])
    counts = np.array([GUESS_ROUNDS, 1.0, 1.0, 1.0]) * old
    n, x = counts.sum(), counts @ covered
    spread = (old[1:] ** 2).sum() / n
    np.testing.assert_allclose(erasures.weights, (n + spread) / (x + spread))
    assert erasures.weights[2] == pytest.approx(1.0)


def test_it_goes_on_from_its_state_and_from_no_other() -> None:
    one, two = (GroupErasures(GROUPS, guess) for guess in (GUESS, np.zeros(3)))
    one.observe(np.array([True, False, False, True]))
    two.load_state(one.state())
    for erasures in (one, two):
        erasures.observe(np.array([False, False, True, True]))
    assert two.weights.tobytes() == one.weights.tobytes()
    with pytest.raises(DataError):
        GroupErasures(GROUPS[:3], GUESS[:2]).load_state(one.state())
