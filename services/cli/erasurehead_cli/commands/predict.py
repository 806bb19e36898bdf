"""`erasurehead predict`: a run's model on other rows."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from erasurehead.errors import DataError, UsageError, reason_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from erasurehead.rows import CsrRows
    from erasurehead.runs import Run

TABLES = {".csv", ".parquet"}


class Split(StrEnum):
    """Which rows of a store."""

    test = "test"
    train = "train"


class FirstColumn(StrEnum):
    """The number of the first column in a svmlight file."""

    auto = "auto"
    zero = "0"
    one = "1"


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")],
    rows: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A store, a table (CSV, Parquet) like the one that was prepared, or a svmlight"
            " file with the same columns.",
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
            help="Give the rows of a svmlight file the constant column that prepare gave them.",
        ),
    ] = True,
    first_column: Annotated[
        FirstColumn, typer.Option("--first-column", help="How a svmlight file counts its columns.")
    ] = FirstColumn.auto,
    plugin: Annotated[
        list[str] | None,
        typer.Option(
            "--plugin",
            metavar="FILE|MODULE",
            help="Python file or module that registers the model of the run.",
            show_default=False,
        ),
    ] = None,
    unfinished: Annotated[
        bool, typer.Option("--allow-unfinished", help="Take the model of a run that was cut off.")
    ] = False,
) -> None:
    """Predict with a run's model: write a CSV file and print metrics."""
    from erasurehead.settings.plugins import load_plugins

    load_plugins(plugin or ())

    import numpy as np

    from erasurehead.datasets.labels import comparable_labels
    from erasurehead.datasets.store import Store
    from erasurehead.models.scoring import metrics_of, outputs_on
    from erasurehead.runs import Run

    trained = Run.open(run, allow_unfinished=unfinished)
    model = trained.learnt
    if Path(rows).is_file() and TABLES.intersection(Path(rows).suffixes):
        found = _table(Path(rows), trained)
    elif Path(rows).is_file():
        found = _svmlight(Path(rows), first_column, model.n_columns, constant=constant)
        found = replace(found, labels=comparable_labels(found.labels, model.target, rows))
    else:
        store = Store.open(rows)
        _check_meaning(store.manifest.meaning, trained, rows)
        found = store.train if split is Split.train else store.test
    if found.n_columns != model.n_columns:
        raise DataError(
            f"{rows} has {found.n_columns} columns, but the model of {run} has {model.n_columns};"
            " give data prepared like the run's own"
        )
    outputs = outputs_on(found, model, trained.theta)
    path = run / "predictions.csv" if out is None else out
    if path.exists() and Path(rows).exists() and path.samefile(rows):
        raise UsageError(f"{path} is what predictions are made from; name another file with --out")
    _write(path, {"label": found.labels, **model.predictions(outputs)})
    if np.isfinite(found.labels).all():
        metrics = metrics_of(model, outputs, found.labels)
        typer.echo(" ".join(f"{name}={value:.6g}" for name, value in metrics.items()))
    typer.echo(f"{len(outputs)} rows: {path}")


def _check_meaning(meaning: str, trained: Run, rows: str) -> None:
    """Refuse a store whose columns stand for something else than those of the model.

    Models of programs that did not keep it are taken as they are.
    """
    own = str(trained.model.get("meaning", ""))
    if own and own != meaning:
        raise DataError(
            f"the columns of {rows} stand for other categories or scales than those that"
            f" {trained.path} was trained on, although they may be as many; give rows of the same"
            " prepared table"
        )


def _table(path: Path, trained: Run) -> CsrRows:
    """Encode a table as that of the run's store was, and say what was never seen in training."""
    from erasurehead.datasets.alike import read_alike
    from erasurehead.datasets.store import Store

    try:
        store = Store.open(trained.settings.problem.store)
    except DataError as error:
        raise DataError(
            f"{path} must be encoded as the store was that {trained.path} was trained on: {error}"
        ) from None
    _check_meaning(store.manifest.meaning, trained, str(store.path))
    if store.encoding is None:
        raise DataError(
            f"{store.path} does not say what its columns stand for: it was not made from a table;"
            " give rows as a store"
        )
    found = read_alike(store.encoding, path)
    for column, count in found.strangers.items():
        typer.echo(
            f"rows with a '{column}' that training had not: {count} (predicted without it)",
            err=True,
        )
    return found.rows


def _svmlight(path: Path, first: FirstColumn, columns: int, *, constant: bool) -> CsrRows:
    """Read a file whose rows, with the constant column if wanted, have as many columns."""
    import numpy as np
    from scipy.sparse import csr_array, hstack

    from erasurehead.datasets.sources import sklearn_datasets
    from erasurehead.rows import CsrRows

    read = sklearn_datasets().load_svmlight_file
    zero_based = "auto" if first is FirstColumn.auto else first is FirstColumn.zero
    features = columns - 1 if constant else columns
    try:
        matrix, labels = read(str(path), n_features=features, zero_based=zero_based)
    except (OSError, ValueError) as error:
        reason = reason_of(error)
        raise DataError(f"{path} is not a svmlight file of {features} columns: {reason}") from None
    if constant:
        matrix = hstack([matrix, csr_array(np.ones((len(labels), 1)))], format="csr")
    indptr = matrix.indptr.astype(np.int64)
    return CsrRows(indptr, matrix.indices, matrix.data, labels, columns)


def _is_predictions(file: BinaryIO) -> bool:
    """Tell whether an open file begins with the headings of predictions."""
    first, *others = file.readline(1 << 16).decode(errors="replace").strip().split(",")
    kinds = ("margin", "probability", "prediction")
    return first == "label" and bool(others) and all(name.startswith(kinds) for name in others)


def _write(path: Path, columns: dict[str, npt.NDArray[np.float64]]) -> None:
    import numpy as np

    from erasurehead.process.outputs import write_output

    table = np.column_stack(list(columns.values()))
    write_output(
        path,
        "predictions",
        _is_predictions,
        lambda file: np.savetxt(
            file, table, fmt="%.17g", delimiter=",", header=",".join(columns), comments=""
        ),
    )
