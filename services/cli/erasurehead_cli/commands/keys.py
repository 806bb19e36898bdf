"""`erasurehead keys`: the keys that master and workers know each other by."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

keys = typer.Typer(name="keys", rich_markup_mode="rich", no_args_is_help=True)


@keys.callback()
def of() -> None:
    """Make the keys that master and workers know each other by (docs/security.md)."""


@keys.command()
def new(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where the two files go.", show_default=False)
    ],
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="What the key is called: master, worker-3, ...", show_default=False
        ),
    ],
) -> None:
    """Make a key: NAME.key, a secret of its owner, and NAME.pub for the other side."""
    from erasurehead.network.curve import make_keys

    secret, public = make_keys(directory, name)
    typer.echo(f"{secret}: secret; move it to the machine it is for, and nowhere else")
    typer.echo(f"{public}: public; a worker's goes into the master's --keys-workers directory,")
    typer.echo("    the master's is every worker's --keys-master")
