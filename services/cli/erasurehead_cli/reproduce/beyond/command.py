"""All trials, from the first to the page."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from erasurehead.datasets.prepare import prepare
from erasurehead.errors import EXIT_INTERRUPTED, EXIT_OK, UsageError
from erasurehead_cli.reproduce.beyond.earlier import Earlier
from erasurehead_cli.reproduce.beyond.grid import Trial
from erasurehead_cli.reproduce.beyond.running import MARKS, Laboratory, Reached
from erasurehead_cli.reproduce.page import check_place


@dataclass(frozen=True)
class Request:
    """What the command line asked for.

    Attributes
    ----------
    files: raw data by data set; None: it needs no file.
    trials: to run.
    shown: those of the page, if they are finished.
    kinds: ``run``, with processes, or ``ideal``, on a virtual clock, or both; none: only the page
        is written.
    against: another checkout of this repository, which runs the trials of an earlier build.
    """

    out: Path
    files: Mapping[str, Path | None]
    trials: Sequence[Trial]
    shown: Sequence[Trial]
    kinds: Sequence[str]
    time_scale: float
    page: Path
    against: Path | None = None


def carry_out(request: Request, console: Console) -> int:
    """Prepare the data, run what is missing, write the page.

    Raises
    ------
    UsageError, DataError: a file or a setting is wrong.
    """
    # Not needed to run, but before hours of trials rather than after.
    from erasurehead_cli.reproduce.beyond.page import write_second_half

    check_place(request.page)
    earlier = None if request.against is None else Earlier(request.against)
    laboratory = Laboratory(request.out, request.time_scale, earlier)
    for name in dict.fromkeys(trial.data_set.name for trial in request.trials):
        if request.kinds:
            source = request.files.get(name)
            prepare(name, source=source, out=laboratory.store(name))
            if earlier is not None and "run" in request.kinds:
                earlier.prepare(name, source, laboratory.earlier_store(name))
    todo = [
        (trial, kind)
        for kind in request.kinds
        for trial in request.trials
        # On a virtual clock the same method takes as long in any build.
        if laboratory.result(trial, kind) is None
        and not (kind == "ideal" and trial.contender.earlier)
    ]
    for number, (trial, kind) in enumerate(todo, 1):
        begun = time.monotonic()
        reached = laboratory.run(trial) if kind == "run" else laboratory.ideal(trial)
        if reached is None:
            console.print("stopped; give the same command to go on")
            return EXIT_INTERRUPTED
        laboratory.keep(trial, kind, reached)
        console.print(
            f"{number}/{len(todo)} {trial}, {kind}: {told(reached)};"
            f" {time.monotonic() - begun:.0f} s in all",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    if all(laboratory.result(t, kind) is None for t in request.shown for kind in ("run", "ideal")):
        raise UsageError(f"nothing under {request.out} is finished; there is nothing to show")
    write_second_half(laboratory, request.shown, request.page)
    console.print(f"results  {request.page}", highlight=False, soft_wrap=True)
    return EXIT_OK


def told(reached: Reached) -> str:
    """Return what a trial has reached, for a line."""
    marks = [
        f"{mark:g} in {at_s:.1f} s (round {at})"
        for mark, (at, at_s) in zip(MARKS, reached.marks, strict=False)
    ]
    return ", ".join(marks) or f"{reached.left:.1e} left after {reached.wall_s:.1f} s"
