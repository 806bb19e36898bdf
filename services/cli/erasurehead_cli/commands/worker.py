"""`erasurehead worker`: one worker for a master on this or another machine."""

from __future__ import annotations

from typing import Annotated

import typer

from erasurehead.settings.tree import WorkerSettings
from erasurehead_cli.console.options import Given, with_settings


@with_settings(WorkerSettings)
def worker(
    given: Given,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Log warnings and errors only.")
    ] = False,
) -> int:
    """Work for a master until it is done."""
    settings = given.load(WorkerSettings)

    from erasurehead_cli.console import logs

    logs.to_stderr("WARNING" if quiet else "INFO")
    if settings.address_file is not None:
        from erasurehead_engines.following import follow

        return follow(settings)
    from erasurehead_worker.shell.main import work

    return work(settings)
