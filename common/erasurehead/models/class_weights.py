"""What the rows of each class count for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from erasurehead.arrays import Array, FloatArray
from erasurehead.errors import UsageError

BALANCED = "balanced"


@dataclass(frozen=True, eq=False)
class ClassWeights:
    """A weight for each class, in the order of their labels.

    Attributes
    ----------
    values: shape (classes,).
    """

    values: FloatArray

    @classmethod
    def read(cls, text: str, codes: Array | None, n_classes: int) -> ClassWeights:
        """Read ``1/2.5``, a number for each class, or ``balanced``.

        Balanced weights are those of rows that count one each (`balanced`).

        Parameters
        ----------
        codes: the class of each training row, from 0; None: they are not at hand.

        Raises
        ------
        UsageError: it is neither, or other than a number of at least 0 for each class.
        """
        if text == BALANCED:
            if codes is None:
                raise UsageError(
                    "class_weight=balanced needs the training rows; give a number for each class,"
                    " as in class_weight=1/2.5"
                )
            return cls.balanced(codes, n_classes)
        try:
            values = [float(word) for word in text.split("/")]
        except ValueError:
            values = []
        finite = all(math.isfinite(value) and value >= 0 for value in values)
        if len(values) != n_classes or not finite or not any(values):
            raise UsageError(
                f"class_weight={text} is not a number of at least 0 for each of {n_classes}"
                f" classes; write them in the order of the classes, as in"
                f" class_weight={'/'.join(['1'] * (n_classes - 1))}/2.5, or"
                f" class_weight={BALANCED}"
            )
        return cls(np.array(values))

    @classmethod
    def balanced(
        cls, codes: Array, n_classes: int, weights: FloatArray | None = None
    ) -> ClassWeights:
        """Return W / (K W_c), so that all K classes count alike; a class without a row gets 1.

        Parameters
        ----------
        codes: the class of each training row, from 0.
        weights: what each row counts for, W together and W_c those of class c; None: one.
        """
        counts = np.bincount(codes.astype(np.int64), weights, n_classes)
        held = counts > 0
        return cls(np.where(held, counts.sum() / (n_classes * np.where(held, counts, 1.0)), 1.0))

    def of(self, codes: Array) -> FloatArray:
        """Return the weight of each row from its class, shape (rows,)."""
        return np.asarray(self.values[codes.astype(np.int64)])

    def __str__(self) -> str:
        return "/".join(repr(float(value)) for value in self.values)
