"""Does it pay to keep a worker's float32 values in single precision?

    python benchmarks/row_types.py [STORE ...] [--repeats 20]

One gradient of a worker's rows, with its values as float64 and as float32 (which saves a third of
the memory, and of which scipy makes doubles at each product), in turns. Without stores: made-up
rows of three shapes. Stores whose values are all one are measured with random values in their
places.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from scipy.sparse import csr_array

from erasurehead.datasets.store import Store
from erasurehead.models.rows import CHUNK_NONZEROS

SHAPES = ((40_000, 54, 12), (20_000, 1000, 25), (4000, 200_000, 120))
"""Rows, columns, entries in a row: about a chunk each."""


def made_up(rows: int, columns: int, per_row: int) -> csr_array:
    """Return random rows."""
    rng = np.random.default_rng(0)
    indices = rng.integers(0, columns, rows * per_row).astype(np.int32)
    indptr = np.arange(0, rows * per_row + 1, per_row, dtype=np.int32)
    return csr_array((rng.normal(size=len(indices)), indices, indptr), shape=(rows, columns))


def one_chunk(path: str) -> csr_array:
    """Return as many rows of a store as a worker's chunk holds."""
    store = Store.open(path)
    many = int(np.searchsorted(store.train.indptr, CHUNK_NONZEROS, side="right")) - 1
    matrix = store.train.rows(0, max(1, many)).matrix()
    indptr, indices = (np.asarray(a, dtype=np.int32) for a in (matrix.indptr, matrix.indices))
    values = np.random.default_rng(0).normal(size=matrix.nnz)
    return csr_array((values, indices, indptr), shape=matrix.shape)


def seconds(matrix: csr_array, theta: np.ndarray) -> float:
    """Return the time of one gradient of least squares."""
    start = time.perf_counter()
    matrix.T @ (matrix @ theta)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stores", nargs="*")
    parser.add_argument("--repeats", type=int, default=20)
    given = parser.parse_args()
    known = {path: one_chunk(path) for path in given.stores} or {
        f"{r:,} x {c:,}, {p} a row": made_up(r, c, p) for r, c, p in SHAPES
    }
    for name, double in known.items():
        single = double.astype(np.float32)
        theta = np.random.default_rng(1).normal(size=double.shape[1])
        times = [(seconds(double, theta), seconds(single, theta)) for _ in range(given.repeats)]
        of_double, of_single = (statistics.median(each) for each in zip(*times, strict=True))
        print(
            f"{name}: float64 {1e3 * of_double:.2f} ms, float32 {1e3 * of_single:.2f} ms,"
            f" ratio {of_single / of_double:.2f}"
        )


if __name__ == "__main__":
    main()
