"""What a model has to reach."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.datasets.store import Store
from erasurehead.errors import UsageError
from erasurehead.models.metrics import HIGHER_IS_BETTER
from erasurehead.models.objectives import Objective
from erasurehead.registry import nearest
from erasurehead.rows import CsrRows
from erasurehead_master.run.evaluation import Evaluator
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
        known = [*HIGHER_IS_BETTER, LOSS]
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
        better = HIGHER_IS_BETTER.get(self.metric, False)
        return value >= self.value if better else value <= self.value

    def __str__(self) -> str:
        return f"{self.metric}={self.value:g}"


def rate_of(store: Store, objective: Objective, target: Target, l2: float) -> Rate:
    """Return what computes the target's metric of a model, on the rows of a store.

    Raises
    ------
    UsageError: the objective does not report it.
    """
    if target.metric == LOSS:
        return _Loss(store.train, objective, l2)
    evaluator = Evaluator(store.test, objective)
    known = [*objective.metrics(np.zeros(2), np.array([-1.0, 1.0])), LOSS]
    if target.metric not in known:
        raise UsageError(
            f"a run on {store.path.name} reports no metric '{target.metric}'; --target can be"
            f" {', '.join(known)}"
        )
    if not evaluator:
        raise UsageError(f"{store.path.name} has no test rows; give the target as loss=VALUE")
    if target.metric not in evaluator.now(np.zeros(store.manifest.columns)):
        raise UsageError(
            f"'{target.metric}' is not defined on the {store.manifest.test_rows:,} test rows of"
            f" {store.path.name}, all of one class; give another target, for example loss=VALUE"
        )
    return evaluator.now


class _Loss:
    """The regularised mean loss on the training rows."""

    def __init__(self, rows: CsrRows, objective: Objective, l2: float) -> None:
        self._matrix = rows.matrix()
        self._labels = np.asarray(rows.labels)
        self._objective = objective
        self._l2 = l2

    def __call__(self, model: FloatArray) -> dict[str, float]:
        """Return the loss of a model."""
        loss, _ = self._objective.loss_and_derivative(self._matrix @ model, self._labels)
        return {LOSS: float(loss.mean()) + 0.5 * self._l2 * float(model @ model)}
