"""`erasurehead train`: a master and its workers on this machine."""

from __future__ import annotations

from functools import partial

from erasurehead.settings.tree import RunSettings
from erasurehead_cli.console.options import (
    FiguresOption,
    Given,
    QuietOption,
    StoreArgument,
    with_settings,
)
from erasurehead_local.hatching import Hatching


@with_settings(RunSettings)
def train(
    given: Given,
    store: StoreArgument = None,
    figures: FiguresOption = True,
    quiet: QuietOption = False,
) -> int:
    """Train a model with workers as processes on this machine."""
    with Hatching() as hatching:  # imports meanwhile what workers need
        settings = given.load(RunSettings, store=store)

        from erasurehead_cli.console import recorded_run
        from erasurehead_local.train import plan_here, run_planned

        run = partial(run_planned, hatching=hatching)
        return recorded_run.run_and_report(plan_here(settings), run, draw=figures, quiet=quiet)
