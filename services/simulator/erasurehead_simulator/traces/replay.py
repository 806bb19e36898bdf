"""A trace as the cluster that a plan is for."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from erasurehead.errors import UsageError
from erasurehead_simulator.traces.recording import RecordedTrace

BLOCK_ROUNDS = 10
"""A trace is resampled in runs of so many rounds, which keeps a straggler's bad spells."""


def resampled(recorded: RecordedTrace, file: Path) -> str:
    """Write a trace, and return the delay model that draws runs of the same cluster from it.

    Raises
    ------
    UsageError: the file's path has a comma, which ends an option of a delay model.
    OSError: the disk does not take it.
    """
    if "," in str(file):
        raise UsageError(f"the path {file} has a comma; name a directory without one")
    np.savez(file, **recorded.arrays())
    return f"trace:file={file},compute=yes,block={BLOCK_ROUNDS}"
