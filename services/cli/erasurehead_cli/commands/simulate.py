"""`erasurehead simulate`: a run under a virtual clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from erasurehead.errors import EXIT_OK, UsageError, reason_of
from erasurehead.settings.tree import RunSettings
from erasurehead.settings.yaml_file import as_yaml
from erasurehead_cli.console.options import FiguresOption, Given, QuietOption, with_settings

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from erasurehead.schemes.coding import Coding
    from erasurehead_simulator.laws.quantities import Expectation
    from erasurehead_simulator.virtual.timeline import Timeline

NO_STORE = "none"


@with_settings(RunSettings, leave_out=["resume", "http", "checkpoint"])
def simulate(
    given: Given,
    store: Annotated[
        str | None,
        typer.Argument(
            metavar="STORE",
            help="Prepared data; not needed with --gradient-free.",
            show_default=False,
        ),
    ] = None,
    gradient_free: Annotated[
        bool,
        typer.Option(
            "--gradient-free",
            help="Compute no gradients, only when each worker answers: for thousands of workers.",
        ),
    ] = False,
    pass_s: Annotated[
        float,
        typer.Option(
            "--pass-s",
            metavar="SECONDS",
            help="Time in which one worker would compute the gradient of all rows; each is charged"
            " its share.",
        ),
    ] = 0.0,
    figures: FiguresOption = True,
    quiet: QuietOption = False,
) -> int:
    """Run virtual workers and a virtual master: real arithmetic, virtual time."""
    if gradient_free:
        settings = given.load(RunSettings, store=store or NO_STORE)
    else:
        settings = given.load(RunSettings, store=store)

    from rich.console import Console

    from erasurehead_simulator.virtual.virtual_run import check_time_passes

    check_time_passes(settings, pass_s)
    if gradient_free:
        return _without_gradients(settings, pass_s, Console(), quiet=quiet)
    return _with_gradients(settings, pass_s, Console(), draw=figures, quiet=quiet)


def _with_gradients(
    settings: RunSettings, pass_s: float, console: Console, *, draw: bool, quiet: bool
) -> int:
    from collections.abc import Sequence

    from erasurehead.datasets.store import Store
    from erasurehead.records import Observer, RunSummary
    from erasurehead.runs import Run
    from erasurehead_cli.console import logs, recorded_run
    from erasurehead_cli.results import beside_theory
    from erasurehead_cli.results.whole import print_whole
    from erasurehead_master.run.planning import PlannedRun
    from erasurehead_simulator.virtual.virtual_run import run_virtually

    planned = PlannedRun.of(settings, Store.open(settings.problem.store), None)
    if settings.run.resume:
        raise UsageError("a simulated run cannot be resumed; run it again without resume")
    logs.beside_progress()
    out = settings.run.out or recorded_run.fresh_directory(
        f"simulated-{recorded_run.slug(settings.coding.scheme)}"
    )

    def run(
        planned: PlannedRun, observers: Sequence[Observer], resume: object = None, /
    ) -> RunSummary:
        return run_virtually(planned.plan, planned.store, observers, pass_s)

    summary = recorded_run.run_recorded(planned, run, out, console, quiet=quiet)
    if not quiet and summary.rounds:
        coding, records = planned.plan.coding, Run.open(out).records
        print_whole(
            console,
            beside_theory.table(
                f"{settings.coding.scheme}, {settings.coding.workers} workers, virtual time",
                [r.duration_s for r in records],
                [len(r.arrivals) for r in records],
                [r.erased_tasks / coding.code.n_tasks for r in records],
                [r.decode_error for r in records],
                _expected(settings, coding, pass_s),
            ),
        )
    recorded_run.report(out, console, draw=draw, quiet=quiet)
    return summary.exit_code


def _without_gradients(
    settings: RunSettings, pass_s: float, console: Console, *, quiet: bool
) -> int:
    import time

    from erasurehead_cli.console import recorded_run
    from erasurehead_cli.results import beside_theory
    from erasurehead_cli.results.number_format import seconds
    from erasurehead_cli.results.whole import print_whole
    from erasurehead_simulator.virtual.timeline import timeline_of

    begun = time.monotonic()
    coding = settings.fitted()
    out = settings.run.out
    if out is not None and out.exists():
        raise UsageError(f"{out} exists already; name another directory with --out or remove it")
    played = timeline_of(settings, coding, pass_s)
    took_s = time.monotonic() - begun
    if out is not None:
        _write_timeline(out, played, settings)
    if quiet:
        return EXIT_OK
    print_whole(
        console,
        beside_theory.table(
            f"{settings.coding.scheme}, {settings.coding.workers} workers,"
            f" {settings.descent.rounds} rounds",
            played.duration_s,
            played.n_arrived,
            played.erased_share,
            played.decode_error,
            _expected(settings, coding, pass_s),
        ),
    )
    lines = {
        "rounds closed by": list(beside_theory.reasons(played.reasons)),
        "virtual time": [seconds(played.total_s)],
        "simulated in": [seconds(took_s)],
    }
    if out is not None:
        lines["columns"] = [str(out / "timeline.npz")]
    recorded_run.print_lines(lines, console)
    return EXIT_OK


def _expected(settings: RunSettings, coding: Coding, pass_s: float) -> Expectation:
    """Return what the theory says of rounds of these settings."""
    from erasurehead_master.run.waiting import overdue_units
    from erasurehead_simulator.laws.expectation import expect
    from erasurehead_simulator.virtual.compute_times import round_pass_s

    return expect(
        coding,
        settings.delays(),
        round_pass_s(settings, pass_s),
        settings.refit.regroup_after_rounds,
        waits=overdue_units(settings, coding) is not None,
    )


def _write_timeline(out: Path, played: Timeline, settings: RunSettings) -> None:
    """Write numbers and settings into a directory of their own, or leave nothing."""
    import shutil

    import numpy as np

    from erasurehead.process.durable import replace_file

    made = False
    try:
        out.mkdir(parents=True)
        made = True
        columns, text = played.columns(), as_yaml(settings).encode()
        replace_file(out / "timeline.npz", lambda file: np.savez(file, **columns))
        replace_file(out / "config.yaml", lambda file: file.write(text))
    except OSError as error:
        if made:
            shutil.rmtree(out, ignore_errors=True)
        raise UsageError(
            f"cannot write {out}: {reason_of(error)}; name another directory with --out"
        ) from None
