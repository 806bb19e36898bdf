"""Any file in svmlight (libsvm) format."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import vstack

from erasurehead.datasets.encoding import Encoded, split
from erasurehead.datasets.labels import Coded, KindOrAuto, are_classes, code_classes
from erasurehead.datasets.preset import Preset
from erasurehead.datasets.sources import read_plain, sklearn_datasets
from erasurehead.errors import DataError, UsageError
from erasurehead.rows import CsrRows


class SvmLight(Preset):
    """The rows as they are, with a constant column added last.

    labels=auto makes two classes of two distinct labels (the larger becomes +1), and takes others
    as numbers. `test` names a second file with the test rows; else the usual split is made.
    """

    name = "svmlight"
    encoding = "svmlight-2"

    def __init__(
        self,
        source: Path | None,
        download: bool,
        *,
        labels: KindOrAuto = "auto",
        test: str = "",
    ) -> None:
        super().__init__(source, download)
        if source is None:
            raise UsageError("prepare svmlight needs a file: give it with --from")
        self._path = source
        self._test = Path(test) if test else None
        self._kind = labels

    def options(self) -> dict[str, str]:
        """Return what labels are and the digest of the test file."""
        test = hashlib.sha256(read_plain(self._test)).hexdigest() if self._test else ""
        return {"labels": self._kind, "test": test}

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
        coded = self._labels(labels)
        self.notes.update(coded.notes)
        ones = bool(np.all(matrix.data == 1.0))

        def take(chosen: npt.NDArray[np.int64]) -> CsrRows:
            part = matrix[chosen]
            ends = part.indptr[1:]
            return CsrRows(
                indptr=part.indptr.astype(np.int64) + np.arange(len(chosen) + 1),
                indices=np.insert(part.indices, ends, matrix.shape[1]),
                values=None if ones else np.insert(part.data, ends, 1.0),
                labels=coded.labels[chosen],
                n_columns=matrix.shape[1] + 1,
            )

        return Encoded(coded.target, take(train), take(test))

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

    def _labels(self, labels: npt.NDArray[np.float64]) -> Coded:
        distinct, codes = np.unique(labels, return_inverse=True)
        if are_classes(self._kind, len(distinct)):
            what = f"the label of {self._path}"
            return code_classes(codes, len(distinct), what, lambda code: f"{distinct[code]:g}")
        return Coded(labels, "numbers")
