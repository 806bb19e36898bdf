"""Step sizes by their formulas, and their text forms."""

from __future__ import annotations

import pytest

from erasurehead.errors import UsageError
from erasurehead.optimizing.steps import build_schedule


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
    schedule = build_schedule(text)
    assert [schedule.step_size(t) for t in (1, 2, 3)] == pytest.approx(sizes)
    assert build_schedule(str(schedule)) == schedule


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
        build_schedule(text)
    assert "\n" not in str(caught.value)
