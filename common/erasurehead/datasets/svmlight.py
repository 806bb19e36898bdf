"""Any file in svmlight (libsvm) format."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import vstack

from erasurehead.datasets.encoding import Encoded, split
from erasurehead.datasets.manifest import Task
from erasurehead.datasets.preset import Preset
from erasurehead.datasets.sources import read_plain, sklearn_datasets
from erasurehead.errors import DataError, UsageError
from erasurehead.rows import CsrRows


class SvmLight(Preset):
    """The rows as they are, with a constant column added last.

    task=auto is logistic when there are two distinct labels (the larger becomes +1), else least
    squares. `test` names a second file with the test rows; else the usual split is made.
    """

    name = "svmlight"
    encoding = "svmlight-2"

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
        paths = [self._path] if self._test is None else [self._path, self._test]
        matrices, all_labels = self._read(paths)
        matrix, labels = vstack(matrices, format="csr"), np.concatenate(all_labels)
        if self._test is None:
            train, test = split(len(labels))
        else:
            n_train = len(all_labels[0])
            train = np.random.default_rng(0).permutation(n_train)
            test = np.arange(n_train, len(labels))
        labels, task = self._labels(labels)
        ones = bool(np.all(matrix.data == 1.0))

        def take(chosen: npt.NDArray[np.int64]) -> CsrRows:
            part = matrix[chosen]
            ends = part.indptr[1:]
            return CsrRows(
                indptr=part.indptr.astype(np.int64) + np.arange(len(chosen) + 1),
                indices=np.insert(part.indices, ends, matrix.shape[1]),
                values=None if ones else np.insert(part.data, ends, 1.0),
                labels=labels[chosen],
                n_columns=matrix.shape[1] + 1,
            )

        return Encoded(task, take(train), take(test))

    def _read(self, paths: list[Path]) -> tuple[list[Any], list[npt.NDArray[np.float64]]]:
        """Read all files together, so that they agree on columns and on the number of the first."""
        plain = [io.BytesIO(read_plain(path)) for path in paths]
        named = " and ".join(map(str, paths))
        try:
            read = sklearn_datasets().load_svmlight_files(plain)
        except ValueError as error:
            reason = " ".join(str(error).split())
            raise DataError(
                f"{named} cannot be read as svmlight: {reason}; expected lines such as"
                " '1 3:0.5 7:1'"
            ) from None
        matrices, labels = list(read[::2]), list(read[1::2])
        for path, matrix, part in zip(paths, matrices, labels, strict=True):
            if not len(part):
                raise DataError(f"{path} has no row; name a file with rows")
            row_of_value = np.repeat(np.arange(len(part)), np.diff(matrix.indptr))
            bad = np.concatenate(
                [row_of_value[~np.isfinite(matrix.data)], np.flatnonzero(~np.isfinite(part))]
            )
            if len(bad):
                raise DataError(
                    f"row {int(bad.min()) + 1} of {path} holds a number that is not finite; fill"
                    " it in or leave the row out"
                )
        return matrices, labels

    def _labels(self, labels: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], Task]:
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
