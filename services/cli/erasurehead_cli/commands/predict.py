"""`erasurehead predict`: a run's model on other rows."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from erasurehead.errors import UsageError
from erasurehead.words import counted
from erasurehead_cli.console.options import RunPluginOption, UnfinishedOption


class Split(StrEnum):
    """Which rows of a store."""

    test = "test"
    train = "train"


class FirstColumn(StrEnum):
    """The number of the first column in a svmlight file."""

    auto = "auto"
    zero = "0"
    one = "1"


FIRST: dict[FirstColumn, Literal[0, 1]] = {FirstColumn.zero: 0, FirstColumn.one: 1}


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")],
    rows: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A store; or a table (CSV, Parquet), a svmlight file or a matrix (.npy, .npz) like"
            " what was prepared.",
        ),
    ],
    split: Annotated[Split, typer.Option("--split", help="Which rows of a store.")] = Split.test,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="CSV file to write \\[default: RUN/predictions.csv]",
            show_default=False,
        ),
    ] = None,
    constant: Annotated[
        bool,
        typer.Option(
            "--constant/--no-constant",
            help="Give rows of a svmlight file or a matrix the constant column that prepare gave.",
        ),
    ] = True,
    first_column: Annotated[
        FirstColumn,
        typer.Option(
            "--first-column", help="How a svmlight file counts its columns; auto: as in training."
        ),
    ] = FirstColumn.auto,
    plugin: RunPluginOption = None,
    unfinished: UnfinishedOption = False,
) -> None:
    """Predict with a run's model: write a CSV file and print metrics."""
    from erasurehead.settings.plugins import load_plugins

    load_plugins(plugin or ())

    import numpy as np

    from erasurehead.models.scoring import metrics_of, outputs_on
    from erasurehead.runs import Run
    from erasurehead.runs.new_rows import Reading, read_rows
    from erasurehead.runs.predictions import prediction_columns, write_predictions

    trained = Run.open(run, allow_unfinished=unfinished)
    model = trained.learnt
    first = None if first_column is FirstColumn.auto else FIRST[first_column]
    found = read_rows(trained, rows, Reading(split.value, first, constant))
    for sentence in found.told:
        typer.echo(sentence, err=True)
    labels = np.asarray(found.rows.labels)
    outputs = outputs_on(found.rows, model, trained.theta)
    path = run / "predictions.csv" if out is None else out
    if path.exists() and Path(rows).exists() and path.samefile(rows):
        raise UsageError(f"{path} is what predictions are made from; name another file with --out")
    write_predictions(path, prediction_columns(model, outputs, labels, found.classes))
    known = ~np.isnan(labels)
    if known.any():
        weights = found.rows.weights
        own = None if weights is None else np.asarray(weights)[known]
        metrics = metrics_of(model, outputs[known], labels[known], own)
        of = "" if known.all() else f" (of {counted(int(known.sum()), 'row')} with a label)"
        typer.echo(" ".join(f"{name}={value:.6g}" for name, value in metrics.items()) + of)
    typer.echo(f"{counted(len(outputs), 'row')}: {path}")
