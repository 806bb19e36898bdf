"""`erasurehead train`: a master and its workers on this machine."""

from __future__ import annotations

from erasurehead.settings.tree import RunSettings
from erasurehead_cli.console.options import (
    FiguresOption,
    Given,
    QuietOption,
    StoreArgument,
    with_settings,
)


@with_settings(RunSettings)
def train(
    given: Given,
    store: StoreArgument = None,
    figures: FiguresOption = True,
    quiet: QuietOption = False,
) -> int:
    """Train a model with workers as processes on this machine."""
    settings = given.load(RunSettings, store=store)

    from erasurehead_cli.console import recorded_run
    from erasurehead_local.train import plan_here, run_planned

    return recorded_run.run_and_report(plan_here(settings), run_planned, draw=figures, quiet=quiet)
