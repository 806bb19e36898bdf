"""Made-up data of a chosen shape with a planted model."""

from __future__ import annotations

import hashlib
import itertools
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from erasurehead.datasets.encoding import Encoded, split
from erasurehead.datasets.labels import TARGETS, Kind, class_labels
from erasurehead.datasets.preset import Preset
from erasurehead.errors import UsageError
from erasurehead.rows import CsrRows


class Synthetic(Preset):
    """Rows of `nnz` categories drawn from power laws, or dense Gaussian rows.

    Columns are cut into `nnz` fields of equal size; in each a row has one category, the i-th most
    frequent with probability proportional to i^-exponent. dense=true: all columns, with Gaussian
    values. Labels come from a planted Gaussian model of unit-variance margins plus `noise`:
    labels=two-classes by their sign, labels=numbers as they are.
    """

    name = "synthetic"
    encoding = "synthetic-1"
    reads_file = False

    def __init__(
        self,
        source: Path | None,
        download: bool,
        *,
        rows: int = 10_000,
        columns: int = 1_000,
        nnz: int = 10,
        exponent: float = 1.0,
        dense: bool = False,
        labels: Kind = "two-classes",
        noise: float = 0.5,
        seed: int = 0,
    ) -> None:
        super().__init__(source, download)
        if rows < 2 or columns < 1 or not 1 <= nnz <= columns:
            raise UsageError(
                f"rows={rows}, columns={columns}, nnz={nnz} is no data set; expected at least 2"
                " rows and 1 <= nnz <= columns"
            )
        if not (0 <= exponent < math.inf and 0 <= noise < math.inf and seed >= 0):
            raise UsageError(
                f"exponent={exponent:g}, noise={noise:g} and seed={seed} must be"
                " finite and not negative"
            )
        self._rows, self._columns, self._nnz = rows, columns, nnz
        self._exponent, self._dense, self._noise = exponent, dense, noise
        self._kind: Kind = labels
        self._seed = seed

    def options(self) -> dict[str, str]:
        """Return all options."""
        return {
            "rows": str(self._rows),
            "columns": str(self._columns),
            "nnz": str(self._nnz),
            "exponent": repr(self._exponent),
            "dense": str(self._dense),
            "labels": self._kind,
            "noise": repr(self._noise),
            "seed": str(self._seed),
        }

    def source_sha256(self) -> str:
        """Return a digest of the options: they are all there is."""
        return hashlib.sha256(repr(sorted(self.options().items())).encode()).hexdigest()

    def encode(self) -> Encoded:
        """Return the rows."""
        rng = np.random.default_rng((self._seed, 0x5EED))
        model = rng.standard_normal(self._columns)
        if self._dense:
            per_row = self._columns
            table = rng.standard_normal((self._rows, per_row))
            indices = np.broadcast_to(np.arange(per_row, dtype=np.int32), table.shape)
            margins = table @ model / np.sqrt(per_row)
        else:
            per_row = self._nnz
            table = None
            indices = self._categories(rng)
            margins = model[indices].sum(axis=1) / np.sqrt(per_row)
        noisy = margins + self._noise * rng.standard_normal(self._rows)
        labels = class_labels(noisy > 0, "two classes") if self._kind == "two-classes" else noisy

        def take(chosen: npt.NDArray[np.int64]) -> CsrRows:
            return CsrRows(
                indptr=np.arange(0, len(chosen) * per_row + 1, per_row, dtype=np.int64),
                indices=np.ascontiguousarray(indices[chosen]).ravel(),
                values=None if table is None else table[chosen].ravel(),
                labels=labels[chosen],
                n_columns=self._columns,
            )

        train, test = split(self._rows)
        return Encoded(TARGETS[self._kind], take(train), take(test))

    def _categories(self, rng: np.random.Generator) -> npt.NDArray[np.int32]:
        """Draw one category a field for each row, shape (rows, nnz)."""
        indices = np.empty((self._rows, self._nnz), dtype=np.int32)
        bounds = [self._columns * i // self._nnz for i in range(self._nnz + 1)]
        for i, (lo, hi) in enumerate(itertools.pairwise(bounds)):
            weights = np.arange(1, hi - lo + 1, dtype=np.float64) ** -self._exponent
            cumulative = np.cumsum(weights / weights.sum())
            drawn = np.searchsorted(cumulative, rng.random(self._rows), side="right")
            indices[:, i] = lo + np.minimum(drawn, hi - lo - 1)
        return indices
