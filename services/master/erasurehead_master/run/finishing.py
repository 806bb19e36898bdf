"""Whether a run is done before its last round, and which model it leaves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray
from erasurehead.errors import EXIT_DIVERGED, UsageError
from erasurehead.finishing.base import Condition
from erasurehead.finishing.course import Course, Step
from erasurehead.finishing.text import build_condition
from erasurehead.finishing.verdict import Circumstances, verdict
from erasurehead.optimizing.making import AUTOMATIC
from erasurehead.registry import nearest
from erasurehead_master.machine.plan import RunPlan
from erasurehead_master.run.descent import Descent


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A model with its metrics, and the round that it is of."""

    round: int
    model: FloatArray
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Met:
    """A condition that is met: its text, and why the run is done, in a sentence."""

    condition: str
    reason: str


class Finishing:
    """Watches the course of a run for what ends it.

    Parameters
    ----------
    conditions: by their texts; the first that is met counts.
    rises: the model's metrics, and whether more of one is better.
    circumstances: what is known of the run from the beginning.
    """

    def __init__(
        self,
        conditions: Mapping[str, Condition],
        rises: Mapping[str, bool],
        circumstances: Circumstances,
    ) -> None:
        self._conditions = conditions
        self._circumstances = circumstances
        looked_at = {c.metric for c in conditions.values()}
        self.course = Course({name: rises[name] for name in rises if name in looked_at})
        self._kept_by = next((c.metric for c in conditions.values() if c.keeps_best), None)
        self._rated: FloatArray | None = None
        self.best: Kept | None = None
        """The model to leave in place of the last one; None: the last one it is."""

    @property
    def looks_at_metrics(self) -> bool:
        """Whether it matters which round a model was evaluated after."""
        return any(c.metric is not None for c in self._conditions.values())

    @property
    def met(self) -> Met | None:
        """What ends the run, by all that is known now; before its first round nothing does."""
        if not self.course.round:
            return None
        for text, condition in self._conditions.items():
            why = condition.met(self.course)
            if why is not None:
                return Met(text, f"done, as asked by --until {text}: {why}")
        return None

    def step(self, step: Step) -> None:
        """Take what a round has brought."""
        self.course.step(step)

    def rating(self, model: FloatArray) -> None:
        """Note the model that is being evaluated; nobody may change it."""
        if self._kept_by is not None:
            self._rated = model

    def evaluated(self, round_: int, metrics: Mapping[str, float]) -> None:
        """Take the metrics of the model after a round."""
        better = self.course.evaluated(round_, metrics)
        if self._kept_by in better and self._rated is not None:
            self.best = Kept(round_, self._rated, dict(metrics))
        self._rated = None

    def verdict(
        self, rounds: int, exit_code: int, spread: float, missing: tuple[int, int] = (0, 0)
    ) -> str:
        """Return whether the run has converged, in a sentence; empty for a run without a round.

        Parameters
        ----------
        rounds: it was asked for so many.
        spread: how much columns differ in size.
        missing: see `Descent.missing`.
        """
        run = replace(
            self._circumstances,
            all_rounds=self.course.round >= rounds,
            diverged=exit_code == EXIT_DIVERGED,
            spread=spread,
            missing=missing,
            met=self.met is not None,
            reached=self._reached(),
        )
        return verdict(self.course, run)

    def _reached(self) -> str | None:
        """Return why the model is near the minimum, by a condition that tells."""
        found = (c.met(self.course) for c in self._conditions.values() if c.shows_convergence)
        return next((why for why in found if why is not None), None)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold."""
        held = {f"course/{name}": array for name, array in self.course.state().items()}
        if self.best is not None:
            held["best/round"] = np.array(self.best.round)
            held["best/model"] = self.best.model
            held |= {f"best/metric_{k}": np.array(v) for k, v in self.best.metrics.items()}
        return held

    def load_state(
        self, course: Mapping[str, npt.NDArray[Any]], best: Mapping[str, npt.NDArray[Any]]
    ) -> None:
        """Go on from the two parts that `state` returned."""
        self.course.load_state(course)
        if best and self._kept_by is not None:
            metrics = {
                name.removeprefix("metric_"): float(value)
                for name, value in best.items()
                if name.startswith("metric_")
            }
            self.best = Kept(int(best["round"]), best["model"], metrics)


def make_finishing(plan: RunPlan, descent: Descent, *, rated: bool) -> Finishing:
    """Build what watches the course of a planned run.

    Parameters
    ----------
    rated: whether there are test rows.

    Raises
    ------
    UsageError: a condition looks at a metric that the run does not report, or at a gradient that
        its rounds do not have.
    """
    conditions = {text: build_condition(text) for text in plan.settings.descent.until}
    rises = {metric.name: metric.higher_is_better for metric in plan.model.metrics}
    for text, condition in conditions.items():
        if condition.needs_slope and not plan.whole:
            raise UsageError(
                f"--until {text} looks at the gradient of all rows, and rounds with --batch"
                f" {plan.settings.descent.batch:g} never have it; take --until metric:..., time:..."
                " or loss-change:..."
            )
        if condition.metric is None:
            continue
        if condition.metric not in rises:
            raise UsageError(
                f"--until {text}: a run of {plan.model.spec} reports no metric"
                f" '{condition.metric}'{nearest(condition.metric, rises)}; it reports"
                f" {', '.join(rises)}"
            )
        if not rated:
            raise UsageError(
                f"--until {text} needs test rows, and the store has none; take another condition"
                " or prepare the data with test rows"
            )
    _check_best(list(conditions.values()))
    return Finishing(conditions, rises, _circumstances(plan, descent, conditions.values()))


def _circumstances(
    plan: RunPlan, descent: Descent, conditions: Iterable[Condition]
) -> Circumstances:
    method, estimate = descent.method, descent.estimate
    better = None
    # No method can tell with a penalty that is not smooth.
    if method.penalty.smooth and not method.predicts and plan.whole:
        better = "--optimizer auto"
        if plan.settings.descent.step != AUTOMATIC:
            better += " --step auto"
        if not (plan.exact or estimate.sums_memory):
            better += " with a cached scheme (cache=sag)"
    return Circumstances(
        optimizer=descent.chosen.name,
        better_optimizer=better,
        noisy=not plan.exact and estimate.memory is None,
        in_batches=not plan.whole,
        wanted=min((c.gap for c in conditions if not math.isnan(c.gap)), default=math.nan),
    )


def _check_best(conditions: Sequence[Condition]) -> None:
    by = sorted({str(c.metric) for c in conditions if c.keeps_best})
    if len(by) > 1:
        raise UsageError(
            f"--until asks for the best model by {' and by '.join(by)}; a run leaves one model, so"
            " give patience to one of them"
        )
