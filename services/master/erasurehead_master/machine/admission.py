"""Which peers may speak: registering them, checking their rows, sending them away. No I/O.

A message that is refused is counted under its reason. What a member gets wrong counts against it
as a *strike*; after a few of them it is set aside for the rest of the run.
"""

from __future__ import annotations

import math
from collections import Counter

from erasurehead.wire.brief import brief
from erasurehead.wire.messages import (
    Drain,
    Goodbye,
    Heartbeat,
    Hello,
    Ready,
    Refusal,
    Refuse,
    Stop,
    StopCode,
)
from erasurehead_master.machine.actions import Refused
from erasurehead_master.machine.events import CutOff, Garbage
from erasurehead_master.machine.membership import Change, Member, Membership
from erasurehead_master.machine.outbox import Outbox
from erasurehead_master.machine.plan import RunPlan
from erasurehead_master.machine.vetting import Fault, is_support

NAMESAKES_TOLD_EACH_S = 60.0
"""Two workers of one name that are started again and again would fill the log."""


class Admission:
    """Judges peers, and counts what is refused.

    Changes of the membership are returned, so that the machine carries them into the round.

    Parameters
    ----------
    plan: sizes and digest of the store, and how much is put up with; other codes change none of it.
    membership: of the run.
    out: where answers and notices go.
    """

    def __init__(self, plan: RunPlan, membership: Membership, out: Outbox) -> None:
        self.refused: Counter[Refusal] = Counter()
        """How many messages and connections were refused, by reason."""
        self._n_parameters = plan.n_parameters
        self._digest = plan.digest
        self._most_members = plan.settings.max_connections
        self._strikes_allowed = plan.settings.membership.set_aside_after
        self._lively_s = 2 * plan.settings.membership.heartbeat_interval_s
        self._tell_of_namesakes_at = -math.inf
        self._membership = membership
        self._out = out

    def greet(self, peer: bytes, hello: Hello, key: str | None, now: float) -> Change | None:
        """Register a peer, or greet it again; None if it is refused, and told so.

        A ban is on a key, or on a process where there are no keys: a name may be anybody's.
        """
        members = self._membership.members
        banned = self._membership.set_aside
        if peer in banned or key in banned:
            who = f"worker {brief(hello.name)}" if key is None else f"key {key}"
            reason = f"{who} was set aside in this run for its wrong results"
            self._turn_down(peer, "set-aside", reason)
            return None
        if (
            peer not in members
            and len(members) >= self._most_members
            # A worker that comes back takes its own place.
            and self._membership.named(hello.name) is None
        ):
            reason = f"{len(members)} workers are registered already"
            self._turn_down(peer, "too-many-members", reason)
            return None
        self._tell_of_namesake(peer, hello, now)
        return self._membership.greet(peer, hello, now, key)

    def welcome(self, member: Member, round_: int, key: str | None, *, known: bool) -> None:
        """Answer a spare that greeted, and tell of a newcomer and the name of its key."""
        if member.slot is None:
            self._out.send(member.peer, Heartbeat(round_, 0.0))
        if known:
            return
        place = "as a spare" if member.slot is None else f"in slot {member.slot}"
        self._out.notice(
            "debug", f"worker {member.called} on {brief(member.host)} registered {place}"
        )
        if key is not None:
            self._out.notice("info", f"worker {member.called} came in under the key {key}")

    def fault_of(self, member: Member, ready: Ready, epoch: int) -> Fault | None:
        """Return what is wrong with the rows that a member has loaded, None for nothing."""
        if ready.slot != member.slot or ready.epoch != epoch:
            what = f"ready for slot {ready.slot}, from {member.called}"
            return Fault("wrong-slot", what, "refused")
        if ready.support is not None and not is_support(ready.support, self._n_parameters):
            return Fault("wrong-shape", "a support that is not a sorted set of parameters")
        if ready.digest != self._digest:
            what = f"it read another store (digest {ready.digest:.12}, not {self._digest:.12})"
            return Fault("wrong-shape", what, "wrong-data")
        return None

    def blame(self, member: Member, fault: Fault) -> Change | None:
        """Let a member answer for a fault; return what that changes, None if it stays."""
        if fault.means == "refused":
            self.refuse(member.peer, fault.reason, fault.what)
            return None
        self.count(member.peer, fault.reason)
        if fault.means == "wrong-data":
            self._tell_off(member, "wrong-data", fault.what)
            return self._membership.leave(member.peer)
        member.strikes += 1
        allowed = self._strikes_allowed
        self._out.notice(
            "warning",
            f"worker {member.called} sent {fault.what} ({member.strikes} of {allowed} allowed)",
        )
        if member.strikes < allowed:
            return None
        reason = f"{member.strikes} wrong messages"
        self._tell_off(member, "set-aside", reason)
        return self._membership.ban(member)

    def garbage(self, garbage: Garbage) -> Change | None:
        """Take what is not the protocol; return what that changes, None for nothing."""
        member = self._membership.members.get(garbage.peer)
        if member is not None:
            return self.blame(member, Fault(garbage.reason, garbage.sentence))
        if garbage.greeting:
            # It would greet for ever, and no log would say why.
            self._out.send(garbage.peer, Refuse(garbage.reason, garbage.sentence))
        self.refuse(garbage.peer, garbage.reason, garbage.sentence)
        return None

    def drain(self, member: Member, drain: Drain, now: float) -> Change:
        """Give a member no more work that will end soon."""
        within = f"worker {member.called} drains and leaves within {drain.within_s:g} s"
        self._out.notice("info", f"{within}: {brief(drain.reason)}")
        return self._membership.drain(member, now + drain.within_s)

    def goodbye(self, member: Member, goodbye: Goodbye) -> Change:
        """Let a member go that wants to."""
        self._out.notice("info", f"worker {member.called} leaves: {brief(goodbye.reason)}")
        return self._membership.leave(member.peer)

    def cut_off(self, cut: CutOff) -> Change | None:
        """Let a member go whose connection we ended; None if it was none."""
        member = self._membership.members.get(cut.peer)
        if member is None:
            return None
        self._out.notice("warning", f"worker {member.called} is cut off: {cut.why}")
        return self._membership.leave(cut.peer)

    def refuse(self, peer: bytes, reason: Refusal, what: str) -> None:
        """Count a message that is not used, and say so in the log of details."""
        self.count(peer, reason)
        self._out.notice("debug", f"refused a message ({reason}): {what}")

    def count(self, peer: bytes, reason: Refusal) -> None:
        """Count a message that is not used."""
        self.refused[reason] += 1
        self._out.add(Refused(peer, reason))

    def _tell_of_namesake(self, peer: bytes, hello: Hello, now: float) -> None:
        """Warn, but not often, if the name belongs to another process that was just heard of."""
        other = self._membership.named(hello.name)
        if other is None or other.peer == peer or now < self._tell_of_namesakes_at:
            return
        if other.stays and now - other.last_heard < self._lively_s:
            self._tell_of_namesakes_at = now + NAMESAKES_TOLD_EACH_S
            self._out.notice(
                "warning",
                f"two workers call themselves {other.called} (on {brief(other.host)} and"
                f" {brief(hello.host)}) and take each other's place; unless one was restarted, give"
                " each a --name of its own",
            )

    def _turn_down(self, peer: bytes, reason: Refusal, why: str) -> None:
        self.count(peer, reason)
        self._out.send(peer, Refuse(reason, why))

    def _tell_off(self, member: Member, code: StopCode, reason: str) -> None:
        self._out.notice("error", f"worker {member.called} is sent away: {reason}")
        self._out.send(member.peer, Stop(code, reason))
