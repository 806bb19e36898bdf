"""How long the master waits for workers before a round may open. No I/O."""

from __future__ import annotations

from erasurehead.settings.groups import MembershipSettings
from erasurehead_master.machine import endings
from erasurehead_master.machine.membership import Membership


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
        self.until = now + settings.max_wait_s
        """When the wait is over."""

    def again(self, now: float) -> None:
        """Wait from now on: the code is another one."""
        self._first = False
        self.until = now + self._settings.max_wait_s

    def excuse(self, missed_s: float) -> None:
        """Wait longer by what the master slept through."""
        self.until += missed_s

    @property
    def needed(self) -> int:
        """Workers that must be ready if not all of them come in time."""
        if not self._first:
            return 1  # a rebuilt code goes on with the workers that are ready
        return self._settings.min_workers or self._membership.n_slots

    def over(self, now: float) -> bool:
        """Return whether the wait is over."""
        return now >= self.until

    def enough(self, now: float) -> bool:
        """Return whether a round may open."""
        members = self._membership
        # A slot may have been empty for long when the code is rebuilt.
        complete = members.n_ready == members.n_slots if self._first else members.all_ready
        return complete or (self.over(now) and members.n_ready >= self.needed)

    def too_few(self) -> endings.Ending:
        """Return the end of a run for which not enough workers were ready in time."""
        ready, slots = self._membership.n_ready, self._membership.n_slots
        return endings.too_few(ready, slots, self.needed, self._settings.max_wait_s)
