"""Whether a run has converged, and what to do if not: one plain line at its end."""

from __future__ import annotations

import math
from dataclasses import dataclass

from erasurehead.finishing.course import Course

CLOSE = 1e-3
"""A gap that counts as none where nobody has asked for another."""

SPREAD = 1e4
"""Columns that differ more than this in size are badly scaled."""

STILL = 1e-6
"""A loss that falls by less of itself a round no longer falls."""


ROUNDING = 1e-12
"""A smaller gap is not told from this."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What else is known of a run that has ended.

    Attributes
    ----------
    all_rounds: it has done all the rounds that it was asked for.
    diverged: its model would soon not have been finite.
    optimizer: its method.
    better_optimizer: a method for its scheme that uses the curvature; None: its own does.
    noisy: its rounds have no full gradient, and nothing is remembered of earlier ones.
    in_batches: each of its rounds is on some of the rows.
    spread: size of the largest column over that of the smallest; NaN: unknown.
    wanted: the gap that was asked for; NaN: none was.
    missing: how many parts of the rows no worker has, and how many there are.
    met: a condition of ``--until`` has ended it, and would end it again.
    reached: why it is near the minimum by such a condition, as half a sentence; None: no such one
        is met.
    """

    all_rounds: bool = True
    diverged: bool = False
    optimizer: str = ""
    better_optimizer: str | None = None
    noisy: bool = False
    in_batches: bool = False
    spread: float = math.nan
    wanted: float = math.nan
    missing: tuple[int, int] = (0, 0)
    met: bool = False
    reached: str | None = None


def verdict(course: Course, run: Circumstances) -> str:
    """Return whether a run has converged, how far it is, and what to do, as one sentence.

    Empty for a run without a round.
    """
    if run.diverged:
        return "not converged: the run diverged; take a smaller --step"
    if not course.round:
        return ""
    recent = list(course.losses)[-5:]
    now = sum(recent) / len(recent)
    if now > course.first_loss + STILL * abs(course.first_loss):
        return (
            f"not converged: the loss is above where it began, {now:.4g} after"
            f" {course.first_loss:.4g}; take a smaller --step"
        )
    far, close = course.largest_recent_gap, CLOSE if math.isnan(run.wanted) else run.wanted
    if far <= close:
        near = f"{max(far, ROUNDING):.1g}"
        return (
            f"converged{_without(run)}: the loss is within about {near} of the way from its start"
            " to the minimum"
        )
    # A gradient that is small enough may end a run before so many gaps are known.
    if run.reached is not None and not run.noisy and not course.gap > close:
        return f"converged as asked for{_without(run)}: {run.reached}"
    return f"not converged: {_how_far(course, now, run, close)}; {_advice(course, now, run)}"


def _without(run: Circumstances) -> str:
    if not run.missing[0]:
        return ""
    return f" without {run.missing[0]} of {run.missing[1]} parts of the rows, which no worker has"


def _how_far(course: Course, now: float, run: Circumstances, close: float) -> str:
    falls = _falls(course, now)
    way = "of the way from the start to the minimum"
    if close < course.largest_recent_gap and course.gap <= close:
        # Not what is left now: that is less than was asked for.
        return (
            f"up to {course.largest_recent_gap:.1g} {way} was left in the last rounds, and the loss"
            f" {falls}"
        )
    if not math.isnan(course.gap):
        return f"about {course.gap:.1g} {way} is left, and the loss {falls}"
    if course.fall > STILL * abs(now):
        return f"the loss {falls}"
    unknown = "how far the minimum is, nobody can tell yet"
    if run.better_optimizer is not None or run.in_batches:
        unknown = f"{run.optimizer} does not tell how far the minimum is"
    return f"the loss {falls}, but {unknown}"


def _falls(course: Course, now: float) -> str:
    if math.isnan(course.fall):
        return "was seen once"
    if course.fall <= STILL * abs(now):
        return "no longer falls"
    return f"still falls by {course.fall:.2g} a round"


def _advice(course: Course, now: float, run: Circumstances) -> str:
    stuck = course.fall <= STILL * abs(now)
    longer = "give more --rounds" if run.all_rounds else "go on with --resume"
    if run.met:
        longer += " and another --until"
    if run.missing[0]:
        n, parts = run.missing
        return f"no worker has {n} of {parts} parts of the rows: start more workers"
    if run.in_batches and stuck:
        advice = (
            "rounds on some of the rows keep it from the minimum: take a larger --batch, or steps"
            " that become smaller (--step inverse:eta=...)"
        )
    elif run.noisy and stuck:
        advice = (
            "rounds without the full gradient keep it from the minimum: take an exact or cached"
            " scheme (cache=sag), or steps that become smaller (--step inverse:eta=...)"
        )
    elif run.better_optimizer is None:
        advice = longer
    else:
        advice = f"{longer}, or {run.better_optimizer}, which goes by the curvature"
    # A method that goes by the curvature has a metric of the columns, and needs no scaling.
    if run.better_optimizer is not None and run.spread > SPREAD:
        advice += f" (columns differ in size by {run.spread:.0e}: scaling them helps, too)"
    return advice
