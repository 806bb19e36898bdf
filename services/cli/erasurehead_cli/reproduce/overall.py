"""How far the whole grid is, and how long it will take."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from erasurehead.records import Observer, RoundRecord, RunStart, RunSummary
from erasurehead_cli.reproduce.grid import Cell


def clock(seconds: float) -> str:
    """Return hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


class Overall(Observer):
    """Shows the grid's progress: a bar on a terminal, else a line a cell.

    Time left is what the cells were expected to take, times how wrong that has been so far.

    Parameters
    ----------
    cells: to run.
    expected_s: of each.
    now: seconds.
    """

    def __init__(
        self,
        console: Console,
        cells: Sequence[Cell],
        expected_s: Sequence[float],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._cells = cells
        self._expected_s = list(expected_s)
        self._now = now
        self._index = -1
        self._share = 0.0
        self._rounds = 1
        self._spent_s = self._foreseen_s = 0.0
        self._began = now()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:.0f}%  {task.fields[left]} left"),
            console=console,
            auto_refresh=False,
        )
        self._task = self._bar.add_task("", total=sum(expected_s), left="")
        self._drawn = -1.0

    @property
    def left_s(self) -> float:
        """Seconds until the last cell is done."""
        here = self._expected_s[self._index] * (1.0 - self._share) if self._index >= 0 else 0.0
        later = sum(self._expected_s[self._index + 1 :])
        wrong = self._spent_s / self._foreseen_s if self._foreseen_s else 1.0
        return (here + later) * wrong

    def __enter__(self) -> Overall:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop() if self._console.is_terminal else None

    def begin(self, index: int) -> None:
        """A cell begins."""
        self._index, self._share, self._began = index, 0.0, self._now()
        self._draw()

    def end(self, index: int, outcome: str) -> None:
        """A cell is over: run, or skipped."""
        self._spent_s += self._now() - self._began
        self._foreseen_s += self._expected_s[index]
        self._share = 1.0
        self._console.print(
            f"{index + 1}/{len(self._cells)} {_name(self._cells[index])}: {outcome};"
            f" {clock(self.left_s)} left",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        self._draw()

    def started(self, start: RunStart) -> None:
        """Rounds begin."""
        self._rounds = start.rounds

    def round_over(self, record: RoundRecord) -> None:
        """Move the bar, some times a second."""
        self._share = record.round / self._rounds
        if self._console.is_terminal and self._now() - self._drawn > 0.5:
            self._draw()

    def finished(self, summary: RunSummary) -> None:
        """The run is over; the cell is not yet."""
        self._share = 1.0

    def _draw(self) -> None:
        if not self._console.is_terminal:
            return
        self._drawn = self._now()
        done = sum(self._expected_s[: self._index]) + self._expected_s[self._index] * self._share
        self._bar.update(
            self._task,
            completed=done,
            description=_name(self._cells[self._index]),
            left=clock(self.left_s),
            refresh=True,
        )


def _name(cell: Cell) -> str:
    return f"{cell.data_set.name}, {cell.setting}, {cell.label}, seed {cell.seed}"
