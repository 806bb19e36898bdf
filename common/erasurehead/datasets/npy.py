"""Arrays of ``.npy`` files: images, and other rows of any shape."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from erasurehead.arrays import Array
from erasurehead.datasets.encoding import Encoded, split
from erasurehead.datasets.encodings.npy import NpyEncoding
from erasurehead.datasets.labels import Coded, KindOrAuto, code_classes, number_name, target_of
from erasurehead.datasets.manifest import ROW_SHAPE
from erasurehead.datasets.preset import Preset
from erasurehead.datasets.sources import plain_sha256
from erasurehead.datasets.tables.categories import LARGEST_EXACT
from erasurehead.errors import DataError, UsageError, reason_of
from erasurehead.rows import LARGEST_SQUARED, CsrRows

FINITE_ROWS = 1 << 12
"""Rows that are looked at together."""


class Npy(Preset):
    """An array of shape (rows, ...), whose entries are the columns; the store keeps the shape.

    `y` names the file of the labels, of shape (rows,); labels=auto takes them as of a svmlight
    file. All entries are divided by `divisor` (255 for images of bytes). `test` and `test_y` name
    files of test rows; else the usual split is made. There is no constant column.
    """

    name = "npy"
    encoding = "npy-1"

    def __init__(
        self,
        source: Path | None,
        download: bool,
        *,
        y: str,
        labels: KindOrAuto = "auto",
        divisor: float = 1.0,
        test: str = "",
        test_y: str = "",
    ) -> None:
        super().__init__(source, download)
        if source is None:
            raise UsageError("prepare npy needs an array: give its file with --from")
        if not (math.isfinite(divisor) and divisor > 0):
            raise UsageError(f"divisor={divisor:g} of prepare npy must be a positive number")
        if bool(test) != bool(test_y):
            raise UsageError("test and test_y of prepare npy go together; give both, or neither")
        self._files = [(source, Path(y)), *([(Path(test), Path(test_y))] if test else [])]
        self._kind = labels
        self._divisor = divisor

    def source_sha256(self) -> str:
        """Return the digest of the rows' file."""
        return plain_sha256(self._files[0][0])

    def options(self) -> dict[str, str]:
        """Return what labels are, the divisor, and the digests of the other files."""
        others = {"y": self._files[0][1]}
        if len(self._files) > 1:
            others |= {"test": self._files[1][0], "test_y": self._files[1][1]}
        return {
            "labels": self._kind,
            "divisor": repr(self._divisor),
            **{name: plain_sha256(path) for name, path in others.items()},
        }

    def encode(self) -> Encoded:
        """Return the rows.

        Raises
        ------
        DataError: a file is damaged or does not hold numbers, or rows and labels do not match.
        """
        parts = [(_rows(x), _labels(y)) for x, y in self._files]
        rows, (path, label_path) = parts[0][0], self._files[0]
        for (x, y), (x_path, y_path) in zip(parts, self._files, strict=True):
            self._check_size(x, x_path)
            if len(x) != len(y):
                raise DataError(
                    f"{x_path} has {len(x)} rows and {y_path} {len(y)} labels; give one a row"
                )
            if x.shape[1:] != rows.shape[1:]:
                raise DataError(
                    f"a row of {x_path} has the shape {x.shape[1:]}, and one of {path}"
                    f" {rows.shape[1:]}; give rows of one shape"
                )
        coded = self._coded(np.concatenate([y for _, y in parts]), label_path)
        if len(parts) == 1:
            train, test = split(len(rows))
            made = [self._taken(rows, coded.labels, chosen) for chosen in (train, test)]
        else:
            order = np.random.default_rng(0).permutation(len(rows))
            others = parts[1][0]
            made = [
                self._taken(rows, coded.labels, order),
                self._taken(others, coded.labels[len(rows) :], np.arange(len(others))),
            ]
        shape = rows.shape[1:]
        self.notes[ROW_SHAPE] = "x".join(map(str, shape))
        encoding = NpyEncoding(shape, self._divisor, coded.target, coded.classes)
        return Encoded(coded.target, made[0], made[1], coded.classes, encoding)

    def _check_size(self, rows: Array, path: Path) -> None:
        largest = max(-float(rows.min()), float(rows.max())) / self._divisor
        if largest > LARGEST_SQUARED:
            raise DataError(
                f"{path} holds {largest:g} after the division by divisor={self._divisor:g}, whose"
                " square is no number; give a larger divisor"
            )

    def _taken(self, rows: Array, labels: Array, chosen: Array) -> CsrRows:
        """Return some rows without their zeros."""
        # Not at the top: scipy takes a while to be imported, and other presets do without.
        from scipy.sparse import csr_array

        matrix: Any = csr_array(np.asarray(rows[chosen], dtype=np.float64).reshape(len(chosen), -1))
        matrix.data /= self._divisor
        return CsrRows(
            matrix.indptr.astype(np.int64),
            matrix.indices.astype(np.int32),
            matrix.data,
            labels[chosen],
            matrix.shape[1],
        )

    def _coded(self, labels: Array, path: Path) -> Coded:
        distinct, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
        text = labels.dtype.kind == "U"
        whole = not text and bool(np.all(distinct == np.floor(distinct)))
        meant = target_of(self._kind, counts, text=text, whole=whole)
        if meant == "numbers":
            if text:
                raise DataError(f"{path} holds texts; take labels=classes, or give numbers")
            numbers = labels.astype(np.float64)
            if np.abs(numbers).max() > LARGEST_SQUARED:
                raise DataError(
                    f"{path} holds {np.abs(numbers).max():g}, whose square is no number; give"
                    " labels in larger units"
                )
            return Coded(numbers, "numbers")
        what = f"the label of {path}"
        if not text and max(-float(distinct[0]), float(distinct[-1])) >= LARGEST_EXACT:
            raise DataError(
                f"{what} has classes of {LARGEST_EXACT} or more, where two whole numbers may be"
                " one float; number the classes from 0, or give texts"
            )
        if self._kind == "auto" and meant == "classes" and not text:
            self.assumed.append(
                f"{what} has {len(distinct)} distinct whole numbers, which are taken for classes;"
                " labels=numbers takes them for a quantity"
            )
        names = [str(v) if text else number_name(float(v)) for v in distinct]
        return code_classes(codes, counts, names, meant, what)


def read_array(path: Path) -> Array:
    """Map the array of a ``.npy`` file, whatever its shape, read-only.

    Raises
    ------
    DataError: it is none, or cannot be read.
    """
    try:
        found: Array = np.lib.format.open_memmap(path, mode="r")
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {reason_of(error)}; give the path of a file that can be read"
        ) from None
    except (ValueError, EOFError) as error:
        raise DataError(
            f"{path} is no .npy file: {reason_of(error)}; write it by numpy.save"
        ) from None
    return found


def _rows(path: Path) -> Array:
    found = read_array(path)
    if found.ndim < 2 or not found.size or found.dtype.kind not in "biuf":
        raise DataError(
            f"{path} holds {found.dtype} of shape {found.shape}; give numbers of shape (rows, ...)"
        )
    for lo in range(0, len(found), FINITE_ROWS):
        finite = np.isfinite(found[lo : lo + FINITE_ROWS]).reshape(-1, math.prod(found.shape[1:]))
        if not finite.all():
            row = lo + int(np.flatnonzero(~finite.all(axis=1))[0])
            raise DataError(
                f"row {row + 1} of {path} holds a number that is not finite; fill it in or leave"
                " the row out"
            )
    return found


def _labels(path: Path) -> Array:
    found = np.array(read_array(path))
    if found.ndim != 1 or found.dtype.kind not in "biufU":
        raise DataError(
            f"{path} holds {found.dtype} of shape {found.shape}; give labels of shape (rows,)"
        )
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise DataError(f"{path} has labels that are not finite; leave their rows out")
    return found
