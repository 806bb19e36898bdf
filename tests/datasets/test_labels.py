"""How labels are coded, and what older words for them are called today."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead.datasets.labels import (
    KindOrAuto,
    are_classes,
    class_labels,
    code_classes,
    comparable_labels,
)
from erasurehead.datasets.older import renamed
from erasurehead.errors import DataError


@pytest.mark.parametrize(
    ("kind", "n_distinct", "classes"),
    [
        ("auto", 1, False),
        ("auto", 2, True),
        ("auto", 3, False),
        ("two-classes", 3, True),
        ("numbers", 2, False),
    ],
)
def test_two_distinct_values_are_classes_unless_they_are_said_to_be_numbers(
    kind: KindOrAuto, n_distinct: int, classes: bool
) -> None:
    assert are_classes(kind, n_distinct) is classes


def test_two_classes_are_minus_one_and_plus_one_and_keep_their_names() -> None:
    coded = code_classes(np.array([1, 0, 1]), 2, "the label", ["no", "yes"].__getitem__)
    assert coded.labels.tolist() == [1.0, -1.0, 1.0]
    assert (coded.target, coded.classes) == ("two classes", ("no", "yes"))
    assert coded.notes == {"-1": "no", "+1": "yes"}


def test_more_classes_cannot_be_coded() -> None:
    with pytest.raises(DataError, match="the label has 3 distinct values; two classes need exactl"):
        code_classes(np.arange(3), 3, "the label", str)
    with pytest.raises(DataError, match="3 classes cannot be coded"):
        class_labels(np.arange(3), 3)


def test_raw_labels_become_those_that_a_model_was_trained_on() -> None:
    raw = np.array([3.0, 5.0, 3.0])
    assert comparable_labels(raw, "two classes", "f").tolist() == [-1.0, 1.0, -1.0]
    assert comparable_labels(raw, "numbers", "f") is raw
    assert np.isnan(comparable_labels(raw[:1], "two classes", "f")).all()
    with pytest.raises(DataError, match="f has 3 distinct labels, but the model tells two classes"):
        comparable_labels(np.arange(3.0), "two classes", "f")


def test_the_old_option_is_renamed_with_its_values() -> None:
    assert renamed({"task": "logistic", "rows": "3"}) == {"labels": "two-classes", "rows": "3"}
    assert renamed({"task": "ranking"}) == {"labels": "ranking"}
    assert renamed({"rows": "3"}) == {"rows": "3"}
    both = {"task": "auto", "labels": "auto"}
    assert renamed(both) == both
