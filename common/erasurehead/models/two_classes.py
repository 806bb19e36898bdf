"""Linear models that tell two classes apart by the sign of the margin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.models.class_weights import BALANCED, ClassWeights
from erasurehead.models.linear import LinearModel
from erasurehead.rows import Target


class TwoClassModel(LinearModel):
    """A loss of label * margin for labels -1 and +1.

    Parameters
    ----------
    n_columns, intercept: as `LinearModel`.
    labels: of the training rows, for balanced weights.
    class_weight: what rows of each class count for (`ClassWeights.read`); None: one.

    Raises
    ------
    UsageError: the weights are not numbers of at least 0, one for each class.
    """

    target: ClassVar[Target] = "two classes"

    def __init__(
        self,
        n_columns: int,
        labels: FloatArray | None = None,
        *,
        intercept: bool = False,
        class_weight: str | None = None,
    ) -> None:
        super().__init__(n_columns, intercept=intercept)
        self._class_weights: ClassWeights | None = None
        self._balances = class_weight == BALANCED
        if class_weight is not None:
            codes = None if labels is None else labels > 0
            self._weigh_classes(ClassWeights.read(class_weight, codes, 2))

    def count_rows(self, labels: FloatArray, weights: FloatArray) -> None:
        """Balance the classes by what their rows count for, if they are to be balanced."""
        if self._balances:
            self._weigh_classes(ClassWeights.balanced(labels > 0, 2, weights))

    def row_weights(self, labels: FloatArray) -> FloatArray | None:
        """Return the weights of the rows' classes."""
        return None if self._class_weights is None else self._class_weights.of(labels > 0)

    def refusal(self, labels: FloatArray) -> str | None:
        """Refuse anything but -1 and +1."""
        return None if (np.abs(labels) == 1.0).all() else "it needs two classes, -1 and +1"

    def _weigh_classes(self, weights: ClassWeights) -> None:
        self._class_weights = weights
        self._specify({"class_weight": str(weights)})

    def lacks(self, labels: FloatArray, classes: Sequence[str] = ()) -> str | None:
        """Return the class without a row, if there is an intercept."""
        names = classes if len(classes) == 2 else ("-1", "+1")
        missing = (n for n, label in zip(names, (-1.0, 1.0), strict=True) if label not in labels)
        return next((f"is of the class {n}" for n in missing), None) if self.intercept else None
