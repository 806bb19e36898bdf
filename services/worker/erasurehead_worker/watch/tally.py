"""What a worker has done so far, in plain numbers that its loop adds up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Tally:
    """Sums since the process began. Only the loop writes them; anything may read them.

    Attributes
    ----------
    results: results sent.
    compute_s: time in gradients, finished or not.
    delay_s: injected delay of the results sent.
    chunks: chunks of rows worked through.
    chunks_dropped: chunks that were not begun because a newer round came.
    """

    results: int = 0
    compute_s: float = 0.0
    delay_s: float = 0.0
    chunks: int = 0
    chunks_dropped: int = 0
