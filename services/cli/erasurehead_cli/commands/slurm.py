"""`erasurehead slurm`: a master and workers as the tasks of one job step of SLURM."""

from __future__ import annotations

import os

from erasurehead.errors import EXIT_USAGE, UsageError
from erasurehead.settings.tree import SlurmSettings
from erasurehead_cli.console.options import (
    FiguresOption,
    Given,
    QuietOption,
    StoreArgument,
    with_settings,
)


@with_settings(SlurmSettings)
def slurm(
    given: Given,
    store: StoreArgument = None,
    figures: FiguresOption = False,
    quiet: QuietOption = False,
) -> int:
    """Train with the tasks of a job: srun erasurehead slurm STORE."""
    from erasurehead_engines.ranks import Rank

    rank = Rank.of(os.environ)
    try:
        settings = given.load(SlurmSettings, rank.defaults(), store=store)
        others_join = settings.address_file is not None
        rank.check_tasks(settings.coding.workers, others_join=others_join)
    except UsageError:
        if rank.is_master:
            raise
        return EXIT_USAGE  # the first task says why

    if not rank.is_master:
        from erasurehead_cli.console import logs
        from erasurehead_engines.following import work_as

        logs.to_stderr("WARNING" if quiet else "INFO")
        return work_as(rank, settings)

    from erasurehead_cli.console import recorded_run
    from erasurehead_engines.slurm import JobMaster

    with JobMaster(rank, settings) as master:
        return recorded_run.run_and_report(master.plan(), master.run, draw=figures, quiet=quiet)
