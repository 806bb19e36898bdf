"""What closes a round: slots that it waits for, whatever the stop rule says, and single tasks."""

from __future__ import annotations

import pytest

from erasurehead.records import Arrival
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.shorthands import uncoded
from erasurehead.schemes.text import parse
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


@pytest.fixture
def tasks_() -> Rounds:
    """A round of four slots that send two tasks each, of which three are enough; open.

    Slots 0 and 1 send tasks 0 and 1, slots 2 and 3 tasks 2 and 3; 1 and 3 begin with the second.
    """
    scheme = parse("frc:c=2,parts=tasks,groups=consecutive / first-copy / fraction:r=3")
    rounds = Rounds(Coding.of(scheme, 4).begin())
    rounds.open(0.0, range(4))
    return rounds


def send(rounds: Rounds, *results: tuple[int, int]) -> str | None:
    for slot, part in results:
        assert rounds.expects(slot, part)
        rounds.arrive(slot, part, 1.0, compute_s=0.25, delay_s=0.5)
        rounds.validate()
    return rounds.closed


def test_tasks_that_are_sent_one_by_one_count_one_by_one(tasks_: Rounds) -> None:
    """A slot that has sent one of its two tasks has arrived, and is no straggler."""
    assert send(tasks_, (0, 0), (2, 0)) is None
    assert not tasks_.expects(0, 0)
    assert tasks_.expects(0, 1)
    assert send(tasks_, (0, 1)) == "3 of 8 arrived"
    assert tasks_.arrivals == [Arrival(0, 1.0, 0.25, 0.5), Arrival(2, 1.0, 0.25, 0.5)]
    assert [number for number, _ in tasks_.came] == [0, 4, 1]
    decoding, stragglers = tasks_.close()
    assert stragglers == (1, 3)
    assert decoding.task_weights.tolist() == [1.0, 1.0, 1.0, 0.0]


def test_copies_that_begin_with_different_tasks_cover_a_block_together(tasks_: Rounds) -> None:
    assert send(tasks_, (0, 0), (1, 0), (3, 0)) == "3 of 8 arrived"
    decoding, _ = tasks_.close()
    assert decoding.task_weights.tolist() == [1.0, 1.0, 0.0, 1.0]


def test_it_waits_for_a_task_of_a_slot_that_has_sent_another(tasks_: Rounds) -> None:
    """Task 1 comes second from slot 0 and first from slot 1: arrivals 1 and 2."""
    tasks_.want([frozenset({1, 2})])
    assert send(tasks_, (0, 0), (2, 0), (2, 1)) is None
    assert send(tasks_, (0, 1)) == "3 of 8 arrived" + WAITED


def test_a_task_whose_slots_are_lost_is_not_waited_for(tasks_: Rounds) -> None:
    tasks_.want([frozenset({1, 2})])
    assert send(tasks_, (0, 0), (2, 0), (2, 1)) is None
    tasks_.lose(1, 2.0)
    assert tasks_.closed is None
    tasks_.lose(0, 2.0)
    assert tasks_.closed == "3 of 8 arrived" + WAITED


def test_a_slot_that_was_lost_between_two_tasks_joins_again(tasks_: Rounds) -> None:
    send(tasks_, (0, 0))
    tasks_.lose(0, 1.5)
    assert not tasks_.expects(0, 1)
    assert tasks_.join(0)
    assert not tasks_.expects(0, 0), "what has come is not taken again"
    send(tasks_, (0, 1))
    assert not tasks_.join(0), "all of it is in"


def test_what_has_come_is_enough_when_nobody_is_left(tasks_: Rounds) -> None:
    send(tasks_, (0, 0))
    for slot in range(4):
        tasks_.lose(slot, 2.0)
    assert tasks_.closed == NOBODY_LEFT
    assert tasks_.close()[1] == (1, 2, 3)


def test_both_parts_of_a_slot_make_one_arrival_where_parts_do_not_count() -> None:
    """Its times are those of both."""
    rounds = Rounds(Coding.of(parse("partial:s=1,alpha=2 / least-squares / exact"), 4).begin())
    rounds.open(0.0, range(4))
    send(rounds, (2, 0))
    assert (rounds.n_arrived, rounds.arrivals) == (0, [])
    send(rounds, (2, 1))
    assert rounds.came == [(2, 1.0)]
    assert rounds.arrivals == [Arrival(2, 1.0, 0.5, 1.0)]
