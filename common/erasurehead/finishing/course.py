"""How a run has gone so far, as far back as conditions look."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.finishing.gap_estimate import GapEstimate

LOOK_BACK = 10
"""Rounds in a row for which a gap must be small, and over which losses are averaged."""


@dataclass(frozen=True, slots=True)
class Step:
    """What the master knows of a round once it has stepped.

    Attributes
    ----------
    round: its number.
    seconds: from the opening of the run's first round to the end of this one.
    loss: the objective at the point that was broadcast, as estimated from the survivors.
    decrease: how far the objective is above its minimum by the method's image of the curvature;
        None: the method has none.
    rejected: the method did not trust the round.
    slope: norm of the objective's gradient, penalty included; NaN: nobody asked for it.
    """

    round: int
    seconds: float
    loss: float
    decrease: float | None = None
    rejected: bool = False
    slope: float = math.nan


@dataclass(frozen=True, slots=True)
class Best:
    """The best value of a metric so far, and the round whose model has it."""

    value: float
    round: int


class Course:
    """Takes what becomes known of a run, round after round.

    Parameters
    ----------
    rises: the metrics that are of interest, and whether more is better.

    Attributes
    ----------
    round, seconds: of the last round; 0 before the first.
    first_loss: at the start; NaN before the first round.
    losses: of the last 2 * LOOK_BACK rounds.
    gaps: of the last LOOK_BACK rounds, as `GapEstimate` has them.
    first_slope, slope: of the first and the last round.
    metrics, evaluated_round: of the model that was evaluated last, and its round.
    best: of each metric.
    """

    def __init__(self, rises: Mapping[str, bool]) -> None:
        self.round = 0
        self.seconds = 0.0
        self.first_loss = math.nan
        self.losses: deque[float] = deque(maxlen=2 * LOOK_BACK)
        self.gaps: deque[float] = deque(maxlen=LOOK_BACK)
        self.first_slope = self.slope = math.nan
        self.metrics: dict[str, float] = {}
        self.evaluated_round = 0
        self.best: dict[str, Best] = {}
        self._rises = rises
        self._estimate = GapEstimate()

    @property
    def gap(self) -> float:
        """The estimated gap after the last round; NaN: unknown."""
        return self.gaps[-1] if self.gaps else math.nan

    @property
    def largest_recent_gap(self) -> float:
        """The largest of the last LOOK_BACK gaps; NaN: one of them is unknown, or there are not so
        many."""
        return max(self.gaps) if self._gaps_known else math.nan

    @property
    def fall(self) -> float:
        """By how much the loss has fallen a round, over the last 2 * LOOK_BACK rounds or those
        there were; NaN before the second."""
        half = len(self.losses) // 2
        if not half:
            return math.nan
        losses = list(self.losses)
        return (sum(losses[:half]) - sum(losses[-half:])) / half / (len(losses) - half)

    def step(self, step: Step) -> None:
        """Take what a round has brought."""
        if math.isnan(self.first_loss):
            self.first_loss, self.first_slope = step.loss, step.slope
        self.round, self.seconds, self.slope = step.round, step.seconds, step.slope
        self.losses.append(step.loss)
        above = self.first_loss - step.loss
        self.gaps.append(self._estimate.observe(step.decrease, above, rejected=step.rejected))

    def evaluated(self, round_: int, metrics: Mapping[str, float]) -> list[str]:
        """Take the metrics of the model after a round; return those that are better than ever."""
        self.metrics, self.evaluated_round = dict(metrics), round_
        better = [
            name
            for name, rises in self._rises.items()
            if name in metrics and self._is_better(name, metrics[name], rises)
        ]
        for name in better:
            self.best[name] = Best(metrics[name], round_)
        return better

    def rises(self, metric: str) -> bool:
        """Return whether more of a metric is better."""
        return self._rises[metric]

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold."""
        numbers = [self.first_loss, self.first_slope, self.slope, self.seconds]
        held = {f"metric_{name}": np.array(value) for name, value in self.metrics.items()}
        held |= {f"best_{k}": np.array([b.value, float(b.round)]) for k, b in self.best.items()}
        return {
            "rounds": np.array([self.round, self.evaluated_round]),
            "numbers": np.array(numbers),
            "losses": np.array(self.losses),
            "gaps": np.array(self.gaps),
            "decreases": self._estimate.state(),
            **held,
        }

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `state` returned; a checkpoint of an older version has nothing of it."""
        if "numbers" not in state:
            return
        self.round, self.evaluated_round = map(int, state["rounds"])
        self.first_loss, self.first_slope, self.slope, self.seconds = map(float, state["numbers"])
        self.losses.extend(state["losses"].tolist())
        self.gaps.extend(state["gaps"].tolist())
        self._estimate.load_state(state["decreases"])
        for key, array in state.items():
            kind, _, name = key.partition("_")
            if kind == "metric":
                self.metrics[name] = float(array)
            elif kind == "best":
                self.best[name] = Best(float(array[0]), int(array[1]))

    @property
    def _gaps_known(self) -> bool:
        return len(self.gaps) == LOOK_BACK and not any(map(math.isnan, self.gaps))

    def _is_better(self, name: str, value: float, rises: bool) -> bool:
        best = self.best.get(name)
        if best is None:
            return not math.isnan(value)
        return value > best.value if rises else value < best.value
