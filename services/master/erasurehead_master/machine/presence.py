"""Which workers have fallen silent, and since when no worker is there at all. No I/O.

Time in which the master itself did not run (it was stopped, or its whole machine was) says nothing
about others. It is found by the look that did not take place, and counts as nobody's silence.
"""

from __future__ import annotations

import math

from erasurehead.settings.groups import MembershipSettings
from erasurehead_master.machine.membership import Change, Member, Membership
from erasurehead_master.machine.outbox import Outbox


class Presence:
    """Looks after signs of life, once a heartbeat interval.

    Parameters
    ----------
    settings: intervals and limits.
    membership: of the run.
    out: where notices go.
    now: the clock's reading at the start.
    """

    def __init__(
        self, settings: MembershipSettings, membership: Membership, out: Outbox, now: float
    ) -> None:
        self.look_at = now + settings.heartbeat_interval_s
        """When it is time for the next look."""
        self.empty_limit_s = settings.empty_limit_s
        self._interval_s = settings.heartbeat_interval_s
        self._membership = membership
        self._out = out
        self._empty_since: float | None = now
        self._excused_until = -math.inf

    def missed_s(self, now: float) -> float:
        """Return the seconds that the master slept through, 0.0 if it was at work."""
        late_s = now - self.look_at
        return late_s if late_s > self._interval_s else 0.0

    def excuse(self, missed_s: float, now: float) -> None:
        """Begin everybody's silence later by what was slept through."""
        self.look_at += missed_s
        self._membership.excuse(missed_s)
        if self._empty_since is not None:
            self._empty_since += missed_s
        self._excused_until = now + self._membership.silence_limit_s

    def may_be_cut_off(self, now: float) -> bool:
        """Return whether connections may just have ended because this end did not run.

        Their peers are about to connect again.
        """
        return now < self._excused_until

    def reset(self, now: float) -> None:
        """No worker is ready now, and that is as it should be."""
        self._empty_since = now

    def note(self, now: float) -> None:
        """A worker has come, or gone; tell of it once when none is ready any more."""
        if self._membership.anybody_ready:
            self._empty_since = None
        elif self._empty_since is None:
            self._empty_since = now
            self._out.notice(
                "warning",
                f"no worker is left; waiting {self.empty_limit_s:g} s for one to come (back)",
            )

    def due(self, now: float) -> bool:
        """Return whether it is time for a look, of which there is one each interval."""
        if now < self.look_at:
            return False
        self.look_at = now + self._interval_s
        return True

    def give_up(self, member: Member, now: float) -> Change:
        """Let a member go that has been silent for too long, and tell of it."""
        left = "it is no spare any more"
        if member.slot is not None:
            left = f"its slot {member.slot} is free"
        why = f"was silent for {now - member.last_heard:.1f} s"
        if not member.stays:
            why, left = "has not left when it said it would", "it is counted out"
        self._out.notice("warning", f"worker {member.called} {why}; {left}")
        return self._membership.leave(member.peer)

    def empty_too_long(self, now: float) -> bool:
        """Return whether no worker has been ready for longer than the limit."""
        since = self._empty_since
        return since is not None and now - since >= self.empty_limit_s
