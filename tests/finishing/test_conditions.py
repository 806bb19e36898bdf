"""When each condition is met, and how it is written."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pytest

from erasurehead.errors import UsageError
from erasurehead.finishing.base import Condition
from erasurehead.finishing.course import LOOK_BACK, Course, Step
from erasurehead.finishing.text import build_condition, condition_forms


def round_met(condition: Condition, steps: Iterable[Step]) -> int | None:
    """Return the first round after which a condition is met."""
    course = Course({"auc": True, "mse": False})
    for step in steps:
        course.step(step)
        if condition.met(course) is not None:
            return step.round
    return None


def falling(rounds: int, rate: float = 0.5) -> list[Step]:
    """Return the steps of a run whose loss goes from 1 to 0 by a rate, and says so."""
    return [
        Step(t, 10.0 * t, rate ** (t - 1), decrease=rate**t, slope=4.0 * rate ** (t - 1))
        for t in range(1, rounds + 1)
    ]


def test_the_gap_must_be_small_for_ten_rounds() -> None:
    """The gap after round t is the median of five, 0.5^(t-2) here: 0.5^10 after round 12 at the
    latest."""
    assert round_met(build_condition("gap:1e-3"), falling(40)) == 12 + LOOK_BACK - 1


def test_a_gap_that_is_unknown_or_rises_again_is_not_small() -> None:
    condition = build_condition("gap:1e-3")
    without = [Step(t, 0.0, 0.5**t) for t in range(1, 60)]
    assert round_met(condition, without) is None
    steps = falling(60)
    far = [
        Step(s.round, s.seconds, s.loss, decrease=0.1 if 18 <= s.round <= 23 else s.decrease)
        for s in steps
    ]
    # Of the last five, three are large up to round 25.
    assert round_met(condition, far) == 26 + LOOK_BACK - 1


def test_a_rejected_round_says_nothing_of_the_gap() -> None:
    """Every third one is rejected, and predicts nonsense."""
    steps = [
        s if s.round % 3 else Step(s.round, s.seconds, s.loss, decrease=1e9, rejected=True)
        for s in falling(60)
    ]
    # Of rounds 7, 8, 10, 11 and 13 the median is small enough.
    assert round_met(build_condition("gap:1e-3"), steps) == 13 + LOOK_BACK - 1


def test_a_method_that_has_lost_its_image_of_the_curvature_begins_anew() -> None:
    steps = falling(60)
    steps[14] = Step(15, 0.0, 0.5**14, decrease=None)
    assert round_met(build_condition("gap:1e-3"), steps) == 15 + 5 + LOOK_BACK - 1


def test_the_gradient_is_compared_with_the_first() -> None:
    assert round_met(build_condition("gradient:0.1"), falling(10)) == 5
    assert build_condition("gradient:0.1").needs_slope
    assert round_met(build_condition("gradient:0.1"), [Step(1, 0.0, 1.0)]) is None


@pytest.mark.parametrize(
    ("text", "round_"), [("time:60", 6), ("time:0.5min", 3), ("time:1m", 6), ("time: 41 s", 5)]
)
def test_time(text: str, round_: int) -> None:
    assert round_met(build_condition(text), falling(400)) == round_


def test_the_median_of_the_loss_is_taken_before_its_change_is_looked_at() -> None:
    """A loss that jumps up and down by a tenth and falls by a thousandth a round does not stop a
    run, nor does one that rises, nor one that falls but for a step that overshoots; one that jumps
    and stays does, after twenty rounds."""
    jump = [0.1 * (-1) ** t for t in range(100)]
    falls = [Step(t, 0.0, 1.0 - 1e-3 * t + jump[t]) for t in range(1, 100)]
    stays = [Step(t, 0.0, 1.0 + jump[t]) for t in range(1, 100)]
    rises = [Step(t, 0.0, 1.0 + 1e-3 * t) for t in range(1, 100)]
    overshoots = [Step(t, 0.0, 0.9**t + 5.0 * (t == 15)) for t in range(1, 40)]
    condition = build_condition("loss-change:1e-4")
    for steps in (falls, rises, overshoots):
        assert round_met(condition, steps) is None
    assert round_met(condition, stays) == 2 * LOOK_BACK


def rounds_evaluated(text: str, name: str, values: Iterable[float]) -> int | None:
    """Return how many evaluations, each 5 rounds after the last, it takes until one is met."""
    condition, course = build_condition(text), Course({"auc": True, "mse": False})
    for n, value in enumerate(values, 1):
        course.evaluated(5 * n, {name: value})
        if condition.met(course) is not None:
            return n
    return None


def test_a_metric_reaches_a_value_from_its_own_side() -> None:
    assert rounds_evaluated("metric:auc=0.7", "auc", [0.5, 0.69, 0.7]) == 3
    assert rounds_evaluated("metric:mse=0.7", "mse", [2.0, 0.9, 0.6]) == 3
    assert rounds_evaluated("metric:auc=0.7", "mse", [2.0, 0.9, 0.6]) is None


def test_patience_counts_rounds_since_the_best_value() -> None:
    """Evaluations are 5 rounds apart: 10 rounds are two of them, 11 rounds are three."""
    values = [0.5, 0.6, 0.55, 0.61, 0.61, 0.6, math.nan, 0.6, 0.6]
    assert rounds_evaluated("metric:auc,patience=10", "auc", values) == 6
    assert rounds_evaluated("metric:auc,patience=11", "auc", values) == 7
    assert rounds_evaluated("metric:auc,patience=100", "auc", values) is None
    assert rounds_evaluated("metric:auc=0.55,patience=10", "auc", values) == 2
    assert rounds_evaluated("metric:mse,patience=10", "mse", [3.0, 2.0, 2.5, 1.0, 1.0, 1.0]) == 6


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("gab:1e-3", r"unknown condition 'gab' \(did you mean 'gap'\?\); known: gap, gradient"),
        ("gap", r"condition 'gap' needs below; write for example gap:below=\.\.\."),
        ("gap:0", "condition 'gap:0' is never met, or always: the share must be above 0"),
        ("gap:1", "write for example gap:0.001"),
        ("gap:nan", "condition 'gap:nan' is never met"),
        ("gap:small", "option below=small of condition 'gap' does not fit; give below a number"),
        ("gap:1e-3,rounds=3", "condition 'gap' has no option 'rounds'"),
        ("gap:1e-3,below=1e-4", "'below' is given twice in 'gap:1e-3,below=1e-4'"),
        ("gap:1e-3,1e-4", "'1e-4' in 'gap:1e-4' is not of the form key=value"),
        ("gradient:2", "write for example gradient:0.001"),
        ("loss-change:-1", "write for example loss-change:0.001"),
        ("time:soon", "condition 'time:soon' is no time; write for example time:60s"),
        ("time:5y", "condition 'time:5y' is no time"),
        ("time:-5", "condition 'time:-5' is no time"),
        ("metric:auc", "does not say when .* write for example metric:auc=0.7 or metric:auc,pat"),
        ("metric:auc=high", "'metric:auc=high' is not of the form metric:NAME=VALUE"),
        ("metric:=0.7", "'metric:=0.7' is not of the form metric:NAME=VALUE"),
        ("metric:auc,patience=0", "patience=0 of 'metric:auc' must be at least 1 round"),
        ("metric:auc,patience=x", "option patience=x of condition 'metric' does not fit"),
    ],
)
def test_what_is_no_condition_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        build_condition(text)


@pytest.mark.parametrize("text", ["gap:0.01", "gap:below=0.01", " gap: 1e-2 "])
def test_the_name_of_the_first_option_may_be_left_out(text: str) -> None:
    assert round_met(build_condition(text), falling(40)) == 9 + LOOK_BACK - 1


def test_forms() -> None:
    assert condition_forms() == [
        "none",
        "gap:BELOW",
        "gradient:BELOW",
        "metric:GOAL,patience=",
        "time:AFTER",
        "loss-change:BELOW",
    ]
