"""A model on rows of a store: its outputs, its metrics and its mean loss, some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.models.base import Model
from erasurehead.models.rows import pieces
from erasurehead.models.weighing import weights_of
from erasurehead.rows import CsrRows

PIECE_NONZEROS = 1 << 18
"""Non-zeros in a piece: little enough to fit between two messages of a run."""


class Evaluator:
    """Outputs of a model on a fixed set of rows, then its metrics.

    Parameters
    ----------
    rows: the test rows, mapped.
    model: also names the metrics.
    """

    def __init__(self, rows: CsrRows, model: Model) -> None:
        self._rows = rows
        self._model = model

    def __bool__(self) -> bool:
        return len(self._rows.labels) > 0

    def steps(self, theta: FloatArray) -> Iterator[dict[str, float] | None]:
        """Yield None after each piece and the metrics at the end.

        `theta`, shape (n_parameters,), must not change meanwhile.
        """
        outputs = []
        for found, _ in _outputs(self._rows, self._model, theta):
            outputs.append(found)
            yield None
        rows = self._rows
        weights = None if rows.weights is None else np.asarray(rows.weights)
        yield metrics_of(self._model, _joined(outputs), np.asarray(rows.labels), weights)

    def now(self, theta: FloatArray) -> dict[str, float]:
        """Return the metrics of `theta`, shape (n_parameters,), at once, by their names."""
        for metrics in self.steps(theta):
            if metrics is not None:
                return metrics
        raise AssertionError("steps() always ends with the metrics")


def outputs_on(rows: CsrRows, model: Model, theta: FloatArray) -> FloatArray:
    """Return the outputs on all rows, shape (rows,) or (rows, outputs of a row)."""
    return _joined([found for found, _ in _outputs(rows, model, theta)])


def mean_loss(rows: CsrRows, model: Model, theta: FloatArray) -> float:
    """Return the mean loss over all rows, at least one, without any penalty.

    Rows count as they do in the objective; `theta` has shape (n_parameters,).
    """
    weights = weights_of(model, rows)
    total, done = 0.0, 0
    for outputs, labels in _outputs(rows, model, theta):
        losses = model.losses(outputs, labels)
        here = slice(done, done + len(losses))
        total += float(np.sum(losses) if weights is None else weights[here] @ losses)
        done = here.stop
    return total / (len(rows.labels) if weights is None else float(weights.sum()))


def metrics_of(
    model: Model,
    outputs: FloatArray,
    labels: FloatArray,
    weights: FloatArray | None = None,
) -> dict[str, float]:
    """Return the metrics that are defined on these labels, by their names, in the model's order.

    `weights` are what rows count for, shape (rows,); None: one each. Where all are 0, nothing is
    defined.
    """
    if not len(labels) or (weights is not None and not weights.any()):
        return {}
    found = ((metric.name, metric.of(outputs, labels, weights)) for metric in model.metrics)
    return {name: value for name, value in found if value is not None}


def _outputs(
    rows: CsrRows, model: Model, theta: FloatArray
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield outputs and labels of one piece of the rows after another."""
    per_row = max(1, int(rows.indptr[-1]) // max(1, len(rows.labels)))
    for piece in pieces(rows, max(1, PIECE_NONZEROS // per_row)):
        yield model.outputs(piece, theta), piece.labels


def _joined(outputs: list[FloatArray]) -> FloatArray:
    return np.concatenate(outputs) if outputs else np.zeros(0)
