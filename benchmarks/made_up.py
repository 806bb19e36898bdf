"""Data sets of the kinds that a method can stumble over, made up from a seed or held out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.datasets.manifest import Provenance
from erasurehead.datasets.prepare import prepare
from erasurehead.datasets.store import Store, write_store
from erasurehead.rows import CsrRows, Target

UNITS = 30
"""Row ranges of which each has columns of its own, where that is the difficulty."""


def store_of(out: Path, target: Target, matrix: FloatArray, labels: FloatArray) -> Store:
    """Write a store of dense rows, shape (rows, columns); its test rows are the last one."""
    rows, columns = np.nonzero(matrix)
    indptr = np.searchsorted(rows, np.arange(len(matrix) + 1))
    values = matrix[rows, columns]
    train = CsrRows(indptr, columns.astype(np.int32), values, labels, matrix.shape[1])
    last = len(labels) - 1
    made = Provenance(out.name, "0" * 64, "made-up", {}, {})
    return write_store(out, out.name, target, train, train.rows(last, last + 1), made)


def scaled(store: Store, out: Path, powers: float, seed: int) -> Store:
    """Write a store whose columns are multiplied by 10^-powers to 10^powers."""
    rng = np.random.default_rng((0x5CA1, seed))
    factors = 10.0 ** rng.uniform(-powers, powers, store.manifest.columns)

    def rows(held: CsrRows) -> CsrRows:
        values = factors[held.indices] * (1.0 if held.values is None else held.values)
        return CsrRows(held.indptr, held.indices, values, held.labels, held.n_columns)

    manifest = store.manifest
    made = Provenance(manifest.name, store.digest, "scaled", {}, {})
    return write_store(
        out, manifest.name, manifest.target, rows(store.train), rows(store.test), made
    )


def _synthetic(rows: int, **options: str) -> Callable[[Path, int], Store]:
    def make(out: Path, seed: int) -> Store:
        given = {"rows": str(rows), "seed": str(seed), **options}
        return prepare("synthetic", source=None, out=out, options=given).store

    return make


def rare_columns(out: Path, seed: int, rows: int = 1500) -> Store:
    """Half of the columns are in one to three rows each, with weights as large as the others'."""
    rng = np.random.default_rng((0x4A4E, seed))
    matrix = np.zeros((rows, 800))
    matrix[:, 0] = 1.0
    for column in range(1, 400):
        matrix[rng.random(rows) < 0.3 / column**0.7, column] = 1.0
    for column in range(400, 800):
        matrix[rng.integers(0, rows, rng.integers(1, 4)), column] = 1.0
    planted = rng.standard_normal(800)
    return store_of(out, "numbers", matrix, matrix @ planted + 0.3 * rng.standard_normal(rows))


def columns_of_one_unit(out: Path, seed: int, rows: int = 1500) -> Store:
    """Each thirtieth of the rows has eight columns that no other has, nearly collinear with what
    all have."""
    rng = np.random.default_rng((0x1017, seed))
    common = rng.standard_normal((rows, 12))
    matrix = np.zeros((rows, 12 + 8 * UNITS))
    matrix[:, :12] = common
    for unit in range(UNITS):
        here = slice(rows * unit // UNITS, rows * (unit + 1) // UNITS)
        mixed = common[here] @ rng.standard_normal((12, 8))
        own = slice(12 + 8 * unit, 20 + 8 * unit)
        matrix[here, own] = mixed + 0.1 * rng.standard_normal(mixed.shape)
    margins = matrix @ rng.standard_normal(matrix.shape[1]) + rng.standard_normal(rows)
    return store_of(out, "two classes", matrix, np.where(margins > 0, 1.0, -1.0))


def unscaled(out: Path, seed: int, rows: int = 1500) -> Store:
    """Dense columns with means and deviations of four orders, and a constant."""
    rng = np.random.default_rng((0x0FF, seed))
    deviations = 10.0 ** rng.uniform(-2, 2, 20)
    means = deviations * rng.uniform(-3, 3, 20)
    plain = rng.standard_normal((rows, 20)) @ (np.eye(20) + 0.5 * rng.standard_normal((20, 20)))
    matrix = np.column_stack([means + deviations * plain, np.ones(rows)])
    margins = plain @ rng.standard_normal(20) + 2.0 * rng.standard_normal(rows)
    return store_of(out, "two classes", matrix, np.where(margins > 0, 1.0, -1.0))


def digits(out: Path, seed: int) -> Store:
    """Is one of scikit-learn's hand-written digits even or odd? 1797 rows, 64 columns of counts."""
    from sklearn.datasets import load_digits

    found = load_digits()
    order = np.random.default_rng((0xD161, seed)).permutation(len(found.target))
    matrix = np.column_stack([found.data, np.ones(len(order))])[order]
    return store_of(out, "two classes", matrix, np.where(found.target[order] % 2, 1.0, -1.0))


MADE_UP: Mapping[str, Callable[[Path, int], Store]] = {
    "two classes": _synthetic(1500, columns="2000", nnz="10"),
    "numbers": _synthetic(1500, columns="2000", nnz="10", labels="numbers"),
    "separable": _synthetic(600, columns="4000", nnz="10", noise="0"),
    "rare columns": rare_columns,
    "columns of one unit": columns_of_one_unit,
    "unscaled": unscaled,
    "digits": digits,
}
"""Each takes a path to write to, and a seed."""
