"""What virtual workers compute with: the real arithmetic on real rows, or none at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import Vector
from erasurehead.models import MODELS
from erasurehead.models.partial_sums import CodedGradient
from erasurehead.models.rows import LocalRows, LocalRowsBuilder
from erasurehead.rows import CsrRows
from erasurehead.wire.messages import Assign


class RealArithmetic:
    """Computes exactly what a worker process computes; slots with equal rows share them."""

    def __init__(self, rows: CsrRows) -> None:
        self._rows = rows
        self._loaded: dict[tuple[bytes, bytes], LocalRows] = {}

    def load(self, assign: Assign) -> tuple[int, npt.NDArray[Any] | None]:
        """Return (rows, support) of an assignment."""
        local = self._local(assign)
        return local.n_rows, local.support

    def gradient(
        self, assign: Assign, theta: Vector, part: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return (values, loss) of one part of the result."""
        model = MODELS.build(assign.objective, assign.columns, None)
        computation = CodedGradient(self._local(assign), model, theta, part)
        # Overflow is for the master to judge, as it is with real workers.
        with np.errstate(over="ignore", invalid="ignore"):
            while not computation.advance():
                pass
        return computation.values, computation.loss

    def _local(self, assign: Assign) -> LocalRows:
        key = (assign.row_ranges.tobytes(), assign.coefficients.tobytes())
        if key not in self._loaded:
            parts, vectors, _ = assign.coefficients.shape
            builder = LocalRowsBuilder(
                assign.columns, (parts, vectors), dense_share=assign.dense_share
            )
            for i, (lo, hi) in enumerate(assign.row_ranges.tolist()):
                builder.add(self._rows.rows(lo, hi), assign.coefficients[:, :, i])
            self._loaded[key] = builder.finish()
        return self._loaded[key]
