"""Replay of recorded delays."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray
from erasurehead.errors import DataError, UsageError
from erasurehead.straggling.base import DelayModel


class TraceDelay(DelayModel):
    """Row (t - 1) mod T of a trace of T rounds in round t: workers and order stay as recorded.

    Parameters
    ----------
    recorded_s: delays in seconds, shape (T, k).
    recorded_share: share of all tasks each slot had when they were recorded, one number or shape
        (k,) or (T, k); delays then scale with the load. None: they are replayed as they are.
    scaled_s: the part of the delays that scales with the load, shape (T, k), at most `recorded_s`.
        None: all of them, if `recorded_share` is given.
    compute_s, compute_share: compute times, shape (T, k), and the shares of all tasks they were
        spent on, as `recorded_share`; they are added in proportion to the load. None: not added.
    block: rounds are drawn in runs of so many, with replacement, by the seed (the circular block
        bootstrap), so that other seeds give other runs of the same cluster while a straggler's
        bad spell stays together. None: as recorded, whatever the seed.
    """

    slots_are_alike = False

    def __init__(
        self,
        n_workers: int,
        seed: int,
        recorded_s: FloatArray,
        recorded_share: FloatArray | None = None,
        compute_s: FloatArray | None = None,
        compute_share: FloatArray | None = None,
        block: int | None = None,
        scaled_s: FloatArray | None = None,
    ) -> None:
        super().__init__(n_workers, seed)
        self.recorded_s = recorded_s
        self._recorded_share = None
        if recorded_share is not None:
            self._recorded_share = np.broadcast_to(recorded_share, recorded_s.shape)
        self._scaled_s = recorded_s if scaled_s is None else scaled_s
        self._block = block
        self._full_pass_s = None
        if compute_s is not None and compute_share is not None:
            self._full_pass_s = compute_s / compute_share

    def delays_s(self, round_: int, load_share: float | FloatArray) -> FloatArray:
        """Return the recorded delays of the round."""
        row = self._row(round_)
        delays = np.array(self.recorded_s[row])
        if self._recorded_share is not None:
            delays += (load_share / self._recorded_share[row] - 1.0) * self._scaled_s[row]
        if self._full_pass_s is not None:
            delays += load_share * self._full_pass_s[row]
        return delays

    def _row(self, round_: int) -> int:
        index = round_ - 1
        if self._block is not None:
            number, index = divmod(index, self._block)
            index += int(self.generator(number).integers(len(self.recorded_s)))
        return index % len(self.recorded_s)


def read_trace(
    n_workers: int, seed: int, *, file: Path, compute: bool = False, block: int | None = None
) -> TraceDelay:
    """Read a trace: an .npz file with `delays_s` and, optionally, `load_share` and `scaled_s`.

    They are `TraceDelay`'s recorded_s, recorded_share and scaled_s.

    The one delay model that reads a file; it does so here, once.

    Parameters
    ----------
    file: as `erasurehead trace` writes it.
    compute: add the recorded compute times (`compute_s`, `compute_share`), for virtual workers or
        for a replay on machines that compute much faster.
    block: see `TraceDelay`.

    Raises
    ------
    DataError: no such file, not a trace, not for `n_workers`, or not delays.
    UsageError: a block without rounds.
    """
    if block is not None and block < 1:
        raise UsageError(f"block={block} of delay model 'trace' must be 1 round or more")
    arrays = _read(file)
    delays = arrays["delays_s"]
    if delays.ndim != 2 or not len(delays) or delays.shape[1] != n_workers:
        raise DataError(
            f"the trace '{file}' has delays_s of shape {delays.shape}, but the run has {n_workers}"
            f" workers; expected (rounds, {n_workers})"
        )
    _check_times(file, delays)
    share = arrays.get("load_share")
    if share is not None:
        _check_share(file, "load_share", share, delays.shape)
    scaled = arrays.get("scaled_s")
    if scaled is not None:
        _check_scaled(file, scaled, delays, share)
    if not compute:
        return TraceDelay(n_workers, seed, delays, share, block=block, scaled_s=scaled)
    if "compute_s" not in arrays or "compute_share" not in arrays:
        raise DataError(
            f"the trace '{file}' has no compute times; record it with `erasurehead trace`, or leave"
            " compute=yes out"
        )
    compute_s, compute_share = arrays["compute_s"], arrays["compute_share"]
    if compute_s.shape != delays.shape:
        raise DataError(
            f"the trace '{file}' has compute_s of shape {compute_s.shape} for delays_s of shape"
            f" {delays.shape}; expected the same"
        )
    _check_times(file, compute_s)
    _check_share(file, "compute_share", compute_share, delays.shape)
    return TraceDelay(n_workers, seed, delays, share, compute_s, compute_share, block, scaled)


def _read(file: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        # Opened here, because np.load does not close a file whose archive is cut off.
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as held:
            arrays = {"delays_s": np.array(held["delays_s"], np.float64)}
            for name in ("load_share", "scaled_s", "compute_s", "compute_share"):
                if name in held:
                    arrays[name] = np.array(held[name], np.float64)
    except FileNotFoundError:
        raise DataError(f"there is no trace file '{file}'; give the path of an .npz file") from None
    except (OSError, EOFError, LookupError, ValueError, TypeError, AttributeError, BadZipFile):
        raise DataError(
            f"'{file}' is not a trace; expected an .npz file with an array delays_s of shape"
            " (rounds, workers)"
        ) from None
    return arrays


def _check_times(file: Path, times_s: FloatArray) -> None:
    if not np.isfinite(times_s).all() or times_s.min() < 0:
        raise DataError(f"the trace '{file}' holds delays that are negative or not finite")


def _check_scaled(
    file: Path, scaled: FloatArray, delays: FloatArray, share: FloatArray | None
) -> None:
    fits = scaled.shape == delays.shape and (scaled >= 0).all() and (scaled <= delays).all()
    if share is None or not fits:
        raise DataError(
            f"the trace '{file}' has scaled_s that is no part of its delays_s; expected the same"
            " shape, values from 0 to those of delays_s, and load_share beside it"
        )


def _check_share(file: Path, name: str, share: FloatArray, shape: tuple[int, ...]) -> None:
    if share.shape not in ((), shape[1:], shape) or not (share > 0).all():
        raise DataError(
            f"the trace '{file}' has {name} of shape {share.shape}; expected one positive"
            f" number, {shape[1]} of them, or shape {shape}"
        )
