"""A run and what it leaves: model, history, report, predictions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from erasurehead.arrays import Array, FloatArray
from erasurehead.datasets.manifest import MANIFEST
from erasurehead.datasets.store import Store
from erasurehead.errors import (
    EXIT_INTERRUPTED,
    EXIT_OK,
    DataError,
    ErasureHeadError,
    UsageError,
)
from erasurehead.exporting.base import Learnt
from erasurehead.models.base import Model
from erasurehead.models.scoring import metrics_of, outputs_on
from erasurehead.records import RoundRecord, RunStart, RunSummary
from erasurehead.rows import CsrRows
from erasurehead.runs import Run as RecordedRun
from erasurehead.runs.new_rows import Reading, check_meaning, read_rows
from erasurehead.settings.tree import RunSettings
from erasurehead_face.running.arrays import (
    check_length,
    check_names,
    labels_of,
    names_of,
    rows_of,
)
from erasurehead_face.running.kept import Kept
from erasurehead_face.running.targets import coded, decoded, predicted_labels

if TYPE_CHECKING:
    import pandas as pd

NOWHERE = Path("in memory")
"""Where reports and messages say that a run is, if it has no directory."""


class RunError(ErasureHeadError):
    """A run ended without having done what it was asked for: it diverged, or lost its workers.

    Attributes
    ----------
    run: as far as it came; None: no round was closed, or an estimator's fit ended so.
    """

    def __init__(self, summary: RunSummary, run: Run | None) -> None:
        super().__init__(summary.reason)
        self.run = run
        self.exit_code = summary.exit_code


@dataclass(frozen=True, eq=False)
class Run:
    """A run that is over.

    Attributes
    ----------
    theta: the model's parameters, shape (n_parameters,).
    model: what they are the parameters of.
    history: one record a round, in order.
    summary: how the run ended.
    start: what was known when the first round opened.
    settings: all of them.
    path: the run's directory; None: it has none.
    classes: what the model tells apart, in the order of its labels, shape (classes,); None: it
        predicts numbers, or nobody named them.
    columns: what the data frame that it was trained on calls its columns; None: they had no names.
    """

    theta: FloatArray
    model: Model
    history: list[RoundRecord]
    summary: RunSummary
    start: RunStart
    settings: RunSettings
    path: Path | None
    classes: Array | None
    columns: tuple[str, ...] | None = None

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Read a run's directory, of this face or of the command.

        Raises
        ------
        DataError: no run is there, or it is damaged, unfinished or closed no round.
        """
        held = RecordedRun.open(Path(path))
        if held.summary is None or held.start is None:
            raise DataError(f"run {path} closed no round; there is no model to open")
        classes, columns = None, None
        if held.origin is not None:
            classes = held.origin.class_array()
            columns = held.origin.column_names or None
        return cls(
            held.theta,
            held.learnt,
            held.records,
            held.summary,
            held.start,
            held.settings,
            held.path,
            classes,
            columns,
        )

    @property
    def interrupted(self) -> bool:
        """True where the run was asked to end (Ctrl-C, the notebook's Interrupt)."""
        return self.summary.exit_code == EXIT_INTERRUPTED

    def frame(self) -> pd.DataFrame:
        """Return the history as a data frame: one row a round, metrics in columns of their own.

        What is a list in a record (arrivals, stragglers, late results) is a number here.

        Raises
        ------
        UsageError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise UsageError(
                "a data frame needs pandas; install 'erasurehead[data]', or take run.history"
            ) from None
        rows = [_flat(record) for record in self.history]
        return pd.DataFrame(rows).set_index("round")

    def report(self, path: str | Path | None = None) -> Path:
        """Write the report, one HTML page, and return where it is.

        Parameters
        ----------
        path: the file; default: ``report.html`` in the run's directory.

        Raises
        ------
        UsageError: the run has no directory and no file is named, or it cannot be written.
        """
        from erasurehead_cli.report import write_report

        if path is None and self.path is None:
            raise UsageError(
                "the run has no directory; name a file, for example run.report('report.html')"
            )
        page = self.path / "report.html" if path is None and self.path else Path(str(path))
        write_report([Recorded.of(self)], page)
        return page

    def outputs(self, X: Any) -> FloatArray:
        """Return what the model says of rows: margins, shape (rows,) or (rows, outputs).

        Parameters
        ----------
        X: a matrix like the one trained on, shape (rows, columns), or the path of a store, of
            which the test rows count;
            of a run with a directory also that of any file that `erasurehead predict` reads.

        Raises
        ------
        DataError: there are other columns than in training.
        """
        rows = self._rows(X)
        return outputs_on(rows, self.model, self.theta)

    def predict(self, X: Any) -> Array:
        """Return the class of each row, or its number, shape (rows,).

        `X`, and what is raised, are as for `outputs`.
        """
        return decoded(
            predicted_labels(self.model, self.outputs(X)), self.model.target, self.classes
        )

    def predictions(self, X: Any) -> dict[str, Array]:
        """Return what the command writes for each row: columns of shape (rows,) by their names.

        `X`, and what is raised, are as for `outputs`.
        """
        names = () if self.classes is None else tuple(map(str, self.classes))
        return dict(self.model.predictions(self.outputs(X), names))

    def score(self, X: Any, y: Any = None) -> dict[str, float]:
        """Return the model's metrics on rows, by their names.

        Parameters
        ----------
        y: the labels of a matrix, shape (rows,); those of a store are in it. Of a file, rows
            without a label do not count.

        Raises
        ------
        DataError: there are other columns than in training, not as many labels as rows, or none.
        """
        rows = self._rows(X)
        labels = np.asarray(rows.labels)
        if y is not None:
            given = labels_of(y)
            check_length(given, len(labels), "X")
            labels = coded(given, self.model.target, self.classes, "y")
        known = ~np.isnan(labels)
        if not known.any():
            raise DataError("there is no label to compare with; give y, one label a row of X")
        weights = None if rows.weights is None else np.asarray(rows.weights)[known]
        outputs = outputs_on(rows, self.model, self.theta)[known]
        return metrics_of(self.model, outputs, labels[known], weights)

    def to_sklearn(self) -> Any:
        """Return a fitted estimator of scikit-learn that predicts what the model predicts.

        It needs no part of ErasureHead, and takes rows as they were in training.

        Raises
        ------
        UsageError: scikit-learn is not installed, or has no estimator for the model.
        """
        from erasurehead.exporting.sklearn import sklearn_estimator

        return sklearn_estimator(Learnt(self.model, self.theta, self.classes, self.columns or ()))

    def _rows(self, X: Any) -> CsrRows:
        rows = self._read(str(X)) if isinstance(X, str | Path) else rows_of(X, None)
        if rows.n_columns != self.model.n_columns:
            raise DataError(
                f"X has {rows.n_columns} columns, and the model was trained on"
                f" {self.model.n_columns}; give rows like those of the training"
            )
        check_names(names_of(X), self.columns, "X", "the model was trained on")
        return rows

    def _read(self, source: str) -> CsrRows:
        if (
            self.path is not None
            and Path(source).exists()
            and not (Path(source) / MANIFEST).exists()
        ):
            return read_rows(RecordedRun.open(self.path), source, Reading()).rows
        store = Store.open(source)
        check_meaning(store, self.start.meaning, self.path or "the run")
        return store.test if len(store.test.labels) else store.train

    def __repr__(self) -> str:
        metrics = ", ".join(f"{k} {v:.4g}" for k, v in self.summary.metrics.items())
        return (
            f"<Run of {self.start.model}, {self.settings.coding.scheme},"
            f" {self.settings.coding.workers} workers: {self.summary.rounds} rounds,"
            f" {self.summary.reason}{'; ' + metrics if metrics else ''}>"
        )


def concluded(
    kept: Kept,
    settings: RunSettings,
    model: Model,
    classes: Array | None,
    columns: tuple[str, ...] | None,
) -> Run:
    """Return the run that an observer has kept.

    `classes` and `columns` are those of `Run`.

    Raises
    ------
    RunError: it did not do what it was asked for, and nobody asked it to end.
    KeyboardInterrupt: it was asked to end before its first round.
    """
    summary = kept.summary
    assert summary is not None
    run = None
    if kept.start is not None and kept.theta is not None:
        run = Run(
            kept.theta, model, kept.history, summary, kept.start, settings, None, classes, columns
        )
    return _checked(summary, run)


def reopened(
    path: Path, summary: RunSummary, classes: Array | None, columns: tuple[str, ...] | None
) -> Run:
    """Return the run that was written to a directory; raises as `concluded`."""
    held = RecordedRun.open(path)
    run = None if held.start is None else replace(Run.open(path), classes=classes, columns=columns)
    return _checked(summary, run)


def _checked(summary: RunSummary, run: Run | None) -> Run:
    if run is None and summary.exit_code == EXIT_INTERRUPTED:
        raise KeyboardInterrupt(summary.reason)
    if run is None or summary.exit_code not in (EXIT_OK, EXIT_INTERRUPTED):
        raise RunError(summary, run)
    return run


def class_array(names: Sequence[str]) -> Array | None:
    """Return what a store calls its classes, shape (classes,); None: its labels are numbers."""
    return np.array(names) if names else None


class Recorded(RecordedRun):
    """A run as reports and traces read it, of which everything is in memory."""

    @classmethod
    def of(cls, run: Run) -> Recorded:
        """Return a run of this face as a recorded one."""
        held = cls(run.path or NOWHERE, run.settings, run.summary, run.start, 0)
        held.__dict__["records"] = run.history
        return held

    def __iter__(self) -> Iterator[RoundRecord]:
        return iter(self.records)


def _flat(record: RoundRecord) -> dict[str, Any]:
    """Return a record as one row of numbers and texts."""
    row = record.to_json()
    metrics = row.pop("metrics")
    del row["load_shares"], row["workers"]
    counted = {k: len(v) if isinstance(v, list | tuple) else v for k, v in row.items()}
    return {**counted, "duration_s": record.duration_s, **metrics}
