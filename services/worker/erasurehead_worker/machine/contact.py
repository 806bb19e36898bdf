"""When the master was last heard of and last spoken to, and when it is greeted. No I/O."""

from __future__ import annotations

import math

import numpy as np

FIRST_RETRY_S = 0.25
LONGEST_RETRY_S = 5.0
SPARE_RETRY_S = 1.0
"""A spare greets this often, which is also its sign of life."""

FORGOTTEN_S = 5 * SPARE_RETRY_S
"""A spare that no master answered for so long is none any more."""


class Contact:
    """Signs of life, both ways.

    Every limit is kept as the time at which it ends, and compared as that: a difference may round
    to the other side of a limit, and then the machine would ask to be woken at once, for ever.

    Parameters
    ----------
    now: the clock's reading at the start.
    rng: for the jitter of retries.
    retry_limit_s: seconds without a master after which to give up; None: never.
    """

    def __init__(self, now: float, rng: np.random.Generator, retry_limit_s: float | None) -> None:
        self.spare = False
        """A master has registered this process, and had no slot for it."""
        self.retry_at = now
        """When what was asked last is asked again: a greeting, or rows."""
        self.silent_at = math.inf
        """When the master, if it says nothing, has been silent for too long."""
        self._heard = now
        self._sent = now
        self._retry_s = FIRST_RETRY_S
        self._rng = rng
        self.retry_limit_s = math.inf if retry_limit_s is None else retry_limit_s

    @property
    def give_up_at(self) -> float:
        """When the process ends if no master is heard."""
        return self._heard + self.retry_limit_s

    def beat_at(self, interval_s: float) -> float:
        """Return when a heartbeat is due, if nothing else is sent."""
        return self._sent + interval_s

    def sent(self, now: float) -> None:
        """Something was said to the master."""
        self._sent = now

    def heard(self, now: float) -> None:
        """The master said something."""
        self._heard = now

    def excuse(self, missed_s: float) -> None:
        """Count some seconds of the master's silence for nothing."""
        self._heard += missed_s
        self.silent_at += missed_s

    def greeted(self, now: float) -> None:
        """A greeting was sent; the next one comes after a pause that doubles, with jitter."""
        if now > self._heard + FORGOTTEN_S:
            self.spare = False
        self.retry_at = now + self._retry_s * float(self._rng.uniform(0.75, 1.25))
        self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)

    def registered(self, now: float) -> None:
        """A master knows this process as a spare: there is no need to hurry."""
        self.spare = True
        self.retry_at = now + SPARE_RETRY_S

    def settled(self) -> None:
        """The process has a slot, and waits for nothing that it has asked for."""
        self.spare = False
        self.retry_at, self._retry_s = math.inf, FIRST_RETRY_S

    def lost(self, now: float) -> None:
        """The master leaves, and another one has to be found soon."""
        self.spare = False
        self._retry_s = FIRST_RETRY_S
        self.retry_at = now + self._retry_s
