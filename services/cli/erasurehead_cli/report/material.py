"""Everything a report shows, read and computed before anything is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from erasurehead.errors import UsageError
from erasurehead.registry import nearest
from erasurehead.runs import Run
from erasurehead_cli.report.axes import Axis
from erasurehead_cli.results.comparison import Comparison, compare_series
from erasurehead_cli.results.figures import METRIC_NAMES
from erasurehead_cli.results.series import FloatArray, Series, read_series, run_labels
from erasurehead_master.run.waiting import overdue_units
from erasurehead_simulator.virtual.ideal import ideal_round_s

MOST_SLOTS = 8
"""Slots without workers that are named."""


@dataclass(frozen=True, eq=False)
class Material:
    """The runs of a report and what was made of them; lists have one entry a run.

    Attributes
    ----------
    labels: short and different from each other.
    ideals: seconds of each round from the drawn delays alone; None without injected delays.
    notes: sentences a reader should know before believing the figures.
    """

    every: list[Series]
    labels: list[str]
    ideals: list[FloatArray | None]
    comparison: Comparison
    notes: list[str]

    @property
    def single(self) -> bool:
        """True when there is nothing to compare with."""
        return len(self.every) == 1

    @property
    def metric_name(self) -> str:
        """The timed metric in words; empty if nothing was evaluated."""
        metric = self.comparison.metric or ""
        return METRIC_NAMES.get(metric, metric)

    @property
    def baseline_label(self) -> str:
        """The run that speed-ups refer to."""
        schemes = [outcome.scheme for outcome in self.comparison.outcomes]
        return self.labels[schemes.index(self.comparison.baseline)]

    @property
    def rounds_axis(self) -> Axis:
        """An axis for all rounds of all runs."""
        return Axis("round", 0.0, float(max(series.rounds[-1] for series in self.every)))

    def ideal_mean_s(self, index: int) -> float | None:
        """Return the mean ideal time of a round of one run."""
        ideal = self.ideals[index]
        return None if ideal is None else float(np.mean(ideal))


def gather(runs: Sequence[Run], metric: str | None, target: float | None) -> Material:
    """Read and measure runs.

    Raises
    ------
    UsageError: the runs solved different problems, or do not report the metric.
    DataError: a run is unfinished, empty or damaged.
    """
    for run in runs[1:]:
        _check_same_problem(runs[0], run)
    every = [read_series(run) for run in runs]
    known = list(dict.fromkeys(name for series in every for name in series.metric_names))
    if metric is not None and metric not in known:
        raise UsageError(
            f"run {runs[0].path} reports no metric '{metric}'{nearest(metric, known)};"
            f" it reports {', '.join(known) or 'none'}"
        )
    labels = _labels(runs)
    notes = [
        note for series, label in zip(every, labels, strict=True) for note in _flaws(series, label)
    ]
    if (
        len(
            {
                (r.settings.straggling.delay, r.settings.run.seed, r.settings.coding.workers)
                for r in runs
            }
        )
        > 1
    ):
        notes.append(
            "The runs differ in delay, seed or workers, so they did not meet the same stragglers."
        )
    ideals = []
    for series, label in zip(every, labels, strict=True):
        try:
            ideals.append(_ideal(series))
        except UsageError as error:
            ideals.append(None)
            notes.append(f"{label}: its ideal could not be computed, because {error}.")
    comparison = compare_series(every, metric=metric, target=target)
    if len(runs) > 1:
        notes += [f"{note[0].upper()}{note[1:]}." for note in comparison.notes]
    return Material(every, labels, ideals, comparison, notes)


def _check_same_problem(first: Run, other: Run) -> None:
    """Refuse runs whose metrics cannot be drawn on one axis."""
    a, b = first.start, other.start
    if a is None or b is None:
        return  # it closed no round, and is refused for that
    asked: dict[str, Callable[[Run], object]] = {
        "model": lambda run: run.start and run.start.model,
        "columns": lambda run: run.start and run.start.columns,
        "training rows": lambda run: run.start and run.start.training_rows,
    }
    for what, of in asked.items():
        if of(first) != of(other):
            raise UsageError(
                f"runs {first.path} and {other.path} solve different problems"
                f" ({what}: {of(first)} and {of(other)}); make a report of each"
            )


def _labels(runs: Sequence[Run]) -> list[str]:
    """Return the scheme of each run, told apart by directory where two are the same."""
    named = run_labels(runs)
    labels = named
    for part in (lambda run: run.path.name, lambda run: str(run.path)):
        twice = {label for label, count in Counter(labels).items() if count > 1}
        labels = [
            f"{name} ({part(run)})" if label in twice else label
            for label, name, run in zip(labels, named, runs, strict=True)
        ]
    twice = {label for label, count in Counter(labels).items() if count > 1}
    return [f"{label} #{n}" if label in twice else label for n, label in enumerate(labels, 1)]


def _flaws(series: Series, label: str) -> list[str]:
    """Return what is wrong with a run that was nevertheless read."""
    run, summary = series.run, series.run.summary
    assert summary is not None
    flaws = []
    if summary.exit_code:
        flaws.append(f"{label} ended with exit code {summary.exit_code}: {summary.reason}.")
    elif summary.rounds < run.settings.descent.rounds and not summary.met:
        flaws.append(
            f"{label} ended after {summary.rounds} of {run.settings.descent.rounds} rounds:"
            f" {summary.reason}."
        )
    absent = len(series.rounds) - series.took_part.sum(axis=0)
    gone = [(slot, int(absent[slot])) for slot in np.argsort(-absent, kind="stable").tolist()]
    gone = [(slot, count) for slot, count in gone if count]
    if gone:
        listed = ", ".join(f"slot {slot} in {count}" for slot, count in gone[:MOST_SLOTS])
        more = f" and {len(gone) - MOST_SLOTS} others" if len(gone) > MOST_SLOTS else ""
        flaws.append(
            f"{label}: of {len(series.rounds)} rounds some had no worker for {listed}{more}."
        )
    if summary.refused:
        listed = ", ".join(f"{count} {reason}" for reason, count in summary.refused.items())
        flaws.append(f"{label}: results were refused ({listed}).")
    if run.lost_writes:
        flaws.append(f"{label}: {run.lost_writes} writes to its directory failed meanwhile.")
    return flaws


def _ideal(series: Series) -> FloatArray | None:
    settings = series.run.settings
    delays = settings.delays()
    if delays.delays_no_one:
        return None
    rounds, started = series.rounds.tolist(), series.run.start
    if started is not None and started.optimizer:
        settings = settings.changed(descent={"optimizer": started.optimizer})
    coding = settings.fitted()
    waits = overdue_units(settings, coding)
    ideal = ideal_round_s(coding, delays, rounds, series.took_part, waits)
    return ideal if ideal.any() else None  # nothing to divide by
