"""`erasurehead master`: a master for workers on this or other machines."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from erasurehead.settings.tree import MasterSettings
from erasurehead_cli.options import Given, with_settings


@with_settings(MasterSettings)
def master(
    given: Given,
    store: Annotated[
        str | None, typer.Argument(metavar="STORE", help="Prepared data.", show_default=False)
    ] = None,
    figures: Annotated[
        bool, typer.Option("--figures/--no-figures", help="Draw figures at the end.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print warnings and errors only.")
    ] = False,
) -> int:
    """Listen for workers, train a model with them, and end."""
    settings = given.load(MasterSettings, store=store)

    from rich.console import Console

    from erasurehead_cli import logs
    from erasurehead_cli import recorded_run as running
    from erasurehead_master.shell.main import plan_serving, serve

    planned = plan_serving(settings)
    logs.beside_progress()
    console = Console()
    out = settings.run.out or running.fresh_directory(running.slug(settings.coding.scheme))
    summary = running.run_recorded(planned, partial(serve, settings), out, console, quiet=quiet)
    running.report(out, console, draw=figures, quiet=quiet)
    return summary.exit_code
