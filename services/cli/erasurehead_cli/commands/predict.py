"""`erasurehead predict`: a run's model on other rows."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from erasurehead.errors import DataError, UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from erasurehead.datasets.store import CsrRows

CHUNK_ROWS = 1 << 14


class Split(StrEnum):
    """Which rows of a store."""

    test = "test"
    train = "train"


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")],
    rows: Annotated[
        str,
        typer.Argument(metavar="DATA", help="A store, or a svmlight file with the same columns."),
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
    unfinished: Annotated[
        bool, typer.Option("--allow-unfinished", help="Take the model of a run that was cut off.")
    ] = False,
) -> None:
    """Predict with a run's model: write a CSV file and print metrics."""
    from erasurehead.learning.objectives import OBJECTIVES
    from erasurehead.runs import Run

    trained = Run.open(run, allow_unfinished=unfinished)
    theta = trained.theta
    objective = OBJECTIVES.build(str(trained.model.get("objective", "")))
    found = _rows(rows, split, len(theta))
    if found.n_columns != len(theta):
        raise DataError(
            f"{rows} has {found.n_columns} columns, but the model of {run} has {len(theta)};"
            " give data prepared like the run's own"
        )
    margins = _margins(found, theta)
    path = run / "predictions.csv" if out is None else out
    _write(path, margins, found.labels, probabilities=objective.name == "logistic")
    metrics = objective.metrics(margins, found.labels)
    typer.echo(" ".join(f"{name}={value:.6g}" for name, value in metrics.items()))
    typer.echo(f"{len(margins)} rows: {path}")


def _rows(location: str, split: Split, columns: int) -> CsrRows:
    from erasurehead.datasets.store import CsrRows, Store

    if not Path(location).is_file():
        store = Store.open(location)
        return store.train if split is Split.train else store.test

    import numpy as np

    try:
        from sklearn.datasets import load_svmlight_file
    except ImportError:
        raise UsageError(
            "reading svmlight files needs scikit-learn; pip install 'erasurehead[data]'"
        ) from None
    try:
        matrix, labels = load_svmlight_file(location, n_features=columns)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{location} is not a svmlight file of {columns} columns: {reason}"
        ) from None
    return CsrRows(
        matrix.indptr.astype(np.int64), matrix.indices, matrix.data, labels, matrix.shape[1]
    )


def _margins(rows: CsrRows, theta: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return x·theta of each row, some rows at a time so that a mapped store stays on disk."""
    import numpy as np

    from erasurehead_master.evaluation import as_matrix

    n_rows = len(rows.labels)
    margins = np.empty(n_rows)
    for lo in range(0, n_rows, CHUNK_ROWS):
        hi = min(lo + CHUNK_ROWS, n_rows)
        margins[lo:hi] = as_matrix(rows.rows(lo, hi)) @ theta
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
