"""Any file in svmlight (libsvm) format."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from erasurehead.datasets.encoding import Encoded, split
from erasurehead.datasets.manifest import Task
from erasurehead.datasets.preset import Preset
from erasurehead.datasets.sources import read_plain, sklearn_datasets
from erasurehead.datasets.store import CsrRows
from erasurehead.errors import DataError, UsageError


class SvmLight(Preset):
    """The rows as they are, with a constant column added last.

    task=auto is logistic when there are two distinct labels (the larger becomes +1), else least
    squares. `test` names a second file with the test rows; else the usual split is made.
    """

    name = "svmlight"
    encoding = "svmlight-1"

    def __init__(
        self,
        source: Path | None,
        download: bool,
        *,
        task: Literal["auto", "logistic", "least-squares"] = "auto",
        test: str = "",
    ) -> None:
        super().__init__(source, download)
        if source is None:
            raise UsageError("prepare svmlight needs a file: give it with --from")
        self._path = source
        self._test = Path(test) if test else None
        self._task = task

    def options(self) -> dict[str, str]:
        """Return the task and the digest of the test file."""
        test = hashlib.sha256(read_plain(self._test)).hexdigest() if self._test else ""
        return {"task": self._task, "test": test}

    def source_sha256(self) -> str:
        """Return the digest of the file."""
        return hashlib.sha256(read_plain(self._path)).hexdigest()

    def encode(self) -> Encoded:
        """Return the rows."""
        matrix, labels = self._read(self._path)
        n_train = len(labels)
        if self._test is not None:
            from scipy.sparse import vstack

            more, more_labels = self._read(self._test, matrix.shape[1])
            matrix = vstack([matrix, more], format="csr")
            labels = np.concatenate([labels, more_labels])
            train = np.random.default_rng(0).permutation(n_train)
            test = np.arange(n_train, len(labels))
        else:
            train, test = split(len(labels))
        labels, task = self._labels(labels)
        ones = bool(np.all(matrix.data == 1.0))

        def take(chosen: npt.NDArray[np.int64]) -> CsrRows:
            part = matrix[chosen]
            n = len(chosen)
            where = part.indptr[1:]
            indices = np.insert(part.indices, where, matrix.shape[1]).astype(np.int32)
            values = None if ones else np.insert(part.data, where, 1.0)
            indptr = part.indptr.astype(np.int64) + np.arange(n + 1)
            return CsrRows(indptr, indices, values, labels[chosen], matrix.shape[1] + 1)

        return Encoded(task, take(train), take(test))

    def _read(self, path: Path, n_features: int | None = None) -> tuple[Any, Any]:
        try:
            matrix, labels = sklearn_datasets().load_svmlight_file(
                io.BytesIO(read_plain(path)), n_features=n_features
            )
        except ValueError as error:
            reason = " ".join(str(error).split())
            raise DataError(f"{path} is not an svmlight file: {reason}") from None
        return matrix, labels

    def _labels(self, labels: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], Task]:
        if not np.isfinite(labels).all():
            row = int((~np.isfinite(labels)).argmax()) + 1
            raise DataError(f"the label in row {row} of {self._path} is not finite")
        distinct = np.unique(labels)
        if self._task == "logistic" or (self._task == "auto" and len(distinct) == 2):
            if len(distinct) != 2:
                raise DataError(
                    f"{self._path} has {len(distinct)} distinct labels; a logistic task needs"
                    " exactly two, or use task=least-squares"
                )
            self.notes.update({"-1": f"{distinct[0]:g}", "+1": f"{distinct[1]:g}"})
            return np.where(labels == distinct[0], -1.0, 1.0), "logistic"
        return labels, "least-squares"
