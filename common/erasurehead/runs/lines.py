"""Which rounds ``rounds.jsonl`` holds, as far as it can be trusted after a crash."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from erasurehead.runs.layout import ROUNDS


def recorded_rounds(directory: Path) -> int:
    """Return n such that rounds 1 to n are recorded, whole and in order; 0 if none is."""
    return max((round_ for round_, _ in _sound_lines(directory)), default=0)


def offset_after(directory: Path, round_: int) -> int:
    """Return the number of bytes that rounds 1 to `round_` take."""
    return max((end for at, end in _sound_lines(directory) if at <= round_), default=0)


def lines_beyond(directory: Path, round_: int) -> int:
    """Return how many whole lines come after the record of `round_`.

    After the last of `recorded_rounds` there is none, or the file was damaged: a process that dies
    leaves at most a line without an end.
    """
    path = directory / ROUNDS
    if not path.exists():
        return 0
    with path.open("rb") as file:
        file.seek(offset_after(directory, round_))
        return sum(line.endswith(b"\n") for line in file)


def _sound_lines(directory: Path) -> Iterator[tuple[int, int]]:
    """Yield (round, offset of the line's end) up to the first line that is not the next round."""
    path = directory / ROUNDS
    if not path.exists():
        return
    expected, end = 1, 0
    with path.open("rb") as file:
        for line in file:
            end += len(line)
            try:
                sound = line.endswith(b"\n") and json.loads(line)["round"] == expected
            except (ValueError, KeyError, TypeError):
                sound = False
            if not sound:
                return
            yield expected, end
            expected += 1
