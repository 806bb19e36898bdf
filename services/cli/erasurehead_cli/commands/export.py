"""`erasurehead export`: a run's model as a file for other libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from erasurehead_cli.console.options import RunPluginOption, UnfinishedOption


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")],
    format: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            help="sklearn: an estimator of scikit-learn, saved by joblib.",
        ),
    ] = "sklearn",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="File to write \\[default: model.joblib in RUN]",
            show_default=False,
        ),
    ] = None,
    plugin: RunPluginOption = None,
    unfinished: UnfinishedOption = False,
) -> None:
    """Write a run's model as another library takes it."""
    from erasurehead.settings.plugins import load_plugins

    load_plugins(plugin or ())

    from erasurehead.exporting import EXPORTS
    from erasurehead.exporting.base import Learnt
    from erasurehead.process.outputs import write_output
    from erasurehead.runs import Run

    exported = EXPORTS.build(format)
    trained = Run.open(run, allow_unfinished=unfinished)
    origin = trained.origin
    classes, columns = (None, ()) if origin is None else (origin.class_array(), origin.column_names)
    learnt = Learnt(trained.learnt, trained.theta, classes, columns)
    path = out or run / exported.file
    write_output(
        path, "an exported model", exported.is_ours, lambda file: exported.write(learnt, file)
    )
    typer.echo(f"{learnt.model.spec} of {learnt.model.n_columns} columns: {path}")
