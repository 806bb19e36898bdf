"""A schedule of faults for the workers of a local run, as a file of lines.

``12.5 kill 3`` kills worker 3 at 12.5 s after the workers were there (SIGKILL; it is started again
at once, as a supervisor would), ``20 stop 5 8`` freezes worker 5 for 8 s (SIGSTOP, SIGCONT), and
``31 cut 0`` cuts the connection of worker 0. Empty lines and what follows ``#`` are left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from erasurehead.errors import UsageError, reason_of

Kind = Literal["kill", "stop", "cut"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to which worker, `at_s` seconds after the start; `for_s` is of a stop."""

    at_s: float
    kind: Kind
    worker: int
    for_s: float = 0.0


def read_faults(path: Path, n_workers: int) -> list[Fault]:
    """Return the faults of a file in the order of their times.

    Raises
    ------
    UsageError: the file cannot be read, or a line is no fault of one of so many workers.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = reason_of(error) if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"cannot read the faults in {path}: {why}") from None
    faults = []
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if words:
            faults.append(_fault(words, n_workers, f"line {number} of {path}"))
    return sorted(faults, key=lambda fault: fault.at_s)


def in_words(faults: Sequence[Fault]) -> str:
    """Return how many faults of which kinds there are."""
    counts = {kind: sum(fault.kind == kind for fault in faults) for kind in get_args(Kind)}
    each = ", ".join(f"{kind} {count}" for kind, count in counts.items() if count)
    return f"{len(faults)} faults" + (f" ({each})" if each else "")


def _fault(words: list[str], n_workers: int, where: str) -> Fault:
    try:
        at_s, kind, worker = float(words[0]), words[1], int(words[2])
        for_s = float(words[3]) if len(words) > 3 else 0.0
        sound = at_s >= 0 and 0 <= worker < n_workers and len(words) == 3 + (kind == "stop")
        sound = sound and math.isfinite(at_s) and (kind != "stop" or 0 < for_s < math.inf)
    except (ValueError, IndexError):
        sound = False
    if not sound or kind not in get_args(Kind):
        raise UsageError(
            f"{where} is no fault: '{' '.join(words)}'; expected 'SECONDS kill WORKER',"
            f" 'SECONDS cut WORKER' or 'SECONDS stop WORKER FOR_SECONDS', with workers 0 to"
            f" {n_workers - 1}"
        )
    return Fault(at_s, kind, worker, for_s)  # type: ignore[arg-type]
