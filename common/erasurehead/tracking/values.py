"""From the records of a run to the numbers that are tracked. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping

from erasurehead.errors import EXIT_INTERRUPTED, EXIT_OK
from erasurehead.records import RoundRecord, RunStart, RunSummary
from erasurehead.tracking.base import Ending

TEST = "test/"
"""Before the name of a metric on the test rows."""


def round_values(record: RoundRecord) -> dict[str, float]:
    """Return the finite numbers of a round, by their names."""
    values = {
        "train_loss": record.train_loss,
        "gap": record.gap,
        "gradient_norm": record.gradient_norm,
        "step_size": record.step_size,
        "decode_error": record.decode_error,
        "erased_tasks": float(record.erased_tasks),
        "arrivals": float(len(record.arrivals)),
        "round_s": record.duration_s,
        "bytes_moved": float(record.bytes_in + record.bytes_out),
        **test_values(record.metrics),
    }
    return {name: value for name, value in values.items() if math.isfinite(value)}


def test_values(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return metrics on the test rows under the names that trackers have for them."""
    return {TEST + name: value for name, value in metrics.items() if math.isfinite(value)}


def start_facts(start: RunStart) -> dict[str, str]:
    """Return what is known when the first round opens."""
    return {
        "run": start.run,
        "model": start.model,
        "training_rows": str(start.training_rows),
        "columns": str(start.columns),
        "tasks": str(start.n_tasks),
        "step": start.step,
        "rounds": str(start.rounds),
        "first_round": str(start.first_round),
    }


def ending_of(summary: RunSummary, rounds: int) -> Ending:
    """Return how a run of so many rounds at most ended, in the one word that all trackers have.

    A master that is asked to end does so in order, and leaves its run unfinished.
    """
    if summary.exit_code == EXIT_OK:
        return "finished" if summary.met or summary.rounds >= rounds else "interrupted"
    return "interrupted" if summary.exit_code == EXIT_INTERRUPTED else "failed"
