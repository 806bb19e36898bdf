"""What a model has to reach."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.datasets.store import Store
from erasurehead.errors import UsageError
from erasurehead.models import known_metrics
from erasurehead.models.base import Model
from erasurehead.models.scoring import Evaluator, mean_loss
from erasurehead.optimizing.penalty import Penalty
from erasurehead.registry import nearest
from erasurehead.rows import CsrRows
from erasurehead_simulator.virtual.virtual_run import Rate

LOSS = "loss"


@dataclass(frozen=True)
class Target:
    """What has to be reached: a test metric, or the regularised mean training loss."""

    metric: str
    value: float

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read ``auc=0.69`` or ``loss=0.52``.

        Raises
        ------
        UsageError: it is not of that form.
        """
        metric, equals, value = (part.strip() for part in text.partition("="))
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        known = [*known_metrics(), LOSS]
        if not equals or not math.isfinite(number):
            raise UsageError(
                f"--target '{text}' is not of the form METRIC=VALUE; write for example auc=0.69 or"
                " loss=0.52"
            )
        if metric not in known:
            raise UsageError(
                f"--target '{text}' names no metric{nearest(metric, known)}; it can be"
                f" {', '.join(known)}"
            )
        return cls(metric, number)

    def reached(self, value: float) -> bool:
        """Tell whether a value is as good as the target."""
        known = known_metrics().get(self.metric)
        rises = known is not None and known.higher_is_better
        return value >= self.value if rises else value <= self.value

    def __str__(self) -> str:
        return f"{self.metric}={self.value:g}"


def rate_of(store: Store, model: Model, target: Target, penalty: Penalty) -> Rate:
    """Return what computes the target's metric of a model, on the rows of a store.

    Raises
    ------
    UsageError: the model does not report it.
    """
    if target.metric == LOSS:
        return _Loss(store.train, model, penalty)
    evaluator = Evaluator(store.test, model)
    known = [*(metric.name for metric in model.metrics), LOSS]
    if target.metric not in known:
        raise UsageError(
            f"a run on {store.path.name} reports no metric '{target.metric}'; --target can be"
            f" {', '.join(known)}"
        )
    if not evaluator:
        raise UsageError(f"{store.path.name} has no test rows; give the target as loss=VALUE")
    if target.metric not in evaluator.now(np.zeros(model.n_parameters)):
        raise UsageError(
            f"'{target.metric}' is not defined on the {store.manifest.test_rows:,} test rows of"
            f" {store.path.name}, all of one class; give another target, for example loss=VALUE"
        )
    return evaluator.now


class _Loss:
    """The regularised mean loss on the training rows."""

    def __init__(self, rows: CsrRows, model: Model, penalty: Penalty) -> None:
        self._rows = rows
        self._model = model
        self._penalty = penalty

    def __call__(self, theta: FloatArray) -> dict[str, float]:
        """Return the loss at some parameters."""
        loss = mean_loss(self._rows, self._model, theta)
        return {LOSS: loss + self._penalty.value(theta)}
