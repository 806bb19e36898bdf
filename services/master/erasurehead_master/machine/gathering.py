"""How long the master waits for workers before a round may open. No I/O."""

from __future__ import annotations

from erasurehead.settings.groups import MembershipSettings
from erasurehead_master.machine import endings
from erasurehead_master.machine.membership import Membership

FIRST_WORD_S = 5.0
SECOND_WORD_S = 60.0
"""Seconds until the master says again which workers it waits for; they double."""


class Gathering:
    """Says when enough workers are ready to begin with a code.

    Parameters
    ----------
    settings: how long, and how many workers are enough then.
    membership: of the run.
    now: the clock's reading.
    """

    def __init__(self, settings: MembershipSettings, membership: Membership, now: float) -> None:
        self._settings = settings
        self._membership = membership
        self._first = True
        self._wait(now)

    def _wait(self, now: float) -> None:
        self._begun = now
        self._until = self.wake_at = now + self._settings.max_wait_s
        longer = not self._first or self._settings.min_workers is not None
        self._ends_at = max(self._until, now + self._settings.empty_limit_s * longer)
        self._tell_s = FIRST_WORD_S
        self._tell_at = now + FIRST_WORD_S

    def again(self, now: float) -> None:
        """Wait from now on: the code is another one."""
        self._first = False
        self._wait(now)

    def excuse(self, missed_s: float) -> None:
        """Wait longer by what the master slept through."""
        self._begun += missed_s
        self._until += missed_s
        self._ends_at += missed_s
        self.wake_at += missed_s

    def wait_on(self) -> None:
        """Wait for the least number of workers; the time for all of them is over."""
        self.wake_at = self._ends_at

    def word(self, now: float) -> str | None:
        """Name the workers the master waits for, after some seconds and then ever more rarely."""
        if now < self._tell_at:
            return None
        self._tell_s = max(SECOND_WORD_S, 2 * self._tell_s)
        self._tell_at = now + self._tell_s
        members = self._membership
        left = max(0.0, self._until - now)
        wait = f"waiting up to {left:.0f} s for all of them"
        if self._ends_at > self._until and members.n_ready < self.needed:
            wait += f", and {self._ends_at - now:.0f} s for {self.needed} at least"
        return f"{members.n_ready} of {members.n_slots} workers are ready; {wait}"

    @property
    def needed(self) -> int:
        """Workers that must be ready if not all of them come in time."""
        if not self._first:
            return 1  # a rebuilt code goes on with the workers that are ready
        return self._settings.min_workers or self._membership.n_slots

    def over(self, now: float) -> bool:
        """Return whether the wait for all workers is over."""
        return now >= self._until

    def in_vain(self, now: float) -> bool:
        """Return whether even the least number of workers is not waited for any longer."""
        return now >= self._ends_at

    def enough(self, now: float) -> bool:
        """Return whether a round may open."""
        members = self._membership
        # A slot may have been empty for long when the code is rebuilt.
        complete = members.every_slot_ready if self._first else members.all_ready
        return complete or (self.over(now) and members.n_ready >= self.needed)

    def too_few(self) -> endings.Ending:
        """Return the end of a run for which not enough workers were ready in time."""
        ready, slots = self._membership.n_ready, self._membership.n_slots
        limit = "max_wait_s" if self._ends_at == self._until else "empty_limit_s"
        return endings.too_few(ready, slots, self.needed, self._ends_at - self._begun, limit)
