"""Kubeflow Trainer: how far a run is, in the status of its TrainJob (KEP-2779).

Nobody chooses this tracker by name: the controller asks for it, by variables in the pods of a
TrainJob. They hold the address of its status server, a file of the certificates that the server's
is signed with, and a file of a token that the kubelet renews. Limits of what a status may hold are
those of the TrainJob's schema, `trainer.kubeflow.org/v1alpha1`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar

from erasurehead.process.bulletin import Bulletin, StatusServer
from erasurehead.tracking.base import Ending, Tracker

PREFIXES = ("KUBEFLOW_TRAINER_SERVER_", "KUBEFLOW_TRAINER_STATUS_")
"""Of the variables: the controllers of 2.2 and 2.3 set the first, the proposal names the second."""

PACE_OF = 12
"""Posts over which the pace of the rounds is averaged."""

MOST_METRICS = 256
LONGEST = 64
"""Characters of a metric's name, and of its value."""

LARGEST = 2**31 - 1
"""Seconds that may be left: the field has 32 bits."""


def server_of(environment: Mapping[str, str]) -> StatusServer | None:
    """Return the status server that a TrainJob's pod is told of; None: this is no such pod."""
    for prefix in PREFIXES:
        if address := environment.get(f"{prefix}URL"):
            authority = environment.get(f"{prefix}CA_CERT")
            return StatusServer(address, authority, environment.get(f"{prefix}TOKEN"))
    return None


class KubeflowTracker(Tracker):
    """Posts the share of the rounds that are done, the time left, and the latest numbers.

    Parameters
    ----------
    bulletin: where to.
    """

    name: ClassVar[str] = "kubeflow"

    def __init__(self, bulletin: Bulletin) -> None:
        self._bulletin = bulletin
        self._rounds = self._done = 0
        self._pace: deque[tuple[int, float]] = deque(maxlen=PACE_OF)
        self._latest: dict[str, float] = {}

    def begin(self, facts: Mapping[str, str]) -> None:
        """Say where the run begins, which may have been resumed."""
        self._rounds, self._done = int(facts["rounds"]), int(facts["first_round"]) - 1
        self._bulletin.post(self._status(None))

    def round_over(self, round_: int, closed_s: float, values: Mapping[str, float]) -> None:
        """Say how far the run is, if it is time to."""
        self._done = round_
        self._latest |= values
        if self._bulletin.due:
            self._pace.append((round_, closed_s))
            self._bulletin.post(self._status(self._left_s()))

    def end(self, values: Mapping[str, float], ending: Ending, reason: str) -> None:
        """Say how far the run came: all the way if it is done, whatever its number of rounds."""
        self._latest |= values
        left_s = None
        if ending == "finished":
            self._done, left_s = self._rounds, 0
        self._bulletin.post(self._status(left_s), last=True)

    def _left_s(self) -> int | None:
        """Return the seconds that the last round is away at the recent pace, if that is known."""
        if len(self._pace) < 2:
            return None
        (first, began_s), (last, now_s) = self._pace[0], self._pace[-1]
        return round((self._rounds - last) * (now_s - began_s) / (last - first))

    def _status(self, left_s: int | None) -> dict[str, Any]:
        share = min(self._done / max(self._rounds, 1), 1.0)
        told: dict[str, Any] = {
            "progressPercentage": int(100 * share),
            "lastUpdatedTime": self._bulletin.now(),
            "metrics": [
                {"name": name[:LONGEST], "value": f"{value:.6g}"}
                for name, value in list(self._latest.items())[:MOST_METRICS]
            ],
        }
        if left_s is not None:
            told["estimatedRemainingSeconds"] = min(max(left_s, 0), LARGEST)
        return {"trainerStatus": told}
