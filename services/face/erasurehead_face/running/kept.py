"""What a run tells, kept in memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.records import Observer, RoundRecord, RunStart, RunSummary


class Kept(Observer):
    """Keeps the records and the model of a run.

    Attributes
    ----------
    start, theta, summary: None until the run tells them.
    """

    def __init__(self) -> None:
        self.start: RunStart | None = None
        self.history: list[RoundRecord] = []
        self.theta: FloatArray | None = None
        self.summary: RunSummary | None = None

    def started(self, start: RunStart) -> None:
        """Keep what is known when the first round opens."""
        self.start = start

    def round_over(self, record: RoundRecord) -> None:
        """Keep a record."""
        self.history.append(record)

    def model(self, theta: Any, start: RunStart, rounds: int) -> None:
        """Keep a copy of the model."""
        self.theta = np.array(theta, dtype=np.float64)

    def finished(self, summary: RunSummary) -> None:
        """Keep how the run ended."""
        self.summary = summary
