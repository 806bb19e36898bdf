"""The run as it goes, on the console: a live display, or a plain line now and then."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from erasurehead.errors import EXIT_INTERRUPTED, EXIT_OK
from erasurehead.records import Observer, RoundRecord, RunStart, RunSummary

REDRAW_INTERVAL_S = 0.25
LINE_INTERVAL_S = 5.0

_BARS = "▁▂▃▄▅▆▇█"
_STYLES = {"debug": "dim", "info": "", "warning": "yellow", "error": "red"}


class Tally:
    """What the display needs of the rounds so far, in time that grows with the arrivals alone."""

    def __init__(self, start: RunStart) -> None:
        self.start = start
        self.last: RoundRecord | None = None
        self.metrics: dict[str, float] = {}
        self._arrived = [0] * start.n_workers
        self._share = [math.nan] * start.n_workers
        self._erased = 0
        self._rounds = 0
        self._since: float | None = None
        """Where the rounds that are not folded in begin, on the run's clock."""
        self._seconds_per_round = math.nan
        self.erased_per_round = math.nan

    def add(self, record: RoundRecord) -> None:
        """Take a round in."""
        self.last = record
        if self._since is None:
            # Not zero: a run that goes on has a past, in which this process did no round.
            self._since = record.opened_s
        if record.metrics:
            self.metrics = record.metrics
        for arrival in record.arrivals:
            self._arrived[arrival.slot] += 1
        self._erased += record.erased_tasks
        self._rounds += 1

    def settle(self) -> None:
        """Fold the rounds since the last call into the recent averages."""
        if self.last is None or not self._rounds:
            return
        assert self._since is not None
        seconds = (self.last.closed_s - self._since) / self._rounds
        self._since = self.last.closed_s
        self._seconds_per_round = _recent(self._seconds_per_round, seconds)
        self.erased_per_round = _recent(self.erased_per_round, self._erased / self._rounds)
        for slot, arrived in enumerate(self._arrived):
            self._share[slot] = _recent(self._share[slot], arrived / self._rounds)
            self._arrived[slot] = 0
        self._erased = self._rounds = 0

    @property
    def done(self) -> int:
        """Rounds that are over, counted from the run's first."""
        return 0 if self.last is None else self.last.round

    @property
    def rate(self) -> float:
        """Recent rounds a second, nan before the first."""
        return 1 / self._seconds_per_round if self._seconds_per_round > 0 else math.nan

    @property
    def left_s(self) -> float:
        """Seconds until the last round at the recent rate."""
        return (self.start.rounds - self.done) * self._seconds_per_round

    @property
    def bars(self) -> str:
        """One bar a worker: how often it recently arrived in time."""
        top = len(_BARS) - 1
        return "".join(" " if s != s else _BARS[round(min(s, 1.0) * top)] for s in self._share)


class Progress(Observer):
    """Shows a run on a console.

    A terminal gets a display that is redrawn at most four times a second; anything else gets a
    line every few seconds. The cost of a round that is not drawn is some microseconds.

    Parameters
    ----------
    console: where to.
    quiet: warnings and errors only, and whether the run has converged.
    judges: whether to say that at all.
    clock: seconds, for the pace of drawing.
    """

    def __init__(
        self,
        console: Console,
        *,
        quiet: bool = False,
        judges: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._quiet = quiet
        self._judges = judges
        self._clock = clock
        self._interval_s = REDRAW_INTERVAL_S if console.is_terminal else LINE_INTERVAL_S
        self._due = -math.inf
        self._tally: Tally | None = None
        self._live: Live | None = None
        self._drawn: RoundRecord | None = None

    def started(self, start: RunStart) -> None:
        """Say what runs, and open the display."""
        self._tally = Tally(start)
        self._due = -math.inf
        if self._quiet:
            return
        weights = {"l1": start.l1, "l2": start.l2}
        penalty = "".join(
            f", {name} {weight:.3g}" for name, weight in weights.items() if weight > 0
        )
        self._console.print(
            f"[bold]{_plain(start.scheme)}[/]: {start.n_workers} workers, {start.n_tasks} tasks,"
            f" load {_range(start.loads)}, {start.training_rows:,} rows x {start.columns:,}"
            f" columns, {start.model}, {_plain(start.optimizer)}, step {_plain(start.step)}"
            f"{penalty};"
            f" ready after {start.ready_s:.1f} s",
            highlight=False,
            soft_wrap=True,
        )
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()

    def round_over(self, record: RoundRecord) -> None:
        """Draw, if it is time to."""
        tally = self._tally
        if tally is None or self._quiet:
            return
        tally.add(record)
        now = self._clock()
        if now >= self._due:
            self._due = now + self._interval_s
            self._draw(tally)

    def notice(self, level: str, text: str) -> None:
        """Print it above the display."""
        if level == "debug" or (self._quiet and level not in ("warning", "error")):
            return
        shown = Text(text if level == "info" else f"{level}: {text}", style=_STYLES.get(level, ""))
        self._console.print(shown, soft_wrap=True)

    def trouble(self, sentence: str) -> None:
        """Print a warning of this side's own."""
        self.notice("warning", sentence)

    def finished(self, summary: RunSummary) -> None:
        """Draw the last round and close the display."""
        tally = self._tally
        if tally is not None and tally.last is not None and tally.last is not self._drawn:
            self._draw(tally)
        self.close()
        if self._quiet and summary.exit_code not in (EXIT_OK, EXIT_INTERRUPTED):
            self.notice("error", _plain(summary.reason))
        elif not self._quiet:
            pace = f", {summary.rounds / summary.wall_s:.3g} a second" if summary.wall_s else ""
            self._console.print(
                f"{summary.rounds} rounds in {summary.wall_s:.2f} s{pace}:"
                f" {_plain(summary.reason)}",
                highlight=False,
                soft_wrap=True,
            )
        if summary.verdict and self._judges:
            self._console.print(_plain(summary.verdict), highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Leave the terminal as it should be, whatever happened."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _draw(self, tally: Tally) -> None:
        tally.settle()
        self._drawn = tally.last
        if self._live is not None:
            self._live.update(display(tally), refresh=True)
        elif not self._quiet and tally.last is not None:
            self._console.print(line(tally), highlight=False, markup=False, soft_wrap=True)


def line(tally: Tally) -> str:
    """Return the state of a run as key=value pairs on one line; `tally` has a round."""
    record = tally.last
    assert record is not None
    pairs = {
        "round": f"{record.round}/{tally.start.rounds}",
        "arrivals": f"{len(record.arrivals)}/{tally.start.n_workers}",
        "erased_tasks": str(record.erased_tasks),
        "decode_error": f"{record.decode_error:.3g}",
        "train_loss": f"{record.train_loss:.6g}",
        **({} if math.isnan(record.gap) else {"gap": f"{record.gap:.2g}"}),
        **{name: f"{value:.6g}" for name, value in tally.metrics.items()},
        "rounds_per_s": f"{tally.rate:.3g}",
        "left_s": f"{tally.left_s:.0f}",
    }
    return " ".join(f"{key}={value}" for key, value in pairs.items())


def display(tally: Tally) -> RenderableType:
    """Return the live display; `tally` has a round."""
    record = tally.last
    assert record is not None
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        f"round {record.round}/{tally.start.rounds}",
        ProgressBar(total=tally.start.rounds, completed=record.round, width=30),
        f"{tally.rate:.3g} rounds/s",
        f"{_duration(tally.left_s)} left",
    )
    learning = {"loss": f"{record.train_loss:.5g}"}
    if not math.isnan(record.gap):
        learning["gap"] = f"{record.gap:.2g}"
    learning |= {name: f"{value:.5g}" for name, value in tally.metrics.items()}
    coding = {
        "arrivals": f"{len(record.arrivals)}/{tally.start.n_workers}",
        "erased tasks": f"{tally.erased_per_round:.3g} a round",
        "decode error": f"{record.decode_error:.3g}",
    }
    workers = _numbers({"workers": tally.bars})
    workers.no_wrap = True
    workers.overflow = "ellipsis"
    return Group(bar, _numbers(learning), _numbers(coding), workers)


def _numbers(pairs: Mapping[str, str]) -> Text:
    text = Text()
    for name, value in pairs.items():
        if text:
            text.append("   ")
        text.append(f"{name} ", style="dim").append(value)
    return text


def _recent(average: float, value: float) -> float:
    """Return a running average that forgets within some redraws."""
    return value if average != average else 0.7 * average + 0.3 * value


def _duration(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "?"
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _range(loads: tuple[int, ...]) -> str:
    low, high = min(loads), max(loads)
    return str(low) if low == high else f"{low} to {high}"


def _plain(text: str) -> str:
    """Keep the console from reading a name in brackets as markup."""
    return text.replace("[", "\\[")
