"""Any file in svmlight (libsvm) format."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from erasurehead.datasets.encoding import Encoded, split
from erasurehead.datasets.encodings.svmlight import SvmlightEncoding
from erasurehead.datasets.labels import Coded, KindOrAuto, code_classes, number_name, target_of
from erasurehead.datasets.preset import Preset
from erasurehead.datasets.sources import read_plain
from erasurehead.datasets.svmlight_file import LARGEST_COLUMN, read_svmlight
from erasurehead.datasets.tables.categories import LARGEST_EXACT
from erasurehead.errors import DataError, UsageError
from erasurehead.rows import CsrRows


class SvmLight(Preset):
    """The rows as they are, with a constant column added last.

    labels=auto makes two classes of two distinct labels (the larger becomes +1), classes of few
    whole numbers, and takes others as numbers. first_column=auto counts columns from 0 if the file
    has a column 0, else from 1. `test` names a second file with the test rows; else the usual split
    is made.
    """

    name = "svmlight"
    encoding = "svmlight-3"
    older: ClassVar = frozenset({"svmlight-2"})

    def __init__(
        self,
        source: Path | None,
        download: bool,
        *,
        labels: KindOrAuto = "auto",
        first_column: Literal["auto", "0", "1"] = "auto",
        test: str = "",
    ) -> None:
        super().__init__(source, download)
        if source is None:
            raise UsageError("prepare svmlight needs a file: give it with --from")
        self._path = source
        self._test = Path(test) if test else None
        self._kind = labels
        self._first = first_column

    def options(self) -> dict[str, str]:
        """Return what labels are and the digest of the test file."""
        test = hashlib.sha256(read_plain(self._test)).hexdigest() if self._test else ""
        return {"labels": self._kind, "first_column": self._first, "test": test}

    def source_sha256(self) -> str:
        """Return the digest of the file."""
        return hashlib.sha256(read_plain(self._path)).hexdigest()

    def encode(self) -> Encoded:
        """Return the rows."""
        # Not at the top: scipy takes a while to be imported, and other presets do without.
        from scipy.sparse import vstack

        paths = [self._path] if self._test is None else [self._path, self._test]
        parts = read_svmlight(paths)
        matrix = vstack([part for part, _ in parts], format="csr")
        labels = np.concatenate([part for _, part in parts])
        first = self._first_column(matrix)
        if first == 1:
            matrix = matrix[:, 1:]
        if self._test is None:
            train, test = split(len(labels))
        else:
            n_train = len(parts[0][1])
            train = np.random.default_rng(0).permutation(n_train)
            test = np.arange(n_train, len(labels))
        coded = self._labels(labels)
        ones = bool(np.all(matrix.data == 1.0))
        # In eight bytes where the constant column's own number needs them.
        dtype = np.int32 if matrix.shape[1] <= LARGEST_COLUMN else np.int64

        def take(chosen: npt.NDArray[np.int64]) -> CsrRows:
            part = matrix[chosen]
            ends = part.indptr[1:]
            return CsrRows(
                indptr=part.indptr.astype(np.int64) + np.arange(len(chosen) + 1),
                indices=np.insert(part.indices.astype(dtype), ends, matrix.shape[1]),
                values=None if ones else np.insert(part.data, ends, 1.0),
                labels=coded.labels[chosen],
                n_columns=matrix.shape[1] + 1,
            )

        encoding = SvmlightEncoding(first, matrix.shape[1], coded.target, coded.classes)
        return Encoded(coded.target, take(train), take(test), coded.classes, encoding)

    def _first_column(self, matrix: Any) -> Literal[0, 1]:
        """Return the number of the first column; columns of `matrix` count from 0."""
        has_zero = bool(np.any(matrix.indices == 0))
        if self._first == "1" and has_zero:
            raise DataError(
                f"{self._path} has a column 0, so it cannot count from 1; leave first_column=1 out"
            )
        if self._first == "auto" and not has_zero:
            self.assumed.append(
                f"{self._path} has no column 0, so its columns are taken to count from 1;"
                " first_column=0 says otherwise"
            )
        return 0 if has_zero or self._first == "0" else 1

    def _labels(self, labels: npt.NDArray[np.float64]) -> Coded:
        distinct, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
        whole = bool(np.all(distinct == np.floor(distinct)))
        meant = target_of(self._kind, counts, text=False, whole=whole)
        if meant == "numbers":
            return Coded(labels, "numbers")
        what = f"the label of {self._path}"
        if np.abs(distinct).max() >= LARGEST_EXACT:
            raise DataError(
                f"{what} has classes of {LARGEST_EXACT} or more, where two whole numbers may be"
                " read as one; number the classes from 0"
            )
        if self._kind == "auto" and meant == "classes":
            self.assumed.append(
                f"{what} has {len(distinct)} distinct whole numbers, which are taken for classes;"
                " labels=numbers takes them for a quantity"
            )
        return code_classes(codes, counts, [number_name(v) for v in distinct], meant, what)
