"""Runs on a real engine: rows, settings, and an observer that does harm."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from erasurehead.datasets.prepare import prepare
from erasurehead.records import Observer, RoundRecord

SETTINGS: dict[str, Any] = {
    "optimizer": "gradient-descent",
    "step": 0.1,
    "l2": 0.01,
    "until": "none",
    "rounds": 10**6,
    "progress": False,
    "membership": {"heartbeat_interval_s": 0.5, "silence_limit_s": 3.0},
}
"""Of a run that goes on until somebody ends it, and soon finds out that a worker is gone."""


def small_store(folder: Path) -> str:
    options = {"rows": "300", "columns": "20", "nnz": "4", "labels": "two-classes"}
    return str(prepare("synthetic", source=None, out=folder / "small", options=options).path)


class Harm(Observer):
    """Does something in a round, and ends the run when what must come of it has come.

    Parameters
    ----------
    at_round: in which it does it.
    do: what.
    enough: looks at each later record, and says whether the run may end.
    """

    def __init__(
        self, at_round: int, do: Callable[[], None], enough: Callable[[RoundRecord], bool]
    ) -> None:
        self.workers: tuple[str, ...] = ()
        """What the worker of each slot is called now."""
        self.notices: list[str] = []
        self._at, self._do, self._enough = at_round, do, enough
        self._over = False

    def round_over(self, record: RoundRecord) -> None:
        self.workers = record.workers or self.workers
        if record.round == self._at:
            self._do()
        elif record.round > self._at:
            self._over = self._enough(record)

    def moved(self, round_: int, model: Callable[[], Any]) -> str | None:
        return "seen enough" if self._over else None

    def notice(self, level: str, text: str) -> None:
        self.notices.append(text)


def nurseries() -> list[psutil.Process]:
    """Return the nurseries that processes of this one's have."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "erasurehead_local.nursery" in process.cmdline():
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def wait_until(done: Callable[[], bool]) -> None:
    """Wait for a condition, two minutes at most.

    Raises
    ------
    AssertionError: it has not come within the limit.
    """
    until = time.monotonic() + 120.0
    while not done():
        assert time.monotonic() < until
        time.sleep(0.05)
