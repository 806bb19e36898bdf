"""`erasurehead predict`: a run's model on other rows."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from erasurehead.errors import DataError, UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from erasurehead.rows import CsrRows
    from erasurehead.runs import Run

CHUNK_ROWS = 1 << 14
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
    unfinished: Annotated[
        bool, typer.Option("--allow-unfinished", help="Take the model of a run that was cut off.")
    ] = False,
) -> None:
    """Predict with a run's model: write a CSV file and print metrics."""
    import numpy as np

    from erasurehead.datasets.store import Store
    from erasurehead.models.objectives import OBJECTIVES
    from erasurehead.runs import Run

    trained = Run.open(run, allow_unfinished=unfinished)
    theta = trained.theta
    objective = OBJECTIVES.build(str(trained.model.get("objective", "")))
    if Path(rows).is_file() and TABLES.intersection(Path(rows).suffixes):
        found = _table(Path(rows), trained)
    elif Path(rows).is_file():
        found = _svmlight(Path(rows), first_column, len(theta), constant=constant)
        found = replace(found, labels=_targets(found.labels, rows, objective.name))
    else:
        store = Store.open(rows)
        _check_meaning(store.manifest.meaning, trained, rows)
        found = store.train if split is Split.train else store.test
    if found.n_columns != len(theta):
        raise DataError(
            f"{rows} has {found.n_columns} columns, but the model of {run} has {len(theta)};"
            " give data prepared like the run's own"
        )
    margins = _margins(found, theta)
    path = run / "predictions.csv" if out is None else out
    _write(path, margins, found.labels, probabilities=objective.name == "logistic")
    if np.isfinite(found.labels).all():
        metrics = objective.metrics(margins, found.labels)
        typer.echo(" ".join(f"{name}={value:.6g}" for name, value in metrics.items()))
    typer.echo(f"{len(margins)} rows: {path}")


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
    from erasurehead.datasets.columns import TableColumns
    from erasurehead.datasets.frames import read_table
    from erasurehead.datasets.store import Store

    try:
        store = Store.open(trained.settings.store)
    except DataError as error:
        raise DataError(
            f"{path} must be encoded as the store was that {trained.path} was trained on: {error}"
        ) from None
    _check_meaning(store.manifest.meaning, trained, str(store.path))
    rows, unknown = TableColumns.read(store.path).encode(read_table(path), path)
    for column, count in unknown.items():
        typer.echo(
            f"rows with a '{column}' that training had not: {count} (predicted without it)",
            err=True,
        )
    return rows


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
        reason = " ".join(str(error).split())
        raise DataError(f"{path} is not a svmlight file of {features} columns: {reason}") from None
    if constant:
        matrix = hstack([matrix, csr_array(np.ones((len(labels), 1)))], format="csr")
    indptr = matrix.indptr.astype(np.int64)
    return CsrRows(indptr, matrix.indices, matrix.data, labels, columns)


def _targets(labels: npt.NDArray[np.float64], path: str, objective: str) -> npt.NDArray[np.float64]:
    """Return the labels as the objective has them; nan where a file has none to compare with."""
    import numpy as np

    if objective != "logistic":
        return labels
    distinct = np.unique(labels)
    if len(distinct) > 2:
        raise DataError(
            f"{path} has {len(distinct)} distinct labels, but the model tells two classes apart"
        )
    if len(distinct) < 2:
        return np.full(len(labels), np.nan)
    return np.where(labels == distinct[1], 1.0, -1.0)


def _margins(rows: CsrRows, theta: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return x·theta of each row, some rows at a time so that a mapped store stays on disk."""
    import numpy as np

    n_rows = len(rows.labels)
    margins = np.empty(n_rows)
    for lo in range(0, n_rows, CHUNK_ROWS):
        hi = min(lo + CHUNK_ROWS, n_rows)
        margins[lo:hi] = rows.rows(lo, hi).matrix() @ theta
    return margins


def _write(
    path: Path,
    margins: npt.NDArray[np.float64],
    labels: npt.NDArray[np.float64],
    *,
    probabilities: bool,
) -> None:
    import numpy as np
    from scipy.special import expit

    columns = {"label": labels, "margin" if probabilities else "prediction": margins}
    if probabilities:
        columns["probability"] = expit(margins)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savetxt(
            path,
            np.column_stack(list(columns.values())),
            fmt="%.17g",
            delimiter=",",
            header=",".join(columns),
            comments="",
        )
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
