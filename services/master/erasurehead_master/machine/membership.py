"""The registered workers, and which slot each has. No I/O; time comes in as a number.

Slots outlive processes and routing ids: a slot belongs to the code, a *peer* is one connection of
one process, a *name* is what a worker calls itself across restarts. Of two processes that claim
one name, or one slot by its number, the newer wins: the one that was first heard of later.

A worker that *drains* has no slot any more, so that a spare loads its rows meanwhile, and may still
send the result of the round at hand.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from dataclasses import dataclass, field

from erasurehead.wire.brief import brief
from erasurehead.wire.messages import Hello

STATES = ("ready", "loading", "spare", "draining")
"""Of members."""

REMEMBERED_PEERS = 4096
"""Processes that have left and whose age is still known, if they come back."""


@dataclass(slots=True)
class Member:
    """One registered worker process."""

    peer: bytes
    name: str
    host: str
    last_heard: float
    key: str | None = None
    """What its key is called, where connections have keys."""
    slot: int | None = None
    ready: bool = False
    strikes: int = 0
    claim: int | None = None
    """The slot it asked for by number."""
    age: int = 0
    """Grows from process to process."""
    drains_from: int | None = None
    """The slot whose last result it may still send, if it was asked to end."""
    leaves_at: float = math.inf

    @property
    def called(self) -> str:
        """Its name, as it is told."""
        return brief(self.name)

    @property
    def identity(self) -> str | bytes:
        """What nobody else has, or can only have as a worker that is new: a key, or a process."""
        return self.peer if self.key is None else self.key

    @property
    def stays(self) -> bool:
        """True unless it was asked to end."""
        return self.leaves_at == math.inf

    @property
    def state(self) -> str:
        """One of `STATES`."""
        if not self.stays:
            return "draining"
        if self.slot is None:
            return "spare"
        return "ready" if self.ready else "loading"


@dataclass(frozen=True, slots=True)
class Change:
    """What a membership event did, for the master's machine to act on."""

    assigned: tuple[Member, ...] = ()
    """Members that were given a slot and must be told."""
    replaced: tuple[Member, ...] = ()
    """Members whose place a newer process took; they must be told to stop."""
    vacated: tuple[int, ...] = ()
    """Slots from which nothing more will come until a worker is ready there again."""


@dataclass
class Membership:
    """Peers, names and slots.

    Parameters
    ----------
    n_slots: slots of the code.
    silence_limit_s: seconds without a message after which a member is dropped.
    """

    n_slots: int
    silence_limit_s: float
    members: dict[bytes, Member] = field(default_factory=dict)
    set_aside: OrderedDict[str | bytes, None] = field(default_factory=OrderedDict)
    """`Member.identity` of those sent away for their wrong results, the latest ones."""
    holders: list[Member | None] = field(init=False)
    placements: Counter[int] = field(default_factory=Counter)
    """How often each slot was given to a worker."""
    ages: OrderedDict[bytes, int] = field(default_factory=OrderedDict)
    """peer -> its `Member.age`, also of those that left."""

    changes: int = 0
    """How often somebody may have got or lost a slot."""

    def __post_init__(self) -> None:
        self.holders = [None] * self.n_slots
        self._by_name: dict[str, Member] = {}
        self._all_held_below = 0
        """No slot below this number is free."""

    @property
    def n_staying(self) -> int:
        """Members that were not asked to end."""
        return sum(1 for m in self.members.values() if m.stays)

    @property
    def n_ready(self) -> int:
        """Slots whose worker has its rows."""
        return sum(1 for m in self.holders if m is not None and m.ready)

    @property
    def anybody_ready(self) -> bool:
        """True when the worker of some slot has its rows."""
        return any(m is not None and m.ready for m in self.holders)

    @property
    def every_slot_ready(self) -> bool:
        """True when the worker of each slot has its rows."""
        # The last slots are filled last, so this is not looked for long while workers come.
        return all(m is not None and m.ready for m in reversed(self.holders))

    @property
    def all_ready(self) -> bool:
        """True when every worker with a slot has its rows, and there is one."""
        seated = [m for m in self.holders if m is not None]
        return bool(seated) and all(m.ready for m in seated)

    @property
    def anybody_answers(self) -> bool:
        """True while a worker is ready, or drains and may still send a result."""
        return any(m.ready or m.drains_from is not None for m in self.members.values())

    def ready_slots(self) -> list[tuple[int, bytes]]:
        """Return (slot, peer) of every ready slot, ascending."""
        return [(i, m.peer) for i, m in enumerate(self.holders) if m is not None and m.ready]

    def can_answer(self, slot: int) -> bool:
        """Return whether a worker is ready in a slot, or drains from it."""
        holder = self.holders[slot]
        if holder is not None and holder.ready:
            return True
        return any(m.drains_from == slot for m in self.members.values())

    @property
    def names(self) -> tuple[str, ...]:
        """What the worker of each slot is called; empty: there is none."""
        return tuple("" if m is None else m.called for m in self.holders)

    def named(self, name: str) -> Member | None:
        """Return the member of a name."""
        return self._by_name.get(name)

    def hear(self, peer: bytes, now: float) -> Member | None:
        """Note a sign of life; None for a stranger."""
        member = self.members.get(peer)
        if member is not None:
            member.last_heard = now
        return member

    def greet(self, peer: bytes, hello: Hello, now: float, key: str | None = None) -> Change:
        """Register a peer, or greet a known one again (which changes nothing).

        A newer process takes over the name of an older one, and the slot that both ask for by
        number. The older one must stop, even if it is the one that greets (it was frozen or cut
        off). A stand-in gives its slot back to the worker that asks for it by number, and gets
        another or becomes a spare. Any other newcomer gets the slot whose rows it still has, or the
        lowest free one, or becomes a spare.
        """
        known = self.members.get(peer)
        if known is not None:
            known.last_heard = now
            return Change(assigned=(known,) if known.slot is not None else ())
        claim = hello.slot if hello.slot is not None and hello.slot < self.n_slots else None
        newcomer = Member(peer, hello.name, hello.host, now, key, claim=claim, age=self._age(peer))
        namesake = self.named(hello.name)
        rivals = self._rivals(namesake, claim)
        if any(rival.age > newcomer.age for rival in rivals):
            return Change(replaced=(newcomer,))
        slot = namesake.slot if namesake is not None and claim is None else claim
        vacated = [left for rival in rivals for left in self._remove(rival)]
        if slot is not None and (holder := self.holders[slot]) is not None:
            self._vacate(slot)
            holder.slot, holder.ready = None, False
            vacated.append(slot)
        self.members[peer] = self._by_name[newcomer.name] = newcomer
        if slot is None:
            slot = hello.held if self._is_free(hello.held) else self._lowest_free()
        assigned: list[Member] = []
        if slot is not None:
            self._seat(newcomer, slot)
            assigned.append(newcomer)
        if vacated or rivals:  # else no slot is free for which a spare would wait
            assigned.extend(self._seat_spares())
        return Change(tuple(assigned), tuple(rivals), tuple(vacated))

    def drain(self, member: Member, leaves_at: float) -> Change:
        """Give a member no more work; the first spare takes its slot."""
        self.changes += 1
        slot, was_ready = member.slot, member.ready
        member.leaves_at = leaves_at
        if slot is None:
            return Change()
        member.slot, member.ready = None, False
        self._vacate(slot)
        if was_ready:
            member.drains_from = slot
        assigned = self._seat_spares()
        return Change(tuple(assigned), vacated=() if was_ready else (slot,))

    def ban(self, member: Member) -> Change:
        """Drop a member for good. Of bans there are so many at a time; the oldest is lifted."""
        self.set_aside[member.identity] = None
        if len(self.set_aside) > REMEMBERED_PEERS:
            self.set_aside.popitem(last=False)
        return self.leave(member.peer)

    def leave(self, peer: bytes) -> Change:
        """Drop a member; the first spare takes its slot."""
        member = self.members.get(peer)
        if member is None:
            return Change()
        vacated = self._remove(member)
        return Change(assigned=tuple(self._seat_spares()), vacated=tuple(vacated))

    def resize(self, n_slots: int) -> list[Member]:
        """Seat members in `n_slots` slots; return the seated ones, none of them ready.

        They keep their order, so as many as possible keep their rows; one without a slot is a
        spare.
        """
        seated = [m for m in self.holders if m is not None]
        spares = self._spares()
        for member in self.members.values():
            member.slot, member.ready, member.drains_from = None, False, None
        self.n_slots = n_slots
        self.holders = [None] * n_slots
        self._all_held_below = 0
        for slot, member in enumerate((seated + spares)[:n_slots]):
            self._seat(member, slot)
        return [m for m in self.holders if m is not None]

    def reload(self) -> list[Member]:
        """Leave all members in place, none of them ready any more; return those with a slot."""
        seated = [m for m in self.holders if m is not None]
        for member in self.members.values():
            member.ready, member.drains_from = False, None
        return seated

    def silent(self, now: float) -> list[Member]:
        """Return the members not heard of for longer than the limit, or not gone as they said."""
        limit = now - self.silence_limit_s
        return [m for m in self.members.values() if m.last_heard < limit or m.leaves_at < now]

    def excuse(self, missed_s: float) -> None:
        """Count some seconds of everybody's silence for nothing."""
        for member in self.members.values():
            member.last_heard += missed_s
            member.leaves_at += missed_s

    def validate(self) -> None:
        """Assert every invariant (on in tests)."""
        names = [m.name for m in self.members.values()]
        assert len(set(names)) == len(names), "two members of one name"
        assert self._by_name == {m.name: m for m in self.members.values()}
        assert None not in self.holders[: self._all_held_below]
        assert not {m.peer for m in self.members.values()} & self.set_aside.keys()
        seated = [m for m in self.holders if m is not None]
        assert len({id(m) for m in seated}) == len(seated), "one member in two slots"
        for i, holder in enumerate(self.holders):
            if holder is not None:
                assert holder.slot == i
                assert self.members.get(holder.peer) is holder
        spares = self._spares()
        assert not spares or len(seated) == self.n_slots, "a spare waits beside an empty slot"
        assert all(not m.ready for m in spares)
        assert all(m.slot is None or m.stays for m in self.members.values())
        assert all(m.drains_from is None or not m.stays for m in self.members.values())

    def _age(self, peer: bytes) -> int:
        """Return when this process was first heard of, counted in processes."""
        if peer not in self.ages:
            newest = next(reversed(self.ages.values()), 0)
            self.ages[peer] = newest + 1
            if len(self.ages) > REMEMBERED_PEERS + len(self.members):
                self.ages.popitem(last=False)
        return self.ages[peer]

    def _rivals(self, namesake: Member | None, claim: int | None) -> list[Member]:
        """Return the members whose place a newcomer takes, in the order in which they came."""
        found = [] if namesake is None else [namesake]
        holder = None if claim is None else self.holders[claim]
        if holder is not None and holder.claim == claim and holder is not namesake:
            found.append(holder)
        if len(found) > 1:
            found = [member for member in self.members.values() if member in found]
        return found

    def _is_free(self, slot: int | None) -> bool:
        return slot is not None and slot < self.n_slots and self.holders[slot] is None

    def _lowest_free(self) -> int | None:
        while self._all_held_below < self.n_slots:
            if self.holders[self._all_held_below] is None:
                return self._all_held_below
            self._all_held_below += 1
        return None

    def _vacate(self, slot: int) -> None:
        self.holders[slot] = None
        self._all_held_below = min(self._all_held_below, slot)

    def _seat(self, member: Member, slot: int) -> None:
        self.changes += 1
        member.slot, member.ready = slot, False
        self.holders[slot] = member
        self.placements[slot] += 1

    def _spares(self) -> list[Member]:
        return [m for m in self.members.values() if m.slot is None and m.stays]

    def _seat_spares(self) -> list[Member]:
        """Seat spares, first come first seated, while there are empty slots."""
        seated: list[Member] = []
        empty = [i for i, m in enumerate(self.holders) if m is None]
        spares = self._spares()
        for slot, spare in zip(empty, spares, strict=False):
            self._seat(spare, slot)
            seated.append(spare)
        return seated

    def _remove(self, member: Member) -> list[int]:
        self.changes += 1
        del self.members[member.peer]
        del self._by_name[member.name]
        if member.drains_from is not None and not self.can_answer(member.drains_from):
            return [member.drains_from]
        if member.slot is None:
            return []
        slot = member.slot
        self._vacate(slot)
        member.slot, member.ready = None, False
        return [] if self.can_answer(slot) else [slot]
