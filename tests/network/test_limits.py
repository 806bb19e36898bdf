"""Allowances for refused messages and log lines; the bookkeeping of connections."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from erasurehead.network.connections import UNKNOWN_ADDRESS, Connections, Failure
from erasurehead.network.limits import REMEMBERED_PEERS, LogLimit, RefusalLimit


def test_a_peer_is_muted_after_its_burst_and_heard_again_later() -> None:
    limit = RefusalLimit(burst=3, per_s=1, mute_s=10)
    assert not any(limit.refused(b"a", 0.0) for _ in range(3))
    assert not limit.muted(b"a", 0.0)
    assert limit.refused(b"a", 0.0)
    assert limit.muted(b"a", 9.9)
    assert not limit.muted(b"b", 9.9)
    assert not limit.muted(b"a", 10.0)
    assert not limit.refused(b"a", 10.0)  # ten seconds have earned it three again


def test_who_errs_seldom_is_never_muted() -> None:
    limit = RefusalLimit(burst=3, per_s=1, mute_s=10)
    assert not any(limit.refused(b"a", float(t)) for t in range(1000))


def test_many_peers_do_not_grow_memory() -> None:
    limit = RefusalLimit(burst=1, per_s=1, mute_s=10)
    for i in range(3 * REMEMBERED_PEERS):
        limit.refused(i.to_bytes(4, "big"), 0.0)
    assert len(limit._records) == REMEMBERED_PEERS


@given(st.lists(st.floats(0, 50), max_size=200))
def test_lines_written_and_left_out_add_up(gaps: list[float]) -> None:
    limit = LogLimit(burst=5, per_s=0.5)
    now, written, told = 0.0, 0, 0
    for gap in gaps:
        now += gap
        line = limit.admit("kind", "text", now)
        if line is not None:
            written += 1
            if "(" in line:
                told += int(line.partition("(")[2].split()[0])
    assert written <= 5 + 0.5 * now + 1
    waiting = limit._kept_back.get("kind", 0)
    assert written + told + waiting == len(gaps)


def test_kinds_of_lines_do_not_silence_each_other() -> None:
    limit = LogLimit(burst=1, per_s=0.1)
    assert limit.admit("a", "x", 0.0) == "x"
    assert limit.admit("a", "x", 0.0) is None
    assert limit.admit("b", "y", 0.0) == "y"
    assert limit.admit("a", "x", 20.0) == "x (1 similar lines before it were left out)"


def test_a_failure_belongs_to_the_connection_that_ends_next() -> None:
    connections = Connections(10)
    connections.accepted(7, "10.0.0.1:4000")
    connections.accepted(8, "10.0.0.2:4000")
    connections.succeeded()
    connections.failed("handshake-failed")
    assert connections.ended(7) == Failure("handshake-failed", "10.0.0.1:4000")
    assert connections.ended(8) is None  # it had a handshake and left
    assert connections.ended(9) is None  # never seen


def test_an_end_without_a_word_and_without_a_success_is_a_failure() -> None:
    """libzmq ends a connection of the oldest protocol version without saying why."""
    connections = Connections(10)
    connections.accepted(7, "worker")
    connections.succeeded()
    connections.spoke(7)
    connections.accepted(8, None)
    assert connections.ended(8) == Failure("handshake-failed", UNKNOWN_ADDRESS)
    assert connections.ended(7) is None
    connections.accepted(7, "a descriptor used again")
    assert connections.ended(7) == Failure("handshake-failed", "a descriptor used again")


def test_what_is_said_may_be_read_before_the_connection_is_told_of() -> None:
    """1. A worker speaks ahead of both its events, another ahead of one of them. 2. Both are known
    to have spoken, and a stranger who comes later is a failure."""
    connections = Connections(2)
    connections.spoke(7)
    connections.accepted(7, "worker")
    connections.succeeded()
    connections.accepted(8, "another")
    connections.spoke(8)
    connections.succeeded()
    assert connections.accepted(9, "stranger") == 9
    assert connections.ended(9) == Failure("too-many-connections", "stranger")
    assert connections.ended(8) is None
    connections.accepted(9, "stranger")
    assert connections.ended(9) == Failure("handshake-failed", "stranger")
    assert connections.ended(7) is None


def test_last_words_are_not_taken_for_those_of_the_next_connection() -> None:
    """1. A worker says goodbye and is gone before that is read. 2. Its descriptor is used again."""
    connections = Connections(2)
    connections.accepted(7, "worker")
    connections.succeeded()
    assert connections.ended(7) is None
    connections.spoke(7)
    connections.accepted(7, "stranger")
    assert connections.ended(7) == Failure("handshake-failed", "stranger")


def test_who_speaks_without_a_handshake_takes_no_success_from_others() -> None:
    """1. A peer of an old protocol speaks and leaves. 2. One that says nothing had its success."""
    connections = Connections(2)
    connections.accepted(7, "of old")
    connections.spoke(7)
    assert connections.ended(7) is None
    connections.accepted(8, "worker")
    connections.succeeded()
    assert connections.ended(8) is None


def test_strangers_push_out_each_other_and_never_a_worker() -> None:
    connections = Connections(3)
    for descriptor in (1, 2, 3):
        assert connections.accepted(descriptor, str(descriptor)) is None
    connections.spoke(1)
    assert connections.accepted(4, "4") == 2
    assert connections.accepted(5, "5") == 3  # although libzmq has not seen the end of 2 yet
    assert connections.ended(2) == Failure("too-many-connections", "2")
    for descriptor in (4, 5):
        connections.spoke(descriptor)
    assert connections.ended(3) == Failure("too-many-connections", "3")
    assert len(connections) == 3
    assert connections.accepted(6, "6") == 6  # everybody else is at work
