"""Other rows of the kind that was prepared, encoded as preparing decided it then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from erasurehead.datasets.encodings import Encoding
from erasurehead.datasets.encodings.npy import NpyEncoding
from erasurehead.datasets.encodings.svmlight import SvmlightEncoding
from erasurehead.datasets.labels import labels_alike
from erasurehead.datasets.svmlight_file import read_svmlight
from erasurehead.datasets.tables.alike import encode_alike
from erasurehead.errors import DataError
from erasurehead.rows import CsrRows


@dataclass(frozen=True, eq=False)
class AlikeRows:
    """Rows encoded as those of a store.

    Attributes
    ----------
    rows: labels are nan where the source has none.
    strangers: how many rows have a value that training had not, by column: such a row has no one
        among that column's.
    """

    rows: CsrRows
    strangers: Mapping[str, int] = field(default_factory=dict)


def read_alike(encoding: Encoding, path: Path) -> AlikeRows:
    """Read a file of the kind that `encoding` was made from: a table, a svmlight file or an array.

    Raises
    ------
    DataError: the file is no such thing, or not like the one that was prepared.
    """
    if isinstance(encoding, SvmlightEncoding):
        return AlikeRows(_svmlight(encoding, path))
    if isinstance(encoding, NpyEncoding):
        return AlikeRows(_array(encoding, path))
    return AlikeRows(*encode_alike(encoding, [path]))


def _array(encoding: NpyEncoding, path: Path) -> CsrRows:
    from erasurehead.datasets.matrix_file import as_rows, read_matrix

    matrix = read_matrix(path, encoding.shape)
    matrix.data /= encoding.divisor
    return as_rows(matrix, constant=False)


def _svmlight(encoding: SvmlightEncoding, path: Path) -> CsrRows:
    # Not at the top: scipy takes a while to be imported, and tables do without.
    from scipy.sparse import csr_array, hstack

    first = encoding.first_column
    ((matrix, labels),) = read_svmlight([path], zero_based=first == 0)
    if matrix.shape[1] > encoding.features:
        raise DataError(
            f"{path} names column {matrix.shape[1] - 1 + first}, but the model was trained on"
            f" columns {first} to {encoding.features - 1 + first}; leave others out"
        )
    matrix = csr_array(
        (matrix.data, matrix.indices, matrix.indptr), (len(labels), encoding.features)
    )
    with_ones = hstack([matrix, csr_array(np.ones((len(labels), 1)))], format="csr")
    return CsrRows(
        with_ones.indptr.astype(np.int64),
        with_ones.indices,
        with_ones.data,
        labels_alike(labels, encoding.labels, encoding.classes, path),
        encoding.n_columns,
    )
