"""`erasurehead chaos`: a run on this machine whose workers suffer from a schedule of faults."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from erasurehead.settings.tree import RunSettings
from erasurehead_cli.console.options import (
    FiguresOption,
    Given,
    QuietOption,
    StoreArgument,
    with_settings,
)


@with_settings(RunSettings)
def chaos(
    given: Given,
    faults: Annotated[
        Path,
        typer.Option(
            "--faults",
            metavar="FILE",
            help="Lines of 'SECONDS kill WORKER', 'SECONDS cut WORKER' and 'SECONDS stop WORKER"
            " FOR_SECONDS', counted from when all workers are there.",
        ),
    ],
    store: StoreArgument = None,
    figures: FiguresOption = True,
    quiet: QuietOption = False,
) -> int:
    """Train as `train` does, while workers are killed, frozen and cut off as a file says.

    A worker that is killed is started again at once.
    """
    settings = given.load(RunSettings, store=store)

    from erasurehead_cli.console import recorded_run
    from erasurehead_local.faults import in_words, read_faults
    from erasurehead_local.havoc import HarassedCluster
    from erasurehead_local.train import plan_here, run_planned, turns_of

    schedule = read_faults(faults, settings.coding.workers)
    planned = plan_here(settings)
    cluster = HarassedCluster(schedule, turns_of(planned))
    run = partial(run_planned, cluster=cluster)
    code = recorded_run.run_and_report(planned, run, draw=figures, quiet=quiet)
    typer.echo(f"injected {in_words(cluster.injected)} of the {len(schedule)} in {faults}")
    return code
