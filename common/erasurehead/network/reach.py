"""Whether a connecting socket reaches anybody at its address, and over which family. No I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass

FIRST_LOOK_S = 1.0
"""Seconds without a connection after which it is time to look why."""
LOOK_EACH_S = 10.0
TELL_EACH_S = 300.0
"""The same reason is told again after this long."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a look has found.

    Attributes
    ----------
    ipv6: the family over which somebody answered; None: nobody did.
    why: what was in the way, if nobody answered.
    only: the family of all addresses that there are; None: they are of both, or unknown.
    """

    ipv6: bool | None
    why: str = ""
    only: bool | None = None


class Reach:
    """Says when to send a scout, and what of its sightings is news.

    Parameters
    ----------
    address: that is connected to.
    ipv6: the family that the socket uses.
    now: the clock's reading at the start.
    """

    def __init__(self, address: str, *, ipv6: bool, now: float) -> None:
        self.ipv6 = ipv6
        """The family that the socket should use."""
        self._address = address
        self._connected = False
        self._look_at = now + FIRST_LOOK_S
        self._told = ""
        self._tell_again_at = math.inf

    def connected(self) -> None:
        """Somebody accepted a connection."""
        self._connected = True
        self._told = ""

    def ended(self, now: float) -> None:
        """There is no connection any more."""
        if self._connected:
            self._connected = False
            self._look_at = now + FIRST_LOOK_S

    def look_due(self, now: float) -> bool:
        """Return whether it is time for a look, of which there is one each `LOOK_EACH_S`."""
        if self._connected or now < self._look_at:
            return False
        self._look_at = now + LOOK_EACH_S
        return True

    def take(self, sighting: Sighting, now: float) -> str | None:
        """Take what was seen; return a sentence if it should be told."""
        if self._connected:
            return None
        if sighting.ipv6 is not None:
            self.ipv6 = sighting.ipv6
            return None
        if sighting.only is not None:
            self.ipv6 = sighting.only  # the socket itself finds out when somebody listens
        if sighting.why == self._told and now < self._tell_again_at:
            return None
        self._told, self._tell_again_at = sighting.why, now + TELL_EACH_S
        return f"no answer from {self._address}: {sighting.why}; trying again"
