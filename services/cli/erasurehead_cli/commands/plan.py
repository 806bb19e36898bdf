"""`erasurehead plan`: which code, load and stop rule for this cluster?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from erasurehead.errors import EXIT_OK, UsageError, reason_of
from erasurehead.settings.tree import RunSettings
from erasurehead.settings.yaml_file import as_yaml
from erasurehead_cli.console.options import Given, StoreArgument, with_settings

if TYPE_CHECKING:
    from rich.console import Console

    from erasurehead_simulator.planner.results import SearchResult

SPARE_ROUNDS = 1.2
"""The plan's run may take so many times the rounds of the longest trial."""

TRACE = "trace.npz"
FILES = ("plan.yaml", "plan.json", "frontier.png")


@with_settings(RunSettings, leave_out=["scheme", "resume", "http", "checkpoint"])
def plan(
    given: Given,
    store: StoreArgument = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="METRIC=VALUE",
            help="What to reach: a test metric (auc=0.69) or the training loss (loss=0.52).",
            show_default=False,
        ),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            "--trace",
            metavar="RUN",
            help="A finished run on the cluster to plan for: its stragglers and its compute times.",
            show_default=False,
        ),
    ] = None,
    pass_s: Annotated[
        float,
        typer.Option(
            "--pass-s",
            metavar="SECONDS",
            help="Without --trace: time in which one worker would compute the gradient of all"
            " rows.",
        ),
    ] = 0.0,
    max_load: Annotated[
        int | None,
        typer.Option(
            "--max-load",
            metavar="C",
            help="Most data a worker may store, in units of the part each has without a code"
            " \\[default: 4]",
            show_default=False,
        ),
    ] = None,
    scheme: Annotated[
        list[str],
        typer.Option("--scheme", metavar="TEXT", help="A scheme to try besides those searched."),
    ] = [],  # noqa: B006 (read only)
    seeds: Annotated[int, typer.Option("--seeds", help="Runs of each finalist.")] = 5,
    finalists: Annotated[
        int, typer.Option("--finalists", help="Schemes of each load that are tried in full.")
    ] = 3,
    sample_rows: Annotated[
        int, typer.Option("--sample-rows", help="Training rows that rounds are counted on.")
    ] = 20_000,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            metavar="N",
            help="Processes that search \\[default: one for each core]",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print the table, warnings and errors only.")
    ] = False,
) -> int:
    """Search the scheme that reaches a target soonest, for each amount of stored data."""
    from erasurehead_simulator.planner.target import Target

    if target is None:
        raise UsageError("give what to reach as --target METRIC=VALUE, for example auc=0.69")
    wanted = Target.parse(target)
    recorded = {}
    if trace is not None:
        _check_trace_alone(given.tree.get("delay"), pass_s)
        recorded["workers"] = _workers_of(trace)
    settings = given.load(RunSettings, recorded, store=store)
    if trace is not None:  # a file or a variable may have given it, too
        own = settings.straggling
        _check_trace_alone(own.delay if "delay" in own.model_fields_set else None, pass_s)

    from rich.console import Console

    from erasurehead.process.cores import usable_cores
    from erasurehead.schemes.text import parse
    from erasurehead_cli.console import recorded_run
    from erasurehead_simulator.planner.search import Effort, search
    from erasurehead_simulator.virtual.virtual_run import check_time_passes

    out = settings.run.out or recorded_run.fresh_directory("plan")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; name a directory with --out")
    if out.is_dir() and any(out.iterdir()):
        raise UsageError(f"directory {out} is not empty; name another one with --out")
    own_delay = settings.straggling.delay
    console = Console()
    made = [directory for directory in (out, *out.parents) if not directory.exists()]
    try:
        with _writing(out):
            out.mkdir(parents=True, exist_ok=True)
        if trace is not None:
            own_delay, replay = _replay(trace, settings.coding.workers, out)
            settings = settings.changed(straggling={"delay": replay})
        check_time_passes(settings, pass_s)
        load = min(4, settings.coding.workers) if max_load is None else max_load
        result = search(
            settings,
            wanted,
            load,
            pass_s,
            Effort(seeds, finalists, sample_rows, usable_cores() if jobs is None else jobs),
            {text: parse(text) for text in scheme},
            lambda text: None if quiet else console.print(text, markup=False, highlight=False),
        )
        settings = settings.changed(straggling={"delay": own_delay})
        source = f"the trace of {trace}" if trace else f"delay {settings.straggling.delay}"
        title = f"{Path(settings.problem.store).name}, {settings.coding.workers} workers, {source}"
        with _writing(out):
            drawn = _write(result, settings, source, title, out)
    except BaseException:
        _clear(out, made)
        raise
    _tell(result, settings, title, out, drawn, console)
    return EXIT_OK


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Say in one sentence what could not be written."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"cannot write {out}: {reason_of(error)}; name another directory with --out"
        ) from None


def _clear(out: Path, made: Sequence[Path]) -> None:
    """Leave nothing half done: of this plan's files and the directories that were made for it."""
    if out.is_dir():
        for name in (TRACE, *FILES):
            (out / name).unlink(missing_ok=True)
    for directory in made:
        if directory.is_dir():
            directory.rmdir()


def _check_trace_alone(delay: str | None, pass_s: float) -> None:
    """Refuse what the trace brings itself."""
    if delay is not None:
        raise UsageError(
            f"--trace brings the delays of its run, and delay={delay} is given as well;"
            " leave --delay out, or --trace"
        )
    if pass_s:
        raise UsageError("--trace brings the compute times of its run; leave --pass-s out")


def _workers_of(trace: Path) -> int:
    from erasurehead.runs import Run

    return Run.open(trace).settings.coding.workers


def _replay(trace: Path, workers: int, out: Path) -> tuple[str, str]:
    """Write the run's trace; return its own delay model, and the one that replays it."""
    from erasurehead.runs import Run
    from erasurehead_simulator.traces.recording import record_trace
    from erasurehead_simulator.traces.replay import resampled

    run = Run.open(trace)
    if run.settings.coding.workers != workers:
        raise UsageError(
            f"the trace {trace} has {run.settings.coding.workers} workers, but --workers is"
            f" {workers}; plan for as many as were recorded, or give a delay model with --delay"
        )
    recorded = record_trace(run)
    with _writing(out):
        return run.settings.straggling.delay, resampled(recorded, out / TRACE)


def _write(
    result: SearchResult, settings: RunSettings, source: str, title: str, out: Path
) -> list[Path]:
    """Write settings, values and figure; return the figures that could be drawn."""
    from pydantic_core import to_json

    from erasurehead_cli.results import frontier

    plan_file, json_file, figure = (out / name for name in FILES)
    best = result.best
    rounds = math.ceil(SPARE_ROUNDS * max(r for r in best.rounds if math.isfinite(r)))
    chosen = settings.changed(
        coding={"scheme": best.candidate.text}, descent={"rounds": rounds}, run={"out": None}
    )
    header = (
        f"# Made by `erasurehead plan` for {result.target}, {settings.coding.workers} workers and"
        f" {source}.\n# erasurehead train --config {plan_file}\n"
    )
    plan_file.write_text(header + as_yaml(chosen), encoding="utf-8")
    plain = frontier.to_json(result, settings.coding.workers)
    json_file.write_bytes(to_json(plain, indent=2, inf_nan_mode="null") + b"\n")
    return frontier.draw(result, title, settings.coding.workers, figure)


def _tell(
    result: SearchResult,
    settings: RunSettings,
    title: str,
    out: Path,
    drawn: list[Path],
    console: Console,
) -> None:
    """Print the table and where everything is."""
    from erasurehead_cli.console import recorded_run
    from erasurehead_cli.results import frontier
    from erasurehead_cli.results.whole import print_whole

    plan_file, json_file, _ = (out / name for name in FILES)
    print_whole(console, frontier.table(result, title, settings.coding.workers))
    recorded_run.print_lines(
        {
            "*": ["on the frontier: nothing that stores as little is faster"],
            "note": frontier.caption(result),
            "best": [f"{result.best.candidate.text}"],
            "plan": [str(plan_file), str(json_file)],
            "figures": recorded_run.figure_lines(drawn),
            "next": [f"erasurehead train --config {plan_file}"],
        },
        console,
    )
