"""Covertype with all of its classes, on a table of its form."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead.datasets import covertype
from erasurehead.datasets.covertype import NAMES, Covertype
from erasurehead.datasets.encoding import Encoded
from erasurehead.datasets.prepare import PRESETS
from erasurehead.errors import UsageError
from erasurehead.registry import Spec


def encoded(monkeypatch: pytest.MonkeyPatch, **options: str) -> Encoded:
    rng = np.random.default_rng(0)
    table = np.column_stack([rng.integers(0, 3, (140, 54)), np.arange(140) % 7 + 1])
    monkeypatch.setattr(covertype, "SHAPE", table.shape)
    preset = PRESETS.build(Spec("covertype", options), None, True)
    assert isinstance(preset, Covertype)
    preset.__dict__["_table"] = table.astype(np.int32)  # as if it had been downloaded
    assert preset.options() == options
    return preset.encode()


def test_all_seven_classes_have_names_and_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    found = encoded(monkeypatch, classes="7")
    assert (found.target, found.classes) == ("classes", NAMES)
    labels = np.concatenate([found.train.labels, found.test.labels])
    assert np.bincount(labels.astype(int)).tolist() == [20] * 7


def test_two_classes_are_the_paper_s(monkeypatch: pytest.MonkeyPatch) -> None:
    found = encoded(monkeypatch)
    assert found.target == "two classes"
    labels = np.concatenate([found.train.labels, found.test.labels])
    assert [int((labels == label).sum()) for label in (-1, 1)] == [20, 20]


def test_other_numbers_of_classes_are_refused() -> None:
    with pytest.raises(UsageError, match="classes=3"):
        PRESETS.build(Spec("covertype", {"classes": "3"}), None, True)
