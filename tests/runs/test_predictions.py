"""A table of predictions, whatever the model and however its classes are called."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from erasurehead.errors import UsageError
from erasurehead.models.least_squares import LeastSquares
from erasurehead.models.logistic import Logistic
from erasurehead.runs.predictions import prediction_columns, write_predictions
from tests.support.toy_models import Softmax

NAMES = ["late, very", 'on "time"', "früh"]


def read(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_several_classes_have_a_margin_and_a_probability_each(tmp_path: Path) -> None:
    outputs = np.log([[1.0, 2.0, 1.0], [6.0, 3.0, 1.0]])
    columns = prediction_columns(
        Softmax(4, np.arange(3.0)), outputs, np.array([2.0, np.nan]), NAMES
    )
    write_predictions(tmp_path / "p.csv", columns)
    write_predictions(tmp_path / "p.csv", columns)  # over an earlier one
    header, *rows = read(tmp_path / "p.csv")
    kinds = [f"{kind} of {name}" for kind in ("margin", "probability") for name in NAMES]
    assert header == ["label", "class", *kinds]
    assert [row[:2] for row in rows] == [["früh", NAMES[1]], ["", NAMES[0]]]
    numbers = np.array([row[2:] for row in rows], dtype=float)
    np.testing.assert_array_equal(numbers[:, :3], outputs)
    np.testing.assert_allclose(numbers[:, 3:], [[0.25, 0.5, 0.25], [0.6, 0.3, 0.1]])


@pytest.mark.parametrize(
    ("names", "label", "found"),
    [(["no", "yes"], "yes", "no"), ([], "+1", "-1")],
)
def test_two_classes_are_called_as_in_the_data_or_by_their_labels(
    names: list[str], label: str, found: str
) -> None:
    columns = prediction_columns(Logistic(1), np.array([-1.0]), np.array([1.0]), names)
    assert columns["label"].tolist() == [label]
    assert columns["class"].tolist() == [found]
    assert list(columns)[2:] == [
        f"margin of {label}",
        *(f"probability of {n}" for n in (found, label)),
    ]


def test_numbers_are_written_to_the_last_digit_and_missing_ones_are_empty(tmp_path: Path) -> None:
    outputs = np.array([1 / 3, 1e-300, -2.0])
    labels = np.array([0.1, np.nan, 3.0])
    write_predictions(tmp_path / "p", prediction_columns(LeastSquares(1), outputs, labels, ()))
    header, *rows = read(tmp_path / "p")
    assert header == ["label", "prediction"]
    assert [row[0] for row in rows] == ["0.1", "", "3.0"]
    assert [float(row[1]) for row in rows] == outputs.tolist()


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("label,margin,probability\n1,2,3\n", True),  # of earlier versions
        ("label,prediction\n", True),
        ('label,class,"margin of a,b","probability of a,b",probability of c\n', True),
        ("label,class,price\n", False),
        ("label\n", False),
        ("margin,probability\n", False),
        ("PK\x03\x04", False),
    ],
)
def test_only_predictions_are_replaced(tmp_path: Path, text: str, ours: bool) -> None:
    path, columns = tmp_path / "p.csv", {"label": np.ones(1), "prediction": np.ones(1)}
    path.write_text(text)
    if ours:
        write_predictions(path, columns)
        assert path.read_text() == "label,prediction\n1.0,1.0\n"
    else:
        with pytest.raises(UsageError, match="is there already and is not a table of predictions"):
            write_predictions(path, columns)
        assert path.read_text() == text
