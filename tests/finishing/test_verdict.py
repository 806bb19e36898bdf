"""What the last line of a run says."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import pytest

from erasurehead.finishing.course import Course, Step
from erasurehead.finishing.verdict import Circumstances, verdict

PLAIN = Circumstances(optimizer="gradient-descent", better_optimizer="--optimizer auto")
KNOWING = Circumstances(optimizer="lbfgs")


def after(losses: Iterable[float], decrease: float | None = None) -> Course:
    """Return the course of a run with these losses, which predicts the same in each round."""
    course = Course({})
    for n, loss in enumerate(losses, 1):
        course.step(Step(n, float(n), loss, decrease))
    return course


FALLING = [1.0 - 0.01 * n for n in range(40)]


def test_a_small_gap_has_converged() -> None:
    assert verdict(after(FALLING, 1e-4), KNOWING) == (
        "converged: the loss is within about 0.0004 of the way from its start to the minimum"
    )
    assert "about 1e-12 of" in verdict(after(FALLING, 0.0), KNOWING)


def test_how_small_the_gap_must_be_is_what_was_asked_for() -> None:
    course = after(FALLING, 1e-4)
    assert verdict(course, replace(KNOWING, wanted=1e-2)).startswith("converged")
    assert verdict(course, replace(KNOWING, wanted=1e-6)) == (
        "not converged: about 0.0003 of the way from the start to the minimum is left, and the loss"
        " still falls by 0.01 a round; give more --rounds"
    )


def test_rows_that_no_worker_has_are_named() -> None:
    without = replace(KNOWING, missing=(1, 4))
    assert verdict(after(FALLING, 1e-4), without) == (
        "converged without 1 of 4 parts of the rows, which no worker has: the loss is within about"
        " 0.0004 of the way from its start to the minimum"
    )
    assert verdict(after(FALLING), without).endswith(
        "; no worker has 1 of 4 parts of the rows: start more workers"
    )


def test_a_gradient_that_is_small_enough_before_the_gap_is_known_has_converged() -> None:
    """It once was told that the loss still falls, and to go on."""
    small = replace(KNOWING, all_rounds=False, met=True, reached="the gradient's norm is small")
    soon = after(FALLING[:6], 1e-6)
    assert math.isnan(soon.largest_recent_gap)
    assert verdict(soon, small) == "converged as asked for: the gradient's norm is small"
    assert verdict(after(FALLING), small).startswith("converged as asked for: ")
    assert verdict(soon, replace(small, missing=(1, 4))).startswith(
        "converged as asked for without 1 of 4 parts of the rows, which no worker has: "
    )
    # What is known of the gap counts for more, and the estimate of a noisy round for nothing.
    assert verdict(after(FALLING, 0.1), small).startswith("not converged: about 0.2 of the way")
    assert verdict(soon, replace(small, noisy=True)).startswith("not converged")


def test_a_run_that_is_done_as_asked_goes_on_by_another_condition_only() -> None:
    met = replace(KNOWING, met=True)
    assert verdict(after(FALLING), replace(met, all_rounds=False)).endswith(
        "; go on with --resume and another --until"
    )
    assert verdict(after(FALLING), met).endswith("; give more --rounds and another --until")


def test_a_gap_that_was_large_a_moment_ago_has_not_converged() -> None:
    course = after(FALLING, 0.1)
    for n in range(40, 46):
        course.step(Step(n, float(n), 0.6, 1e-5))
    assert course.gap < 1e-4
    assert verdict(course, KNOWING).startswith("not converged: up to 0.2 of the way from the start")


def test_a_method_without_a_gap_says_by_how_much_the_loss_falls() -> None:
    assert verdict(after(FALLING), PLAIN) == (
        "not converged: the loss still falls by 0.01 a round; give more --rounds, or --optimizer"
        " auto, which goes by the curvature"
    )
    assert verdict(after(FALLING), replace(PLAIN, all_rounds=False)).endswith(
        "; go on with --resume, or --optimizer auto, which goes by the curvature"
    )
    assert verdict(after([1.0]), PLAIN).startswith("not converged: the loss was seen once, but")


def test_a_loss_that_stays_need_not_be_the_least() -> None:
    course = after([1.0] + 30 * [0.5])
    assert verdict(course, PLAIN) == (
        "not converged: the loss no longer falls, but gradient-descent does not tell how far the"
        " minimum is; give more --rounds, or --optimizer auto, which goes by the curvature"
    )
    assert "take an exact or cached scheme" in verdict(course, replace(PLAIN, noisy=True))
    assert "exact or cached" not in verdict(after(FALLING), replace(PLAIN, noisy=True))


def test_batches_are_not_told_to_wait_for_the_full_gradient() -> None:
    batches = Circumstances(optimizer="adam", noisy=True, in_batches=True)
    stuck = verdict(after([1.0] + 30 * [0.5]), batches)
    assert "adam does not tell how far the minimum is" in stuck
    assert "take a larger --batch, or steps that become smaller" in stuck
    assert "exact or cached" not in stuck
    assert verdict(after(FALLING), batches).endswith("; give more --rounds")


def test_a_loss_above_its_start_asks_for_a_smaller_step() -> None:
    """docs of faults: 30 rounds with a step of 1e6 once ended with "all 30 rounds done"."""
    risen = after([0.693147, *(10.0**n for n in range(5, 20))], 1e-9)
    assert verdict(risen, KNOWING) == (
        "not converged: the loss is above where it began, 2.222e+18 after 0.6931; take a smaller"
        " --step"
    )


def test_badly_scaled_columns_are_told_to_who_descends_plainly() -> None:
    badly = replace(PLAIN, spread=1e6)
    assert verdict(after(FALLING), badly).endswith(
        "which goes by the curvature (columns differ in size by 1e+06: scaling them helps, too)"
    )
    stuck = verdict(after([1.0] + 30 * [0.5]), replace(badly, noisy=True))
    assert stuck.endswith("(columns differ in size by 1e+06: scaling them helps, too)")
    assert "columns" not in verdict(after(FALLING), replace(PLAIN, spread=1e3))
    assert "columns" not in verdict(after(FALLING), replace(KNOWING, spread=1e6))


def test_runs_that_diverged_or_never_began() -> None:
    assert verdict(after([1.0]), replace(PLAIN, diverged=True)) == (
        "not converged: the run diverged; take a smaller --step"
    )
    assert verdict(Course({}), PLAIN) == ""


@pytest.mark.parametrize("spread", [math.nan, 1.0])
def test_it_is_one_line(spread: float) -> None:
    for course in (after([1.0]), after(FALLING), after(FALLING, 1e-3), after([1.0, 2.0])):
        for run in (PLAIN, KNOWING):
            said = verdict(course, replace(run, spread=spread))
            assert said
            assert "\n" not in said
