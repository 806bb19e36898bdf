"""`erasurehead compare`: schemes one after another, under the same delays."""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from erasurehead.errors import EXIT_INTERRUPTED, EXIT_OK, ErasureHeadError, UsageError, reason_of
from erasurehead.registry import nearest
from erasurehead.settings.tree import RunSettings
from erasurehead_cli.console.options import (
    FiguresOption,
    Given,
    MetricOption,
    StoreArgument,
    TargetOption,
    check_target,
    with_settings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from erasurehead.arrays import FloatArray


@with_settings(RunSettings, leave_out=["scheme", "resume"])
def compare(
    given: Given,
    store: StoreArgument = None,
    scheme: Annotated[
        list[str],
        typer.Option(
            "--scheme",
            metavar="TEXT",
            help="A scheme to run; give one --scheme for each. It may have an optimizer and a"
            " number of rounds of its own: 'uncoded with nesterov for 50 rounds'. Speed-ups refer"
            " to the first 'uncoded', or to the first scheme without it \\[default: uncoded,"
            " egc:c=3, agc:c=3,delta=0.37 and cached]",
            show_default=False,
        ),
    ] = [],  # noqa: B006 (read only)
    metric: MetricOption = None,
    target: TargetOption = None,
    optimum: Annotated[
        bool,
        typer.Option(
            "--optimum/--no-optimum",
            help="Say how far each model is from the optimum that scikit-learn finds on the same"
            " rows.",
        ),
    ] = False,
    figures: FiguresOption = True,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print the table, warnings and errors only.")
    ] = False,
) -> int:
    """Run schemes one after another under the same delays, and compare them."""
    check_target(target)
    schemes = scheme or usual_schemes(given.load(RunSettings, store=store).coding.workers)
    chosen = [_chosen(each) for each in schemes]
    runs = [
        given.load(RunSettings, store=store, scheme=scheme, optimizer=optimizer, rounds=rounds)
        for scheme, optimizer, rounds in chosen
    ]
    if runs[0].run.resume:
        raise UsageError("a comparison begins all its runs at round 1; leave resume out")
    twice = [each for each, count in Counter(schemes).items() if count > 1]
    if twice:
        raise UsageError(f"scheme {twice[0]} is given twice; a comparison runs each once")

    from rich.console import Console

    from erasurehead.datasets.store import Store
    from erasurehead_cli.console import logs, recorded_run
    from erasurehead_cli.results.optimum import check_optimum, way_left
    from erasurehead_local.train import plan_here, run_planned
    from erasurehead_master.keep.resume import is_cut_short

    # All of them before any of them: a typing error in the last one must not cost an hour.
    opened = Store.open(runs[0].problem.store)
    planned = [plan_here(settings, opened) for settings in runs]
    if optimum:
        check_optimum(planned[0].plan, opened)
    metrics = [found.name for found in planned[0].plan.model.metrics]
    if metric is not None and metric not in metrics:
        raise UsageError(
            f"a run on {runs[0].problem.store} reports no metric '{metric}'"
            f"{nearest(metric, metrics)}; it reports {', '.join(metrics)}"
        )
    out = runs[0].run.out or recorded_run.fresh_directory("compare")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"directory {out} is not empty; name another one with --out")
    logs.beside_progress()
    console = Console()
    done: list[Path] = []
    code = EXIT_OK
    for number, each in enumerate(planned, 1):
        path = out / f"{number}-{recorded_run.slug(schemes[number - 1])}"
        summary = recorded_run.run_recorded(each, run_planned, path, console, quiet=quiet)
        if is_cut_short(each.plan.settings, summary):
            console.print("stopped; the runs that are done are whole", highlight=False)
            return EXIT_INTERRUPTED
        code = code or summary.exit_code
        if summary.rounds:
            done.append(path)
    if done:
        left = partial(way_left, planned[0].plan, opened) if optimum else None
        _conclude(done, out, metric, target, console, left, draw=figures)
    return code


def _chosen(text: str) -> tuple[str, str | None, int | None]:
    """Return a scheme, and the optimizer and the number of rounds that are its own, if any."""
    found = re.fullmatch(r"(.+?)(?: with (\S+))?(?: for (\d+) rounds)?", text.strip(), re.DOTALL)
    if found is None:
        return text, None, None
    scheme, optimizer, rounds = found.groups()
    return scheme, optimizer, None if rounds is None else int(rounds)


def usual_schemes(workers: int) -> list[str]:
    """Return the schemes that are compared if none is named: three workers to a block, or all.

    Those of the paper, and beside them what a run has if none is named.
    """
    c = min(3, workers)
    if c == 1:
        return ["uncoded"]
    return ["uncoded", f"egc:c={c}", f"agc:c={c},delta=0.37", "cached"]


def _conclude(
    paths: list[Path],
    out: Path,
    metric: str | None,
    target: float | None,
    console: Console,
    left: Callable[[Sequence[FloatArray]], Sequence[float]] | None,
    *,
    draw: bool,
) -> None:
    """Measure the runs; write and print table and figures."""
    from pydantic_core import to_json

    from erasurehead.process.durable import replace_file
    from erasurehead.runs import Run
    from erasurehead_cli.console import recorded_run
    from erasurehead_cli.report import write_report
    from erasurehead_cli.results import figures, tables
    from erasurehead_cli.results.comparison import compare_runs, with_way_left
    from erasurehead_cli.results.whole import print_whole

    runs = [Run.open(path) for path in paths]
    comparison = compare_runs(runs, metric=metric, target=target)
    if left is not None:
        comparison = with_way_left(comparison, left([run.theta for run in runs]))
    lines = {"comparison": [str(out / "comparison.md"), str(out / "comparison.json")]}
    drawn: list[Path] = []
    try:
        plain = to_json(comparison.to_json(), indent=2, inf_nan_mode="null") + b"\n"
        replace_file(out / "comparison.json", lambda file: file.write(plain))
        if draw:
            drawn = recorded_run.draw_figures(lambda: figures.comparison_figures(comparison, out))
            lines["figures"] = recorded_run.figure_lines(drawn)
        page = tables.markdown(comparison, [path.name for path in drawn])
        replace_file(out / "comparison.md", lambda file: file.write(page.encode()))
        write_report(runs, out / "report.html", metric=metric, target=target)
    except OSError as error:
        raise ErasureHeadError(
            f"cannot write the comparison to {out}: {reason_of(error)}; the runs in it are whole"
        ) from None
    lines["report"] = [str(out / "report.html")]
    lines["models"] = [str(path / "model.npz") for path in paths]
    print_whole(console, tables.console_table(comparison))
    for note in comparison.notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)
    recorded_run.print_lines(lines, console)
