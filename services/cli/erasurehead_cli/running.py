"""What every command that runs rounds does around them: directory, display, closing report."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.console import Console

from erasurehead.errors import ErasureHeadError
from erasurehead.records import Observer, RunSummary
from erasurehead.runs import Run, RunWriter
from erasurehead.settings import RunSettings
from erasurehead_cli import figures
from erasurehead_cli.progress import Progress

R = TypeVar("R", bound=RunSettings)


def check(settings: RunSettings) -> list[str]:
    """Refuse what cannot run, before anything is started or written.

    Returns the names of the metrics that the run will report.

    Raises
    ------
    UsageError, DataError: as the master itself would.
    """
    from erasurehead.datasets.store import Store
    from erasurehead.learning.optimizers import OPTIMIZERS
    from erasurehead.learning.schedules import Constant, build_schedule
    from erasurehead_master.plan import make_plan

    plan = make_plan(settings, Store.open(settings.store), None)
    # The automatic step takes a look at the data, and is always right.
    schedule = Constant(eta=1.0) if settings.step == "auto" else build_schedule(settings.step)
    OPTIMIZERS.build(settings.optimizer, plan.columns, schedule, settings.l2)
    return list(plan.objective.metrics(np.zeros(2), np.array([-1.0, 1.0])))


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


def run_recorded(
    settings: R,
    run: Callable[[R, Sequence[Observer]], RunSummary],
    out: Path,
    console: Console,
    *,
    quiet: bool,
) -> RunSummary:
    """Run, showing it on the console and writing it to `out`.

    Raises
    ------
    ErasureHeadError: whatever the run raises; or its directory could not be written to the end.
    """
    progress = Progress(console, quiet=quiet)
    settings = settings.model_copy(update={"out": out})
    try:
        with RunWriter(out, settings, progress.trouble) as writer:
            summary = run(settings, [writer, progress])
    finally:
        progress.close()
    if not writer.whole:
        raise ErasureHeadError(
            f"the run is over ({summary.reason}), but {out} could not be written to the end;"
            " make room and run it again"
        )
    return summary


def report(path: Path, console: Console, *, draw: bool) -> None:
    """Print what a finished run came to, and where it lies."""
    run = Run.open(path)
    summary = run.summary
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
    }
    if draw:
        drawn = draw_figures(lambda: figures.run_figures(run.records, run.settings.scheme, path))
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
