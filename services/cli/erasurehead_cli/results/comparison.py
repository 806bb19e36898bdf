"""Several runs under the same delays, measured against each other."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from erasurehead.errors import EXIT_DIVERGED
from erasurehead.models import known_metrics
from erasurehead.runs import Run
from erasurehead_cli.results.series import FloatArray, Series, read_series, run_labels

BASELINE = "uncoded"


@dataclass(frozen=True, eq=False)
class Outcome:
    """The results of one run.

    Attributes
    ----------
    path: its run directory.
    rounds_s: sum of the rounds alone; `wall_s`: from the first round's opening to the end.
    round_times_s: of each round, shape (rounds,).
    arrivals, erased_tasks, decode_error, bytes_per_round: means over the rounds.
    metrics: of the last model.
    target_s, target_round: wall clock and round at which the target was first reached, None if
        it never was.
    speedup_per_round, speedup_to_target: the baseline's time over this run's.
    way_left: from a model of zeros to scikit-learn's optimum; None: nobody asked for it.
    curve_rounds, curve_s, curve: round, wall clock and value of the metric at each evaluation.
    """

    scheme: str
    """Of the run; with its optimizer, where that differs from others'."""
    path: str
    reason: str
    exit_code: int
    rounds: int
    wall_s: float
    rounds_s: float
    evaluation_s: float
    arrivals: float
    erased_tasks: float
    decode_error: float
    bytes_per_round: float
    metrics: dict[str, float]
    curve_rounds: list[int]
    curve_s: list[float]
    curve: list[float]
    round_times_s: FloatArray = field(repr=False)
    target_s: float | None = None
    target_round: int | None = None
    speedup_per_round: float | None = None
    speedup_to_target: float | None = None
    way_left: float | None = None

    @property
    def diverged(self) -> bool:
        """Whether its model went out of bounds; its rounds are then no measure of its scheme."""
        return self.exit_code == EXIT_DIVERGED

    @property
    def round_s(self) -> float:
        """Mean time of a round."""
        return self.rounds_s / self.rounds

    def to_json(self) -> dict[str, Any]:
        """Return everything but the single round times, which the run's own records hold."""
        held = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        del held["round_times_s"]
        held["mean_round_s"] = self.round_s
        held["median_round_s"] = float(np.median(self.round_times_s))
        return held


@dataclass(frozen=True)
class Comparison:
    """Runs that differ in their scheme alone.

    Attributes
    ----------
    metric: what the target is a value of; None if nothing was evaluated.
    target: the value all are timed to; None with `metric`, or if the baseline got no better than it
        began.
    baseline: the scheme that speed-ups refer to.
    """

    store: str
    workers: int
    delay: str
    seed: int
    metric: str | None
    target: float | None
    baseline: str
    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...] = ()
    """Sentences that a reader should know before believing the figures."""

    @property
    def higher_is_better(self) -> bool:
        """Which way the metric improves."""
        return _higher_is_better(self.metric)

    @property
    def title(self) -> str:
        """What was the same for all."""
        store = self.store.rstrip("/").rpartition("/")[2]
        return f"{store}, {self.workers} workers, delay {self.delay}"

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        held = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        held["higher_is_better"] = self.higher_is_better
        held["outcomes"] = [outcome.to_json() for outcome in self.outcomes]
        return held


def compare_runs(
    runs: Sequence[Run], *, metric: str | None = None, target: float | None = None
) -> Comparison:
    """Read runs and measure them: `compare_series`."""
    return compare_series([read_series(run) for run in runs], metric=metric, target=target)


def compare_series(
    every: Sequence[Series], *, metric: str | None = None, target: float | None = None
) -> Comparison:
    """Measure runs against the uncoded one, or the first if there is none.

    Parameters
    ----------
    every: at least one.
    metric: default: the first that the model reports.
    target: default: what the baseline had reached after nine tenths of its rounds. (Its very
        last value is a poor target: curves are flat there, and a difference in the fifth digit
        would decide between some speed-up and none.) There is none if that is no better than what
        it had at first, or than chance.
    """
    if metric is None:
        metric = next(iter(every[0].metric_names), None)
    labels = run_labels([series.run for series in every])
    outcomes = [_outcome(*labelled, metric) for labelled in zip(labels, every, strict=True)]
    uncoded = (series.run.settings.coding.scheme == BASELINE for series in every)
    base = next((n for n, is_baseline in enumerate(uncoded) if is_baseline), 0)
    notes: list[str] = []
    if target is None:
        target = _usual_target(outcomes[base])
        if target is not None and not _is_progress(target, outcomes[base], metric):
            notes.append(
                f"there is no target: after nine tenths of its rounds {outcomes[base].scheme} had"
                f" {metric} {target:.4f}, which is no better than at first or than chance; give"
                " more --rounds, or --target"
            )
            target = None
    timed = [_timed(outcome, target, _higher_is_better(metric)) for outcome in outcomes]
    settings = every[0].run.settings
    return Comparison(
        store=settings.problem.store,
        workers=settings.coding.workers,
        delay=settings.straggling.delay,
        seed=settings.run.seed,
        metric=metric,
        target=None if metric is None else target,
        baseline=timed[base].scheme,
        outcomes=tuple(_against(outcome, timed[base]) for outcome in timed),
        notes=tuple(notes),
    )


def with_way_left(comparison: Comparison, way_left: Sequence[float]) -> Comparison:
    """Return the comparison with how much is left to the optimum after each run."""
    outcomes = zip(comparison.outcomes, way_left, strict=True)
    return dataclasses.replace(
        comparison, outcomes=tuple(dataclasses.replace(o, way_left=left) for o, left in outcomes)
    )


def _higher_is_better(metric: str | None) -> bool:
    known = known_metrics().get(metric or "")
    return known is None or known.higher_is_better


def _usual_target(base: Outcome) -> float | None:
    if not base.curve:
        return None
    early = [n for n, round_ in enumerate(base.curve_rounds) if round_ <= 0.9 * base.rounds]
    return base.curve[early[-1] if early else -1]


def _is_progress(target: float, base: Outcome, metric: str | None) -> bool:
    """Return whether the baseline has learnt something by the time it had reached a target."""
    known = known_metrics().get(metric or "")
    sign = 1.0 if _higher_is_better(metric) else -1.0
    begun = base.curve[:1] if len(base.curve) > 1 else []
    if known is not None and known.chance is not None:
        begun.append(known.chance)
    return all(sign * target > sign * value for value in begun if not math.isnan(value))


def _outcome(label: str, series: Series, metric: str | None) -> Outcome:
    run, summary = series.run, series.run.summary
    assert summary is not None
    evaluated = [e for e in series.evaluations if metric is not None and metric in e.metrics]
    return Outcome(
        scheme=label,
        path=str(run.path),
        reason=summary.reason,
        exit_code=summary.exit_code,
        rounds=len(series.rounds),
        wall_s=summary.wall_s,
        rounds_s=summary.rounds_s,
        evaluation_s=summary.evaluation_s,
        arrivals=float(np.mean(series.n_arrived)),
        erased_tasks=float(np.mean(series.erased_tasks)),
        decode_error=float(np.mean(series.decode_error)),
        bytes_per_round=float(np.mean(series.bytes_moved)),
        metrics=summary.metrics,
        curve_rounds=[e.round for e in evaluated],
        curve_s=[e.closed_s for e in evaluated],
        curve=[e.metrics[metric] for e in evaluated if metric is not None],
        round_times_s=series.duration_s,
    )


def _timed(outcome: Outcome, target: float | None, higher_is_better: bool) -> Outcome:
    """Note when the target was first reached, at the evaluation that showed it."""
    if target is None:
        return outcome
    for n, value in enumerate(outcome.curve):
        if (value >= target) if higher_is_better else (value <= target):
            return dataclasses.replace(
                outcome, target_s=outcome.curve_s[n], target_round=outcome.curve_rounds[n]
            )
    return outcome


def _against(outcome: Outcome, base: Outcome) -> Outcome:
    if outcome.diverged or base.diverged:
        return outcome
    return dataclasses.replace(
        outcome,
        speedup_per_round=_ratio(base.round_s, outcome.round_s),
        speedup_to_target=_ratio(base.target_s, outcome.target_s),
    )


def _ratio(base_s: float | None, own_s: float | None) -> float | None:
    """None where there is no time, or none to divide by: virtual rounds may take no time."""
    return base_s / own_s if base_s is not None and own_s else None
