"""Slots, names and peers: who sits where, whatever order they come and go in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from erasurehead.wire.messages import PROTOCOL_VERSION, Hello
from erasurehead_master.machine.membership import Member, Membership


def hello(name: str, slot: int | None = None) -> Hello:
    return Hello(PROTOCOL_VERSION, name, "1", "host", slot)


def holder(membership: Membership, slot: int) -> Member:
    member = membership.holders[slot]
    assert member is not None
    return member


def seats(membership: Membership) -> list[str | None]:
    return [None if m is None else m.name for m in membership.holders]


def test_workers_take_free_slots_in_order_and_the_rest_are_spares() -> None:
    members = Membership(2, 5.0)
    for i, name in enumerate("abc"):
        members.greet(b"%d" % i, hello(name), 0.0)
    assert seats(members) == ["a", "b"]
    change = members.leave(b"0")
    assert seats(members) == ["c", "b"]
    assert change.vacated == (0,)
    assert [m.name for m in change.assigned] == ["c"]


def test_a_preferred_slot_is_honoured() -> None:
    members = Membership(3, 5.0)
    members.greet(b"1", hello("a", slot=2), 0.0)
    members.greet(b"2", hello("b"), 0.0)
    assert seats(members) == ["b", None, "a"]


def test_a_slot_beyond_the_code_is_no_preference() -> None:
    members = Membership(1, 5.0)
    members.greet(b"1", hello("a", slot=7), 0.0)
    assert seats(members) == ["a"]


def test_hello_is_idempotent() -> None:
    members = Membership(2, 5.0)
    members.greet(b"1", hello("a"), 0.0)
    holder(members, 0).ready = True
    again = members.greet(b"1", hello("a"), 1.0)
    assert [m.slot for m in again.assigned] == [0]
    assert not again.replaced
    assert not again.vacated
    assert members.n_ready == 1


def test_the_newer_process_of_a_name_takes_its_slot() -> None:
    members = Membership(2, 5.0)
    members.greet(b"1", hello("a"), 0.0)
    members.greet(b"2", hello("b"), 0.0)
    change = members.greet(b"3", hello("a"), 1.0)
    assert [m.peer for m in change.replaced] == [b"1"]
    assert seats(members) == ["a", "b"]
    assert holder(members, 0).peer == b"3"


def test_the_newer_claimant_of_a_slot_wins() -> None:
    members = Membership(2, 5.0)
    members.greet(b"1", hello("a", slot=1), 0.0)
    change = members.greet(b"2", hello("b", slot=1), 1.0)
    assert [m.name for m in change.replaced] == ["a"]
    assert change.vacated == (1,)
    assert seats(members) == [None, "b"]


def test_an_older_process_that_comes_back_does_not_take_the_place_of_the_newer_one() -> None:
    """1. A worker is frozen and given up. 2. Its successor comes. 3. It thaws, and must stop."""
    for slot, successor in ((None, "a"), (1, "a"), (1, "b")):
        members = Membership(2, 5.0)
        members.greet(b"old", hello("a", slot), 0.0)
        members.leave(b"old")
        members.greet(b"new", hello(successor, slot), 6.0)
        change = members.greet(b"old", hello("a", slot), 7.0)
        assert [m.peer for m in change.replaced] == [b"old"]
        assert not change.assigned
        assert not change.vacated
        assert list(members.members) == [b"new"]


def test_who_stepped_in_makes_room_for_who_is_meant_for_the_slot_and_is_a_spare_again() -> None:
    members = Membership(2, 5.0)
    members.greet(b"1", hello("a", slot=0), 0.0)
    members.greet(b"2", hello("b", slot=1), 0.0)
    members.greet(b"3", hello("spare"), 0.0)
    members.leave(b"2")
    assert seats(members) == ["a", "spare"]
    change = members.greet(b"2", hello("b", slot=1), 9.0)
    assert seats(members) == ["a", "b"]
    assert not change.replaced
    assert change.vacated == (1,)
    assert members.members[b"3"].slot is None
    members.leave(b"1")
    assert seats(members) == ["spare", "b"]


def test_a_worker_that_drains_makes_room_and_may_still_answer() -> None:
    members = Membership(2, 50.0)
    for name in "abc":
        members.greet(name.encode(), hello(name), 0.0)
    leaver = holder(members, 0)
    leaver.ready = holder(members, 1).ready = True
    change = members.drain(leaver, 5.0)
    members.validate()
    assert seats(members) == ["c", "b"]
    assert change.vacated == (), "its result may come"
    assert [slot for slot, _ in members.ready_slots()] == [1], "no more work"
    assert (members.n_staying, members.anybody_answers) == (2, True)
    members.greet(b"a", hello("a"), 1.0)
    members.validate()
    assert seats(members) == ["c", "b"], "a greeting that crossed its farewell changes nothing"
    members.hear(b"a", 5.1)
    assert members.silent(5.1) == [leaver], "gone when it said that it would be"
    assert members.leave(b"a").vacated == (0,), "its successor is not ready yet"


def test_the_successor_of_a_worker_that_drained_is_waited_for_once_it_is_ready() -> None:
    members = Membership(1, 5.0)
    members.greet(b"a", hello("a"), 0.0)
    members.greet(b"b", hello("b"), 0.0)
    holder(members, 0).ready = True
    members.drain(holder(members, 0), 5.0)
    holder(members, 0).ready = True
    assert members.leave(b"a").vacated == ()
    assert seats(members) == ["b"]


def test_a_worker_that_drains_before_it_is_ready_has_nothing_to_answer() -> None:
    members = Membership(1, 5.0)
    members.greet(b"a", hello("a"), 0.0)
    assert members.drain(holder(members, 0), 5.0).vacated == (0,)
    assert not members.anybody_answers


def test_silence_is_judged_by_the_last_message() -> None:
    members = Membership(2, 5.0)
    members.greet(b"1", hello("a"), 0.0)
    members.greet(b"2", hello("b"), 0.0)
    members.hear(b"2", 4.0)
    assert [m.name for m in members.silent(5.5)] == ["a"]
    assert members.hear(b"9", 5.0) is None


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["hello", "leave", "silence", "ready"]),
        st.integers(0, 5),
        st.sampled_from("abcd"),
        st.none() | st.integers(0, 4),
    ),
    max_size=60,
)


@given(ACTIONS)
def test_whatever_happens_the_invariants_hold(
    actions: list[tuple[str, int, str, int | None]],
) -> None:
    """Peers greet under changing names and slots, leave and fall silent in any order."""
    members = Membership(3, 2.0)
    for now, (what, number, name, slot) in enumerate(actions):
        peer = b"%d" % number
        if what == "hello":
            change = members.greet(peer, hello(name, slot), float(now))
            if peer in {m.peer for m in change.replaced}:
                assert peer not in members.members
                older = members.ages[peer]
                assert any(m.age > older for m in members.members.values())
                assert not change.assigned
                continue
            assert members.members[peer].last_heard == now
            for member in change.assigned:
                assert member.slot is not None
                assert members.holders[member.slot] is member
        elif what == "leave":
            members.leave(peer)
            assert peer not in members.members
        elif what == "ready":
            loaded = members.members.get(peer)
            if loaded is not None and loaded.slot is not None:
                loaded.ready = True
        else:
            for member in members.silent(float(now)):
                members.leave(member.peer)
        members.validate()
