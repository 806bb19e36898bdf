"""`erasurehead train`: a master and its workers on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from erasurehead.settings.tree import RunSettings
from erasurehead_cli.options import Given, with_settings


@with_settings(RunSettings)
def train(
    given: Given,
    store: Annotated[
        str | None, typer.Argument(metavar="STORE", help="Prepared data.", show_default=False)
    ] = None,
    figures: Annotated[
        bool, typer.Option("--figures/--no-figures", help="Draw figures at the end.")
    ] = True,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print warnings and errors only.")
    ] = False,
) -> int:
    """Train a model with workers as processes on this machine."""
    settings = given.load(RunSettings, store=store)

    from rich.console import Console

    from erasurehead_cli import logs
    from erasurehead_cli import recorded_run as running
    from erasurehead_local.train import plan_here, run_planned

    planned = plan_here(settings)
    logs.beside_progress()
    console = Console()
    out = settings.run.out or running.fresh_directory(running.slug(settings.coding.scheme))
    summary = running.run_recorded(planned, run_planned, out, console, quiet=quiet)
    running.report(out, console, draw=figures, quiet=quiet)
    return summary.exit_code
