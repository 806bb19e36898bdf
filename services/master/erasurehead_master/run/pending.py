"""A record that waits for the metrics of its model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from erasurehead.records import RoundRecord

Pieces = Iterator[dict[str, float] | None]
"""Work on the metrics of a model: None after each piece but the last."""


class PendingEvaluation:
    """Rates a model piece by piece, in moments that nothing else needs, and completes its record.

    True while a record waits.
    """

    def __init__(self) -> None:
        self.metrics: dict[str, float] = {}
        """Of the model that was rated last."""
        self._record: RoundRecord | None = None
        self._pieces: Pieces = iter(())

    def __bool__(self) -> bool:
        return self._record is not None

    def begin(self, record: RoundRecord, pieces: Pieces) -> None:
        """Let a record wait for its metrics."""
        self._record = record
        self._pieces = pieces

    def work(self) -> RoundRecord | None:
        """Do one piece of the work; return the record after the last, metrics included."""
        record = self._record
        assert record is not None
        metrics = next(self._pieces)
        if metrics is None:
            return None
        self._record = None
        self.metrics = metrics
        return replace(record, metrics=metrics)

    def rate(self, pieces: Pieces) -> None:
        """Rate a model that belongs to no record of this process."""
        self.metrics = next(metrics for metrics in pieces if metrics is not None)
