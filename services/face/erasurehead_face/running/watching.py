"""Who watches a run that Python started: a display, and what the user brings."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from erasurehead.errors import UsageError
from erasurehead.records import Observer, RoundRecord, RunStart, RunSummary

REDRAW_INTERVAL_S = 0.25


class Display(Observer):
    """Shows a run."""

    def close(self) -> None:
        """Leave the screen as it should be, whatever happened."""


def display_of(progress: bool | None) -> Display | None:
    """Return what shows a run as it goes.

    Parameters
    ----------
    progress: None: show it where a person looks, in a terminal or a notebook.
    """
    if progress is False:
        return None
    if in_notebook():
        return NotebookProgress()
    if progress or sys.stderr.isatty():
        return TerminalProgress()
    return None


@contextlib.contextmanager
def watched(observers: Sequence[Observer], progress: bool | None) -> Iterator[list[Observer]]:
    """Yield the given observers and a display; `progress` as for `display_of`.

    Raises
    ------
    UsageError: what is given are no observers.
    """
    check_observers(observers)
    display = display_of(progress)
    try:
        yield [*observers, *([] if display is None else [display])]
    finally:
        if display is not None:
            display.close()


def check_observers(observers: Sequence[Observer]) -> None:
    """Refuse what could not be told of a run: it would fail when the first round is over.

    Raises
    ------
    UsageError: it is no list of observers.
    """
    each = observers if isinstance(observers, Sequence) else [observers]
    for given in each:
        if not isinstance(given, Observer):
            raise UsageError(
                f"observers holds {given!r:.60}, which is no observer; give a list of objects of a"
                " class that is derived from erasurehead.records.Observer"
            )
    if each is not observers:
        raise UsageError("observers is a single observer; give a list: observers=[...]")


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    shell = sys.modules.get("IPython")
    found = None if shell is None else shell.get_ipython()
    return found is not None and getattr(found, "kernel", None) is not None


class TerminalProgress(Display):
    """The command's display, on standard error; what is told on the way is logged as ever."""

    def __init__(self) -> None:
        from rich.console import Console

        from erasurehead_cli.console.progress import Progress

        self._shown = Progress(Console(stderr=True))
        self.started = self._shown.started  # type: ignore[method-assign]
        self.round_over = self._shown.round_over  # type: ignore[method-assign]
        self.finished = self._shown.finished  # type: ignore[method-assign]
        self.close = self._shown.close  # type: ignore[method-assign]


class NotebookProgress(Display):
    """A bar and a line under a notebook's cell, redrawn at most four times a second."""

    def __init__(self) -> None:
        self._due = -float("inf")
        self._rounds = 1
        self._handle: Any = None
        self._last: RoundRecord | None = None

    def started(self, start: RunStart) -> None:
        """Show an empty bar."""
        from IPython.display import HTML, display

        self._rounds = start.rounds
        self._handle = display(HTML(_html(0, start.rounds, start.scheme)), display_id=True)

    def round_over(self, record: RoundRecord) -> None:
        """Redraw, if it is time to."""
        self._last = record
        now = time.monotonic()
        if now >= self._due:
            self._due = now + REDRAW_INTERVAL_S
            self._draw("")

    def finished(self, summary: RunSummary) -> None:
        """Draw the last round, and how the run ended."""
        self._draw(summary.reason)

    def _draw(self, told: str) -> None:
        if self._handle is None or self._last is None:
            return
        from IPython.display import HTML

        record = self._last
        numbers = {"loss": record.train_loss, **record.metrics}
        line = " ".join(f"{name} {value:.5g}" for name, value in numbers.items())
        done = self._rounds if told else record.round
        self._handle.update(HTML(_html(done, self._rounds, f"round {record.round}: {line} {told}")))


def _html(done: int, rounds: int, line: str) -> str:
    from html import escape

    return f'<progress value="{done}" max="{rounds}"></progress> <code>{escape(line)}</code>'
