"""What is kept of the course of a run."""

from __future__ import annotations

import math

import numpy as np
import pytest

from erasurehead.finishing.course import Course, Step
from erasurehead.finishing.gap_estimate import SMOOTHED, GapEstimate

RISES = {"auc": True, "log_loss": False}


def some_step(round_: int) -> Step:
    rng = np.random.default_rng(round_)
    decrease = None if round_ % 13 == 0 else float(rng.uniform(0.0, 0.2))
    loss, slope = float(rng.uniform(1.0, 2.0)), float(rng.uniform())
    return Step(round_, 0.5 * round_, loss, decrease, round_ % 7 == 0, slope)


@pytest.mark.parametrize("taken_after", [1, 4, 12, 25, 40])
def test_a_checkpoint_goes_on_as_if_nothing_had_happened(taken_after: int) -> None:
    course, again = Course(RISES), Course(RISES)
    for t in range(1, 60):
        for each in [course] if t <= taken_after else [course, again]:
            each.step(some_step(t))
            if t % 5 == 0:
                each.evaluated(t, {"auc": math.sin(t), "log_loss": math.cos(t), "accuracy": 1.0})
        if t == taken_after:
            again.load_state({k: v.copy() for k, v in course.state().items()})
        if t >= taken_after:
            kept = course.state()
            assert kept.keys() == again.state().keys()
            for name, array in again.state().items():
                np.testing.assert_array_equal(array, kept[name])
            assert (again.round, again.best, again.metrics) == (
                course.round,
                course.best,
                course.metrics,
            )


def test_a_checkpoint_of_an_older_version_begins_where_it_goes_on() -> None:
    course = Course(RISES)
    course.load_state({})
    course.step(Step(30, 1.0, 0.25, decrease=0.25))
    assert course.first_loss == 0.25


def test_the_fall_of_a_straight_line_is_its_slope() -> None:
    course = Course({})
    assert math.isnan(course.fall)
    for t in range(1, 50):
        course.step(Step(t, 0.0, 5.0 - 0.25 * t))
        if t == 1:
            assert math.isnan(course.fall)
        else:
            assert course.fall == pytest.approx(0.25)


def test_metrics_that_nobody_asked_for_are_not_compared() -> None:
    course = Course({"log_loss": False})
    assert course.evaluated(5, {"log_loss": 0.5, "auc": 0.6}) == ["log_loss"]
    assert course.evaluated(10, {"log_loss": 0.5, "auc": 0.7}) == []
    assert course.evaluated(15, {"log_loss": math.nan}) == []
    assert course.evaluated(20, {"auc": 0.8}) == []
    assert course.evaluated(25, {"log_loss": 0.4, "auc": 0.7}) == ["log_loss"]
    assert list(course.best) == ["log_loss"]


def test_the_gap_is_the_median_of_what_is_left_of_the_way() -> None:
    estimate = GapEstimate()
    found = [estimate.observe(d, 3.0, rejected=False) for d in (1.0, 0.1, 0.03, 0.003, 7.0)]
    assert all(map(math.isnan, found[: SMOOTHED - 1]))
    assert found[-1] == pytest.approx(0.1 / 3.1)
    # The loss has risen: all of the way is left.
    found += [estimate.observe(0.5, -1.0, rejected=False) for _ in range(3)]
    assert found[-1] == 1.0


@pytest.mark.parametrize("decrease", [None, math.nan, math.inf])
def test_no_prediction_makes_the_gap_unknown(decrease: float | None) -> None:
    estimate = GapEstimate()
    for _ in range(SMOOTHED):
        known = estimate.observe(0.1, 1.0, rejected=False)
    assert not math.isnan(known)
    assert math.isnan(estimate.observe(decrease, 1.0, rejected=False))
    assert math.isnan(estimate.observe(0.1, 1.0, rejected=False))


def test_at_the_minimum_from_the_beginning_nothing_is_left() -> None:
    estimate = GapEstimate()
    assert [estimate.observe(0.0, 0.0, rejected=False) for _ in range(SMOOTHED)][-1] == 0.0
