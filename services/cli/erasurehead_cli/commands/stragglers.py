"""`erasurehead stragglers`: who holds a run up, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def stragglers(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Directory of a run, which may be going on.")
    ],
) -> None:
    """Name the workers that hold a run up: how late each is, now and over the run.

    Workers that are gone come first, then those that are late most often. Where rounds do not wait,
    every worker is late now and then; a chronic straggler is one that chance does not explain,
    by more than noise (5 ms) and for longer than a second.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from erasurehead.errors import DataError
    from erasurehead.runs import Run
    from erasurehead_cli.results.holdup_table import Stragglers

    found = Stragglers.of(Run.open(run, allow_unfinished=True))
    columns = found.columns()
    if not columns["slot"]:
        raise DataError(f"run {run} has closed no round yet; look again when it has")
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for heading in columns:
        if heading in ("worker", "state (round)"):
            table.add_column(heading, overflow="fold")
        else:
            table.add_column(heading, justify="right", no_wrap=True)
    for row in zip(*columns.values(), strict=True):
        table.add_row(*map(escape, row))
    console = Console(highlight=False)
    console.print(table)
    for sentence in found.sentences():
        console.print(sentence, markup=False, soft_wrap=True)
