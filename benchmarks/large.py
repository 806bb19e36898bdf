"""A store of more than 2^31 non-zeros: prepared, checked and trained on from mapped files.

    python benchmarks/large.py [--nonzeros 2200000000] [--memory-gb 8] [--rounds 10] [--in FOLDER]

It writes a synthetic store block by block, reads it as a run does, and takes rounds of gradient
descent whose gradient is the sum over tasks of mapped rows. The kernel refuses more memory than the
limit (`RLIMIT_DATA`): that is memory of the process' own; pages of mapped files can be taken back
at any time, and come on top where there is room. The store needs 4 bytes of disk a non-zero; it is
removed at the end. A small number of non-zeros tries the same paths in a moment.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from footprint import anonymous_bytes

from erasurehead.arrays import FloatArray
from erasurehead.datasets.blocks import RowBlocks
from erasurehead.datasets.manifest import Provenance
from erasurehead.datasets.store import Store, write_store
from erasurehead.datasets.tasks import task_ranges
from erasurehead.models import MODELS
from erasurehead.models.rows import pieces
from erasurehead.rows import CsrRows

PER_ROW = 50
COLUMNS = 1 << 20
TEST_ROWS = 1000
BLOCK_ROWS = 1 << 17
PIECE_ROWS = 1 << 15
N_TASKS = 30


PLANTED = np.random.default_rng(7).standard_normal(COLUMNS)
"""The model that labels follow."""


def block(n_rows: int, seed: int, lo: int) -> CsrRows:
    """Return the rows from number `lo`, a multiple of `BLOCK_ROWS`, to the end of their block."""
    rng = np.random.default_rng((seed, lo))
    n = min(BLOCK_ROWS, n_rows - lo)
    indices = rng.integers(0, COLUMNS, (n, PER_ROW), dtype=np.int32)
    margins = PLANTED[indices].sum(axis=1)
    return CsrRows(
        indptr=np.arange(0, n * PER_ROW + 1, PER_ROW, dtype=np.int64),
        indices=indices.ravel(),
        values=None,
        labels=np.where(margins > 0, 1.0, -1.0),
        n_columns=COLUMNS,
    )


def synthetic(n_rows: int, seed: int) -> RowBlocks:
    """Return rows of `PER_ROW` ones each, made block by block, with labels of a planted model."""

    def blocks() -> Iterator[CsrRows]:
        return (block(n_rows, seed, lo) for lo in range(0, n_rows, BLOCK_ROWS))

    return RowBlocks(n_rows, n_rows * PER_ROW, COLUMNS, frozenset(), blocks)


def gradient(store: Store, theta: FloatArray) -> tuple[float, FloatArray]:
    """Return mean loss and gradient over the training rows: the sum of those of all tasks."""
    model = MODELS.build("logistic", COLUMNS, None)
    n_rows = store.manifest.rows
    loss, total = 0.0, np.zeros(model.n_parameters)
    for lo, hi in task_ranges(n_rows, N_TASKS):
        for piece in pieces(store.train.rows(lo, hi), PIECE_ROWS):
            ((of_piece, slope),) = model.sums(piece, theta, [None])
            loss += of_piece
            total += slope
    return loss / n_rows, total / n_rows


def check_last_rows(store: Store) -> None:
    """See that rows whose entries lie beyond 2^31 are those that were written."""
    n_rows = store.manifest.rows
    last = (n_rows - 1) // BLOCK_ROWS * BLOCK_ROWS
    expected = block(n_rows, 0, last)
    found = store.train.rows(last, n_rows)
    assert store.train.indptr.dtype == np.int64
    assert int(store.train.indptr[-1]) == store.manifest.nnz == n_rows * PER_ROW
    assert np.array_equal(found.indices, expected.indices)
    assert np.array_equal(found.labels, expected.labels)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nonzeros", type=int, default=2_200_000_000)
    parser.add_argument("--memory-gb", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--in", dest="folder", type=Path, default=None)
    wanted = parser.parse_args()
    limit = int(wanted.memory_gb * 1e9)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    own = 0

    def told(what: str, began: float) -> None:
        nonlocal own
        own = max(own, anonymous_bytes(os.getpid()))
        print(f"{what:28}{time.monotonic() - began:8.1f} s{own / 1e9:8.2f} GB of its own so far")

    with TemporaryDirectory(dir=wanted.folder) as folder:
        train, test = synthetic(wanted.nonzeros // PER_ROW, 0), synthetic(TEST_ROWS, 1)
        made = Provenance("made up", "0" * 64, "large-1")
        began = time.monotonic()
        store = write_store(Path(folder) / "store", "large", "two classes", train, test, made)
        told(f"prepared {store.manifest.nnz:,} non-zeros", began)
        began = time.monotonic()
        store.check_rows()
        check_last_rows(store)
        told("looked through", began)
        theta = np.zeros(COLUMNS)
        losses = []
        # The inverse of the largest curvature, in the direction of all ones: the loss must fall.
        step = 4.0 * COLUMNS / PER_ROW**2
        for number in range(1, wanted.rounds + 1):
            began = time.monotonic()
            loss, slope = gradient(store, theta)
            theta -= step * slope
            losses.append(loss)
            told(f"round {number}, loss {loss:.5f}", began)
        assert losses == sorted(losses, reverse=True), "the loss should fall in every round"


if __name__ == "__main__":
    main()
