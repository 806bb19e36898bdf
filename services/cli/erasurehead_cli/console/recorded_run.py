"""What every command that runs rounds does around them: directory, display, closing report."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rich.console import Console

from erasurehead.errors import EXIT_OK, DataError, ErasureHeadError, UsageError, reason_of
from erasurehead.records import Level, Observer, RunSummary
from erasurehead.runs import Claim, Origin, Run, RunWriter
from erasurehead.runs.origin import ClassType
from erasurehead.runs.tracked import trackers_of
from erasurehead.settings.tree import RunSettings
from erasurehead_cli.console import logs
from erasurehead_cli.console.progress import Progress
from erasurehead_cli.results import figures

if TYPE_CHECKING:
    from erasurehead_master.keep.checkpoint import Snapshot
    from erasurehead_master.keep.resume import ResumePoint
    from erasurehead_master.run.planning import PlannedRun


class Runner(Protocol):
    """`erasurehead_local.train.run_planned`, or something that runs a plan like it."""

    def __call__(
        self,
        planned: PlannedRun,
        observers: Sequence[Observer],
        resume: Snapshot | None = None,
        /,
    ) -> RunSummary:
        """Run to the end."""


def slug(scheme: str) -> str:
    """Return a scheme's text as a name for a file: ``agc:c=3,r=11`` is ``agc-c3-r11``."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", scheme.replace("=", "")).strip("-.") or "scheme"


def fresh_directory(kind: str) -> Path:
    """Return a directory under ``runs`` that does not exist, named after the time and `kind`."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    first = Path("runs") / f"{stamp}-{kind}"
    path, n = first, 1
    while path.exists():
        n += 1
        path = first.with_name(f"{first.name}-{n}")
    return path


def run_and_report(
    planned: PlannedRun,
    run: Runner,
    *,
    draw: bool,
    quiet: bool,
    unfinished_code: int = EXIT_OK,
) -> int:
    """Run in the directory that the settings name, or a fresh one; return the exit code.

    `unfinished_code`: of a run that was asked to end, and did so in order before it was done.

    Raises
    ------
    ErasureHeadError: see `run_recorded`.
    """
    from erasurehead_master.keep.resume import is_done

    logs.beside_progress()
    console = Console()
    settings = planned.plan.settings
    out = settings.run.out or fresh_directory(slug(settings.coding.scheme))
    summary = run_recorded(planned, run, out, console, quiet=quiet)
    del planned  # and with it the mapped data, before the report needs memory
    report(out, console, draw=draw, quiet=quiet)
    if summary.exit_code != EXIT_OK or is_done(settings, summary):
        return summary.exit_code
    return unfinished_code


def run_recorded(
    planned: PlannedRun,
    run: Runner,
    out: Path,
    console: Console,
    *,
    quiet: bool,
    judges: bool = True,
    column_names: tuple[str, ...] = (),
    class_type: ClassType = "str",
) -> RunSummary:
    """Run, showing it on the console and writing it to `out`; or go on with the run there.

    `judges`: whether to say if the run has converged. `column_names`: what the data frame calls its
    columns that the rows were handed in as. `class_type`: what the names of the classes stand for.

    Raises
    ------
    ErasureHeadError: whatever the run raises; or its directory could not be written to the end, or
        is another process's.
    """
    progress = Progress(console, quiet=quiet, judges=judges)
    planned = planned.recorded_in(out)
    settings = planned.plan.settings
    trackers = trackers_of(settings, out, progress.trouble)
    with Claim(out) as claim:
        point = _resume_point(settings, planned.plan.digest)
        if point is None or not point.finished:
            origin = Origin.of(planned.store, column_names, class_type)
            return _run(planned, run, point, claim, progress, trackers, origin)
    progress.close()
    ended = Run.open(out).summary
    assert ended is not None
    progress.notice("info", f"the run in {out} is finished: {ended.reason}")
    from erasurehead_master.shell.resting import rest

    rest(settings)
    return ended


def _run(
    planned: PlannedRun,
    run: Runner,
    point: ResumePoint | None,
    claim: Claim,
    progress: Progress,
    trackers: Sequence[Observer],
    origin: Origin,
) -> RunSummary:
    """Run, or go on from a point, in the directory that is claimed."""
    settings = planned.plan.settings
    out = settings.run.out
    assert out is not None
    after = None if point is None else point.round
    snapshot = None if point is None else point.snapshot
    try:
        with RunWriter(out, settings, progress.trouble, after, claim, origin) as writer:
            observers = [writer, progress, *trackers]
            for level, text in _resume_notices(settings, point):
                for observer in observers:
                    observer.notice(level, text)
            summary = run(planned, observers, snapshot)
    finally:
        progress.close()
    if not writer.whole:
        raise ErasureHeadError(
            f"the run is over ({summary.reason}), but {out} could not be written to the end;"
            " make room and run it again"
        )
    return summary


def _resume_point(settings: RunSettings, digest: str) -> ResumePoint | None:
    if not settings.run.resume:
        return None
    from erasurehead_master.keep.resume import find_resume_point

    return find_resume_point(settings, digest)


def _resume_notices(
    settings: RunSettings, point: ResumePoint | None
) -> Iterator[tuple[Level, str]]:
    if point is not None:
        begin = "from the beginning: no checkpoint is left" if point.snapshot is None else ""
        for text in (*point.notices, f"resuming {begin or f'after round {point.round}'}"):
            yield "warning", text
    elif settings.run.resume:
        # Supervisors ask for that at the first start, too, so that it is no warning.
        yield "info", f"there is no run in {settings.run.out} to resume; a new one begins"


def report(path: Path, console: Console, *, draw: bool, quiet: bool) -> None:
    """Write the report of a finished run; unless `quiet`, print its results and where they are.

    A disk that takes no report is no reason to call the run a failure: a warning says so.
    """
    from erasurehead_cli.report import write_report

    run = Run.open(path)
    summary = run.summary
    page = path / "report.html"
    drawn: list[Path] = []
    if summary is not None and run.records:
        try:
            write_report([run], page)
            if draw:
                drawn = draw_figures(
                    lambda: figures.run_figures(run.records, run.settings.coding.scheme, path)
                )
        except DataError:
            raise
        except (OSError, UsageError) as error:
            console.print(
                f"warning: {reason_of(error)}; the run itself is whole, and `erasurehead report"
                f" {path}` makes its report once there is room",
                style="yellow",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
    if quiet:
        return
    if summary is None or not run.records:
        console.print(f"no round was run; see {path}", markup=False, highlight=False)
        return
    rounds = len(run.records)
    moved = sum(r.bytes_in + r.bytes_out for r in run.records) / rounds
    lines = {
        "wall clock": [
            f"{summary.wall_s:.2f} s, {summary.evaluation_s:.2f} s of it for evaluation between"
            " rounds"
        ],
        "a round": [
            f"{summary.rounds_s / rounds * 1e3:.4g} ms, {moved / 1e6:.3g} MB sent and received"
        ],
        **{name: [f"{value:.6g}"] for name, value in summary.metrics.items()},
        "run": [str(path)],
        "model": [str(path / "model.npz")],
        "report": [str(page) if page.exists() else "none was written"],
    }
    if draw:
        lines["figures"] = figure_lines(drawn)
    print_lines(lines, console)


def draw_figures(draw: Callable[[], list[Path]]) -> list[Path]:
    """Draw, where that is possible."""
    return draw() if figures.available() else []


def figure_lines(drawn: Sequence[Path]) -> list[str]:
    """Return where the figures are, or why there are none."""
    return [str(path) for path in drawn] or [figures.MISSING]


def print_lines(lines: Mapping[str, Sequence[str]], console: Console) -> None:
    """Print names in one column, and what is under each in the other."""
    width = max(map(len, lines))
    for name, values in lines.items():
        for n, value in enumerate(values):
            label = "" if n else name
            console.print(
                f"{label:<{width}}  {value}", markup=False, highlight=False, soft_wrap=True
            )
