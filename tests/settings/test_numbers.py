"""A penalty is a weight, or a word that stands for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from erasurehead.errors import UsageError
from erasurehead.settings.leaves import settings_of
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead.settings.yaml_file import as_yaml


def settings(l2: object) -> RunSettings:
    return load(RunSettings, {"store": "s", "l2": l2}, environment={})


@pytest.mark.parametrize(("l2", "weight"), [("auto", 0.0125), ("0.25", 0.25), (0, 0.0)])
def test_the_weight_for_a_number_of_rows(l2: object, weight: float) -> None:
    assert settings(l2).problem.l2_weight(80) == weight


@pytest.mark.parametrize(
    ("l2", "sentence"),
    [
        ("aut", "give --l2 a number or the word auto"),
        ("-0.5", "give --l2 a number of at least 0"),
        ("inf", "give --l2 a finite number"),
    ],
)
def test_what_is_no_weight_is_one_sentence(l2: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        settings(l2)


@pytest.mark.parametrize("l2", ["auto", 0.25])
def test_a_file_keeps_the_word(tmp_path: Path, l2: object) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(as_yaml(settings(l2)))
    assert load(RunSettings, {}, config=file, environment={}).problem.l2 == l2


def test_help_says_both() -> None:
    [setting] = [s for s in settings_of(RunSettings) if s.flag == "l2"]
    assert (setting.kind, setting.values) == (float, "NUMBER|auto")
