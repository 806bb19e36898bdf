"""Replay of recorded delays."""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from erasurehead.coding.base import FloatArray
from erasurehead.errors import DataError
from erasurehead.straggling.base import DelayModel


class TraceDelay(DelayModel):
    """Row (t - 1) mod T of a trace of T rounds in round t: workers and order stay as recorded.

    Parameters
    ----------
    recorded_s: delays in seconds, shape (T, k).
    recorded_share: share of all tasks each slot had when they were recorded, one number or shape
        (k,); delays then scale with the load. None: they are replayed as they are.
    """

    def __init__(
        self,
        n_workers: int,
        seed: int,
        recorded_s: FloatArray,
        recorded_share: FloatArray | None = None,
    ) -> None:
        super().__init__(n_workers, seed)
        self.recorded_s = recorded_s
        self.recorded_share = recorded_share

    def delays_s(self, round_: int, load_share: float | FloatArray) -> FloatArray:
        """Return the recorded delays of the round."""
        delays = np.array(self.recorded_s[(round_ - 1) % len(self.recorded_s)])
        if self.recorded_share is not None:
            delays *= load_share / self.recorded_share
        return delays


def read_trace(n_workers: int, seed: int, *, file: Path) -> TraceDelay:
    """Read a trace: an .npz file with `delays_s` and, optionally, `load_share` (see `TraceDelay`).

    The one delay model that reads a file; it does so here, once.

    Raises
    ------
    DataError: no such file, not a trace, not for `n_workers`, or not delays.
    """
    try:
        # Opened here, because np.load does not close a file whose archive is cut off.
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            delays = np.array(arrays["delays_s"], dtype=np.float64)
            share = np.array(arrays["load_share"], np.float64) if "load_share" in arrays else None
    except FileNotFoundError:
        raise DataError(f"there is no trace file '{file}'; give the path of an .npz file") from None
    except (OSError, EOFError, LookupError, ValueError, TypeError, AttributeError, BadZipFile):
        raise DataError(
            f"'{file}' is not a trace; expected an .npz file with an array delays_s of shape"
            " (rounds, workers)"
        ) from None
    if delays.ndim != 2 or not len(delays) or delays.shape[1] != n_workers:
        raise DataError(
            f"the trace '{file}' has delays_s of shape {delays.shape}, but the run has {n_workers}"
            f" workers; expected (rounds, {n_workers})"
        )
    if not np.isfinite(delays).all() or delays.min() < 0:
        raise DataError(f"the trace '{file}' holds delays that are negative or not finite")
    if share is not None and (share.shape not in ((), (n_workers,)) or not (share > 0).all()):
        raise DataError(
            f"the trace '{file}' has load_share of shape {share.shape}; expected one positive"
            f" number or {n_workers} of them"
        )
    return TraceDelay(n_workers, seed, delays, share)
