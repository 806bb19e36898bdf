"""Who holds memory without ever finishing a message."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from erasurehead.network.backlog import Backlog


def test_what_never_becomes_a_message_is_found() -> None:
    backlog = Backlog(100, 1000)
    assert backlog.excessive({1: 100, 2: 5000}, {2: 4950}) == []
    assert backlog.excessive({1: 101, 2: 9000}, {2: 8950}) == [1]


def test_many_that_hold_a_little_are_as_bad_as_one() -> None:
    backlog = Backlog(100, 1000)
    received = {d: 60 + d for d in range(20)}
    cut = backlog.excessive(received, {})
    assert cut == sorted(cut, reverse=True)
    assert sum(v for d, v in received.items() if d not in cut) <= 1000
    assert sum(v for d, v in received.items() if d not in cut[:-1]) > 1000


def test_a_descriptor_used_again_starts_anew() -> None:
    backlog = Backlog(100, 1000)
    backlog.excessive({1: 50}, {1: 5000})
    backlog.forget(1)
    assert backlog.excessive({1: 101}, {}) == [1]


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 128), st.integers(0, 100))))
def test_honest_connections_are_never_cut_and_earn_no_credit(
    steps: list[tuple[int, int, int]],
) -> None:
    """Framing is estimated too high, for as long as one likes; that buys nobody room to misuse."""
    backlog = Backlog(100, 1000)
    finished = told = waiting = 0
    for in_messages, too_high, waiting in steps:
        finished += in_messages
        told += in_messages + too_high
        assert backlog.excessive({1: finished + waiting}, {1: told}) == []
    assert backlog.excessive({1: finished + waiting + 101}, {1: told}) == [1]
