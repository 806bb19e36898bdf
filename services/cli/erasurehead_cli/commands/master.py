"""`erasurehead master`: a master for workers on this or other machines."""

from __future__ import annotations

from functools import partial

from erasurehead.settings.tree import MasterSettings
from erasurehead_cli.console.options import (
    FiguresOption,
    Given,
    QuietOption,
    StoreArgument,
    with_settings,
)


@with_settings(MasterSettings)
def master(
    given: Given,
    store: StoreArgument = None,
    figures: FiguresOption = False,
    quiet: QuietOption = False,
) -> int:
    """Listen for workers, train a model with them, and end."""
    settings = given.load(MasterSettings, store=store)

    from erasurehead_cli.console import recorded_run
    from erasurehead_master.shell.main import plan_serving, serve

    return recorded_run.run_and_report(
        plan_serving(settings),
        partial(serve, settings),
        draw=figures,
        quiet=quiet,
        unfinished_code=settings.unfinished_code,
    )
