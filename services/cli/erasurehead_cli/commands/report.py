"""`erasurehead report`: one HTML page on finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from erasurehead.errors import UsageError
from erasurehead_cli.console.options import MetricOption, TargetOption, check_target

CONFIG = "config.yaml"


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="Run directories, or a directory that compare wrote."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="HTML file to write \\[default: report.html in RUN, or here for several]",
            show_default=False,
        ),
    ] = None,
    metric: MetricOption = None,
    target: TargetOption = None,
) -> None:
    """Make one self-contained HTML page on one or more runs."""
    check_target(target)

    from erasurehead.runs import Run
    from erasurehead_cli.report import write_report

    path = out or (runs[0] if len(runs) == 1 else Path()) / "report.html"
    found = [each for given in runs for each in _runs_in(given)]
    twice = next((each for n, each in enumerate(found) if each in found[:n]), None)
    if twice is not None:
        raise UsageError(f"run {twice} is given twice; name each run once")
    write_report([Run.open(each) for each in found], path, metric=metric, target=target)
    typer.echo(f"report: {path}")


def _runs_in(given: Path) -> list[Path]:
    """Return a run itself, or the runs of a comparison in the order they were run."""
    if (given / CONFIG).exists() or not given.is_dir():
        return [given]
    inside = [path.parent for path in given.glob(f"*/{CONFIG}")]

    def order(path: Path) -> tuple[int, str]:
        number = path.name.partition("-")[0]
        return (int(number) if number.isdecimal() else 0, path.name)

    # Without runs inside, the directory itself is opened, which says what is missing.
    return sorted(inside, key=order) or [given]
