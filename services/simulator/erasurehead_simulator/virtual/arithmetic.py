"""What virtual workers compute with: the real arithmetic on real rows, or none at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray, Vector
from erasurehead.models.batches import Batches
from erasurehead.models.partial_sums import PartialSums, PartialSumsBuilder
from erasurehead.rows import CsrRows
from erasurehead.wire.messages import Assign
from erasurehead_worker.machine.actions import Load


class RealArithmetic:
    """Computes exactly what a worker process computes; slots with equal rows share them."""

    def __init__(self, rows: CsrRows) -> None:
        self._rows = rows
        self._loaded: dict[tuple[bytes, bytes], PartialSums] = {}

    def load(self, load: Load) -> tuple[int, npt.NDArray[Any] | None]:
        """Return (rows, support) of an assignment."""
        assign, key = load.assign, _key(load.assign)
        if key not in self._loaded:
            batches = Batches.of(assign.batch, assign.batch_seed, assign.row_ranges)
            builder = PartialSumsBuilder(
                load.model, assign.coefficients, assign.dense_share, batches
            )
            for i, (lo, hi) in enumerate(assign.row_ranges.tolist()):
                builder.add(i, self._rows.rows(lo, hi))
            self._loaded[key] = builder.finish()
        return self._loaded[key].n_rows, self._loaded[key].support

    def gradient(
        self, assign: Assign, round_: int, theta: Vector, part: int
    ) -> tuple[list[FloatArray], list[float]]:
        """Return (values, loss) of one part of a round's result."""
        computation = self._loaded[_key(assign)].gradient(part, theta, round_)
        # Overflow is for the master to judge, as it is with real workers.
        with np.errstate(over="ignore", invalid="ignore"):
            while not computation.advance():
                pass
        return computation.values, computation.loss


def _key(assign: Assign) -> tuple[bytes, bytes]:
    return assign.row_ranges.tobytes(), assign.coefficients.tobytes()
