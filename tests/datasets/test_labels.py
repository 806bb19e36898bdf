"""How labels are coded, and what older words for them are called today."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erasurehead.datasets.labels import (
    KindOrAuto,
    code_classes,
    comparable_labels,
    labels_alike,
    number_name,
    target_of,
)
from erasurehead.datasets.older import renamed
from erasurehead.errors import DataError
from erasurehead.rows import Target


@pytest.mark.parametrize(
    ("kind", "counts", "text", "whole", "target"),
    [
        ("auto", [5], False, True, "classes"),
        ("numbers", [5], False, True, "numbers"),
        ("auto", [5, 5], False, False, "two classes"),
        ("auto", [5, 5, 5], False, False, "numbers"),
        ("auto", [5, 5, 5], False, True, "classes"),
        ("auto", [5, 5, 1], False, True, "numbers"),
        ("auto", [5] * 11, False, True, "numbers"),
        ("auto", [5] * 11, True, False, "classes"),
        ("two-classes", [5, 5, 5], False, True, "two classes"),
        ("classes", [5, 5], False, True, "classes"),
        ("numbers", [5, 5], False, True, "numbers"),
    ],
)
def test_what_labels_are(
    kind: KindOrAuto, counts: list[int], text: bool, whole: bool, target: str
) -> None:
    assert target_of(kind, counts, text=text, whole=whole) == target


def test_classes_are_coded_and_keep_their_names() -> None:
    two = code_classes(np.array([1, 0, 1]), [1, 2], ["no", "yes"], "two classes", "the label")
    assert two.labels.tolist() == [1.0, -1.0, 1.0]
    assert (two.target, two.classes) == ("two classes", ("no", "yes"))
    more = code_classes(np.array([1, 0, 2]), [2, 2, 2], ["a", "b", "c"], "classes", "the label")
    assert more.labels.tolist() == [1.0, 0.0, 2.0]
    assert (more.target, more.classes) == ("classes", ("a", "b", "c"))


@pytest.mark.parametrize(
    ("counts", "target", "sentence"),
    [
        ([1, 1, 1], "two classes", "the label has 3 distinct values; two classes need exactly two"),
        ([3], "classes", "the label has the same value in every row, a, so there is nothing to"),
        ([2, 1, 2], "classes", "the label has the class b in one row only; leave such rows out"),
    ],
)
def test_classes_that_cannot_be_learnt(counts: list[int], target: Target, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        code_classes(np.arange(len(counts)), counts, "abc"[: len(counts)], target, "the label")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_name_of_a_number_is_that_number(value: float) -> None:
    assert float(number_name(value)) == value


def test_labels_are_read_by_the_names_of_the_classes() -> None:
    raw = np.array([2.0, 1000001.0, np.nan])
    read = labels_alike(raw, "two classes", ("2", "1000001"), "f")
    np.testing.assert_array_equal(read, [-1.0, 1.0, np.nan])
    np.testing.assert_array_equal(
        labels_alike(raw, "classes", ("5", "2", "1000001"), "f"), [1.0, 2.0, np.nan]
    )
    assert labels_alike(raw, "numbers", (), "f") is raw
    with pytest.raises(DataError, match="row 2 of f has the label 1000001, but the model tells 2"):
        labels_alike(raw, "two classes", ("2", "3"), "f")


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
