"""The display: what it says, and how often."""

from __future__ import annotations

import io
import math
import re
from dataclasses import replace

import pytest
from rich.console import Console

from erasurehead.records import RunSummary
from erasurehead_cli.console.progress import LINE_INTERVAL_S, REDRAW_INTERVAL_S, Progress, Tally
from tests.support.played_runs import make_record, make_start

SUMMARY = RunSummary(
    reason="all rounds done", exit_code=0, rounds=10, wall_s=10.0, rounds_s=9.0, evaluation_s=1.0
)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def plain() -> Console:
    return Console(file=io.StringIO(), force_terminal=False, width=80)


def terminal() -> Console:
    return Console(
        file=io.StringIO(), force_terminal=True, width=80, height=30, _environ={"TERM": "xterm"}
    )


def test_plain_lines_come_every_few_seconds() -> None:
    """1. Rounds of 1/8 s. 2. The first is told, then one each 5 s, and the last at the end."""
    console, clock = plain(), Clock()
    progress = Progress(console, clock=clock)
    progress.started(make_start(rounds=43))
    for n in range(1, 44):
        progress.round_over(make_record(n, 0.125, metrics={"auc": 0.5 + n / 1000}))
        clock.now += 0.125
    progress.finished(SUMMARY)
    lines = shown(console).splitlines()
    told = [line.split(" ")[0] for line in lines if line.startswith("round=")]
    assert told == ["round=1/43", f"round={1 + int(LINE_INTERVAL_S / 0.125)}/43", "round=43/43"]
    assert lines[0].startswith("uncoded: 4 workers, 4 tasks, load 1, 1,000 rows x 3 columns")
    assert lines[-1] == "10 rounds in 10.00 s, 1 a second: all rounds done"


def test_a_plain_line_says_how_it_stands() -> None:
    console = plain()
    progress = Progress(console, clock=Clock())
    progress.started(make_start(rounds=10))
    progress.round_over(make_record(1, 0.5, slots=(0, 2), erased_tasks=2, metrics={"auc": 0.75}))
    [line] = [line for line in shown(console).splitlines() if line.startswith("round=")]
    assert line == (
        "round=1/10 arrivals=2/4 erased_tasks=2 decode_error=0.5 train_loss=0.7 auc=0.75"
        " rounds_per_s=2 left_s=4"
    )


def test_the_gap_is_shown_where_it_is_known() -> None:
    console = plain()
    progress = Progress(console, clock=Clock())
    progress.started(make_start(rounds=10))
    progress.round_over(replace(make_record(1), gap=0.00123))
    assert " gap=0.0012 " in shown(console)


@pytest.mark.parametrize("quiet", [False, True])
def test_the_last_line_says_whether_the_run_has_converged(quiet: bool) -> None:
    console = plain()
    progress = Progress(console, quiet=quiet)
    progress.started(make_start())
    progress.round_over(make_record(1))
    progress.finished(replace(SUMMARY, exit_code=0, verdict="not converged: [it] still falls"))
    assert shown(console).splitlines()[-1] == "not converged: [it] still falls"
    assert len(shown(console).splitlines()) == 1 or not quiet


def test_who_measures_other_things_is_not_told() -> None:
    console = plain()
    progress = Progress(console, quiet=True, judges=False)
    progress.started(make_start())
    progress.finished(replace(SUMMARY, exit_code=0, verdict="not converged"))
    assert shown(console) == ""


def test_a_terminal_is_redrawn_four_times_a_second_at_most() -> None:
    console, clock = terminal(), Clock()
    progress = Progress(console, clock=clock)
    progress.started(make_start(rounds=1000))
    drawn = 0
    for n in range(1, 1001):
        before = len(shown(console))
        progress.round_over(make_record(n, 0.002))
        drawn += len(shown(console)) > before
        clock.now += 0.002
    assert drawn == math.ceil(2.0 / REDRAW_INTERVAL_S)
    progress.finished(SUMMARY)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown(console))
    assert "round 1000/1000" in text
    assert "workers ████" in text
    assert "arrivals 4/4" in text


def test_a_straggler_has_a_low_bar() -> None:
    tally = Tally(make_start(rounds=20))
    for n in range(1, 11):
        slots = (0, 1, 2) if n % 2 else (0, 1)
        tally.add(make_record(n, slots=slots))
    tally.settle()
    assert tally.bars[0] == "█"
    assert tally.bars[2] in "▄▅"
    assert tally.bars[3] == "▁"
    assert tally.rate == pytest.approx(1.0)
    assert tally.left_s == pytest.approx(10.0)


def test_a_resumed_run_is_not_taken_for_a_fast_one() -> None:
    """Rounds before the first that was seen took no time of ours."""
    tally = Tally(make_start(rounds=20))
    tally.add(make_record(11, 1.0))
    tally.settle()
    tally.add(make_record(12, 1.0))
    tally.settle()
    assert tally.done == 12
    assert tally.left_s < 100


def test_the_rate_after_a_resume_counts_from_where_the_run_went_on() -> None:
    """The run's clock stood at ten thousand seconds when this process did its first round."""
    tally = Tally(make_start(rounds=20))
    tally.add(make_record(11, 10_000.0))
    tally.settle()
    assert tally.rate == pytest.approx(1 / make_record(11, 10_000.0).duration_s)


def test_notices_are_printed_with_their_level_and_not_as_markup() -> None:
    console = plain()
    progress = Progress(console)
    progress.notice("debug", "nobody needs this")
    progress.notice("info", "worker [red]3[/red] registered")
    progress.notice("warning", "worker 4 is gone")
    progress.trouble("disk full")
    assert shown(console).splitlines() == [
        "worker [red]3[/red] registered",
        "warning: worker 4 is gone",
        "warning: disk full",
    ]


def test_quiet_leaves_warnings_and_errors() -> None:
    console = plain()
    progress = Progress(console, quiet=True, clock=Clock())
    progress.started(make_start())
    progress.round_over(make_record(1))
    progress.notice("info", "nothing")
    progress.notice("error", "all workers are gone")
    progress.finished(SUMMARY)
    assert shown(console) == "error: all workers are gone\n"


def test_a_run_that_never_began_can_be_finished() -> None:
    console = plain()
    progress = Progress(console)
    progress.finished(RunSummary("nobody came", 3, 0, 0.0, 0.0, 0.0))
    progress.close()
    assert shown(console) == "0 rounds in 0.00 s: nobody came\n"


def test_names_in_brackets_are_no_markup() -> None:
    console = plain()
    progress = Progress(console, clock=Clock())
    progress.started(make_start(scheme="odd[bold]name"))
    assert "odd[bold]name" in shown(console)
