"""Rounds that must not close without some slots, whatever the stop rule says."""

from __future__ import annotations

import pytest

from erasurehead.schemes.coding import Coding
from erasurehead.schemes.shorthands import uncoded
from erasurehead_master.machine.rounds import NOBODY_LEFT, WAITED, Rounds


@pytest.fixture
def round_() -> Rounds:
    """A round of four slots that two arrivals are enough for, open."""
    rounds = Rounds(Coding.of(uncoded(r=2), 4).begin())
    rounds.open(0.0, range(4))
    return rounds


def arrive(rounds: Rounds, *slots: int) -> str | None:
    for slot in slots:
        rounds.arrive(slot, 0, 1.0)
        rounds.validate()
    return rounds.closed


def test_it_waits_for_one_slot_of_each_group(round_: Rounds) -> None:
    round_.want([frozenset({1, 3}), frozenset({2})])
    assert arrive(round_, 0, 3) is None
    assert arrive(round_, 2) == "2 of 4 arrived" + WAITED


def test_it_does_not_say_so_if_they_were_there_in_time(round_: Rounds) -> None:
    round_.want([frozenset({1, 3})])
    assert arrive(round_, 0, 3) == "2 of 4 arrived"


def test_a_slot_that_is_lost_is_not_waited_for(round_: Rounds) -> None:
    round_.want([frozenset({1, 3})])
    round_.lose(1, 1.0)
    assert arrive(round_, 0, 2) is None
    round_.lose(3, 2.0)
    assert round_.closed == "2 of 4 arrived" + WAITED


def test_nor_one_that_the_round_was_never_sent_to(round_: Rounds) -> None:
    round_.want([frozenset({1}), frozenset({7})])
    assert arrive(round_, 0, 1) == "2 of 4 arrived"


def test_a_slot_that_joins_is_waited_for(round_: Rounds) -> None:
    round_.want([frozenset({3})])
    round_.lose(3, 1.0)
    assert arrive(round_, 0) is None
    assert round_.join(3)
    assert arrive(round_, 1) is None
    assert arrive(round_, 3) == "2 of 4 arrived" + WAITED


def test_the_round_closes_when_all_are_lost_before_there_is_enough(round_: Rounds) -> None:
    round_.want([frozenset({3})])
    arrive(round_, 0)
    for slot in (1, 2, 3):
        round_.lose(slot, 1.0)
    assert round_.closed == NOBODY_LEFT


def test_the_next_round_wants_nobody(round_: Rounds) -> None:
    round_.want([frozenset({3})])
    arrive(round_, 0, 1, 3)
    round_.close()
    round_.open(2.0, range(4))
    assert arrive(round_, 0, 1) == "2 of 4 arrived"
