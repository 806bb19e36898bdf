"""A table of predictions: one row for each that was given, written as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from erasurehead.arrays import Array, FloatArray
from erasurehead.models.base import Model
from erasurehead.process.outputs import write_output

CHUNK_ROWS = 1 << 16
HEADINGS = ("class", "margin", "probability", "prediction")
"""How the headings after the first begin."""


def prediction_columns(
    model: Model, outputs: FloatArray, labels: FloatArray, classes: Sequence[str]
) -> dict[str, Array]:
    """Return the label of each row and what the model says of it, by headings.

    Parameters
    ----------
    outputs: of the model, shape (rows,) or (rows, outputs of a row).
    labels: as a store holds them, shape (rows,); nan: there is none.
    classes: what classes are called, in the order of their labels; empty: as their labels.
    """
    told: Array = labels
    if model.target != "numbers":
        two = model.target == "two classes"
        codes = np.where(labels > 0, 1, 0) if two else np.nan_to_num(labels).astype(np.int64)
        names = list(classes) or (["-1", "+1"] if two else list(map(str, range(codes.max() + 1))))
        told = np.where(np.isnan(labels), "", np.array(names)[codes])
    return {"label": told, **model.predictions(outputs, classes)}


def write_predictions(path: Path, columns: Mapping[str, Array]) -> None:
    """Write a table of predictions, columns of shape (rows,); only an earlier one is replaced.

    A missing number is an empty field.

    Raises
    ------
    UsageError: something else is at `path`, or it cannot be written.
    """
    write_output(path, "a table of predictions", is_predictions, lambda file: _write(file, columns))


def is_predictions(file: BinaryIO) -> bool:
    """Tell whether an open file begins with the headings of predictions."""
    line = file.readline(1 << 20).decode(errors="replace")
    first, *others = next(csv.reader([line]), [""])
    return first == "label" and bool(others) and all(o.startswith(HEADINGS) for o in others)


def _write(file: BinaryIO, columns: Mapping[str, Array]) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    n_rows = len(next(iter(columns.values())))
    for begin in range(0, n_rows, CHUNK_ROWS):
        part = [column[begin : begin + CHUNK_ROWS].tolist() for column in columns.values()]
        writer.writerows(zip(*map(_fields, part), strict=True))
    text.flush()
    text.detach()


def _fields(values: list[object]) -> list[object]:
    """Return values as CSV has them: a number by its shortest text, none for nan."""
    return ["" if value != value else value for value in values]
