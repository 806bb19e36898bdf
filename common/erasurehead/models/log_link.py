"""Linear models of a mean that is positive: its logarithm is the margin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from erasurehead.arrays import Array, FloatArray
from erasurehead.errors import UsageError
from erasurehead.models.linear import LinearModel
from erasurehead.models.metrics import Metric, all_the_same, mean
from erasurehead.rows import Target

MOST = 300.0
"""Margins beyond that, up or down, are taken for it: exp(300) is far from any mean, and no sum of
such numbers overflows."""


def loss_and_derivative(
    p: float, margins: FloatArray, labels: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return each row's loss for a power p, shape (rows,), and its derivative in the margin."""
    m = np.clip(margins, -MOST, MOST)
    # exp((2 - p) m) and y exp((1 - p) m), of which the derivative is the difference.
    mean_side = np.exp(m) if p == 1 else np.ones_like(m) if p == 2 else np.exp((2 - p) * m)
    label_side = labels if p == 1 else labels * np.exp((1 - p) * m)
    of_mean = m if p == 2 else mean_side / (2 - p)
    of_label = labels * m if p == 1 else label_side / (1 - p)
    return of_mean - of_label, mean_side - label_side


def deviances(p: float, margins: FloatArray, labels: FloatArray) -> FloatArray:
    """Return the deviance of each label from its mean, shape (rows,); 0 is the best."""
    if p == 1:
        own = labels - labels * np.log(np.where(labels > 0, labels, 1.0))
    elif p == 2:
        own = np.log(labels) + 1.0
    else:
        own = labels ** (2 - p) * (1 / (2 - p) - 1 / (1 - p))
    return np.asarray(2.0 * (loss_and_derivative(p, margins, labels)[0] - own))


def deviance_metrics(power: float) -> tuple[Metric, ...]:
    """Return the mean deviance, and the share of it that a model explains."""

    def deviance(margins: FloatArray, labels: FloatArray, weights: FloatArray | None) -> float:
        return mean(deviances(power, margins, labels), weights)

    def d2(margins: FloatArray, labels: FloatArray, weights: FloatArray | None) -> float | None:
        """Return 1 - deviance / (deviance from the mean label); None: all labels are the same."""
        middle = mean(labels, weights)
        if middle <= 0 or all_the_same(labels, weights):
            return None
        total = deviance(np.full(len(labels), np.log(middle)), labels, weights)
        return 1.0 - deviance(margins, labels, weights) / total if total > 0 else None

    return Metric("d2", True, d2, chance=0.0), Metric("deviance", False, deviance)


class LogLinkModel(LinearModel):
    """Half the deviance of a label y from the mean exp(margin), but for what depends on y alone.

    The variance of a label is a power p of its mean. With the margin m, the loss is
    exp((2 - p) m)/(2 - p) - y exp((1 - p) m)/(1 - p), whose limits are exp(m) - y m for p = 1 and
    m + y exp(-m) for p = 2 (Jorgensen, "Exponential dispersion models", 1987, section 4). It is
    convex for p from 1 to 2, and its curvature has no bound.

    Parameters
    ----------
    n_columns, labels, intercept: as `LinearModel`.
    power: p.
    options: of the spec.

    Raises
    ------
    UsageError: the power is not from 1 to 2.
    """

    target: ClassVar[Target] = "numbers"
    metrics = deviance_metrics(1.0)
    """Those of a model are of its own power."""

    def __init__(
        self,
        n_columns: int,
        labels: FloatArray | None = None,
        *,
        power: float,
        intercept: bool = False,
        options: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(n_columns, labels, intercept=intercept)
        if not 1 <= power <= 2:
            raise UsageError(
                f"power={power:g} of model {self.name} is not from 1 (counts) to 2 (sizes), where"
                " the loss is convex; take least-squares for power 0"
            )
        self.power = power
        self._specify(options or {})
        self.metrics = deviance_metrics(power)

    def loss_and_derivative(
        self, margins: FloatArray, labels: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return the loss of each row and its derivative in the margin, both of shape (rows,)."""
        return loss_and_derivative(self.power, margins, labels)

    def predictions(self, outputs: FloatArray, classes: Sequence[str] = ()) -> dict[str, Array]:
        """Return the mean of each row."""
        return {"prediction": np.exp(np.clip(outputs, -MOST, MOST))}

    def refusal(self, labels: FloatArray) -> str | None:
        """Refuse what is not positive, and for p < 2 not 0 either."""
        if not np.isfinite(labels).all() or (labels < 0).any():
            return f"it needs finite numbers {'above' if self.power == 2 else 'of at least'} 0"
        return "it needs numbers above 0" if self.power == 2 and not labels.all() else None

    def lacks(self, labels: FloatArray, classes: Sequence[str] = ()) -> str | None:
        """Return that a label above 0 is missing, if there is an intercept.

        The best mean is 0 then, and its logarithm is minus infinity.
        """
        return "has a label above 0" if self.intercept and not labels.any() else None
