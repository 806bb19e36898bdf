"""`erasurehead prepare`: from raw data to a store."""

from __future__ import annotations

import inspect
import textwrap
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from erasurehead.errors import EXIT_OK, UsageError


def _list_presets(wanted: bool) -> None:
    """Print every data set, what its docstring says and its options, and end."""
    if not wanted:
        return
    from erasurehead.datasets.prepare import PRESETS

    for name in PRESETS:
        told = inspect.getdoc(PRESETS.factory(name)) or ""
        typer.echo(f"{name}\n{textwrap.indent(told, '    ')}")
        for option, parameter in PRESETS.options(name).items():
            required = parameter.default is parameter.empty
            default = "required" if required else f"default: {parameter.default!r}"
            typer.echo(f"    --option {option}=...  ({default})")
        typer.echo()
    raise typer.Exit(EXIT_OK)


def prepare(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="The data set or the kind of file; --list names them all."
        ),
    ],
    source: Annotated[
        list[Path],
        typer.Option(
            "--from",
            metavar="FILE",
            help="The raw data; a table may be several files or folders, one --from for each.",
            show_default=False,
        ),
    ] = [],  # noqa: B006 (read only)
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Where the store goes \\[default: stores/NAME]",
            show_default=False,
        ),
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch the raw data through scikit-learn.")
    ] = False,
    option: Annotated[
        list[str],
        typer.Option(
            "--option",
            "-o",
            metavar="KEY=VALUE",
            help="An option of this kind of data; once for each.",
            show_default=False,
        ),
    ] = [],  # noqa: B006 (read only)
    _list: Annotated[
        bool,
        typer.Option(
            "--list",
            is_eager=True,
            callback=_list_presets,
            help="List the data sets and options.",
        ),
    ] = False,
) -> None:
    """Make a store: the arrays that train, compare and master read."""
    options: dict[str, str] = {}
    for text in option:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise UsageError(f"--option {text} is not of the form KEY=VALUE")
        if key in options:
            raise UsageError(f"option '{key}' is given twice; give it once")
        options[key] = value

    from erasurehead.datasets.older import renamed
    from erasurehead.datasets.prepare import prepare as prepare_store
    from erasurehead_cli.console.rows_read import RowsRead, rows_a_second

    today = renamed(options)
    if today != options:
        typer.echo(f"option task is called labels now: give labels={today['labels']}", err=True)
    made = prepare_store(
        name,
        source=source,
        out=Path("stores") / name if out is None else out,
        download=download,
        options=today,
        progress=RowsRead(partial(typer.echo, err=True)),
    )
    for sentence in made.assumed:
        typer.echo(sentence, err=True)
    manifest = made.store.manifest
    speed = rows_a_second(manifest.rows + manifest.test_rows, made.seconds)
    how = "there already" if made.reused else f"prepared in {made.seconds:.1f} s, {speed}"
    typer.echo(
        f"{made.path}: {manifest.rows:,} training rows x {manifest.columns:,} columns,"
        f" {manifest.target}, {how}"
    )
