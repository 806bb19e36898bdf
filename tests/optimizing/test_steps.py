"""Step sizes by their formulas, and their text forms."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead.errors import UsageError
from erasurehead.optimizing.finding import Finding
from erasurehead.optimizing.steps import build_step_size


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("0.1", [0.1, 0.1, 0.1]),
        ("1e-3", [1e-3, 1e-3, 1e-3]),
        ("constant:eta=10", [10, 10, 10]),
        ("exponential:eta=0.1,decay=0.99", [0.1, 0.099, 0.09801]),
        ("inverse:eta=6", [6, 3, 2]),
    ],
)
def test_step_sizes_of_the_first_rounds(text: str, sizes: list[float]) -> None:
    size = build_step_size(text)
    rounds = [Finding(t, 0.0, np.zeros(1), 0.0) for t in (1, 2, 3)]
    assert [size.size(found) for found in rounds] == pytest.approx(sizes)
    assert build_step_size(str(size)) == size


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0", "eta=0 must be a positive number"),
        ("-1", "eta=-1 must be a positive number"),
        ("nan", "must be a positive number"),
        ("constant:eta=inf", "must be a positive number"),
        ("exponential:eta=1", "needs decay"),
        ("exponential:eta=1,decay=1.5", "decay=1.5"),
        ("constnat:eta=1", "did you mean 'constant'"),
        ("constant:eta=big", "does not fit"),
        ("inverse:eta=1,decay=2", "no option 'decay'"),
    ],
)
def test_bad_schedules_are_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as caught:
        build_step_size(text)
    assert "\n" not in str(caught.value)
