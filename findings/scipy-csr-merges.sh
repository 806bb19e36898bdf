#!/usr/bin/env bash
# One would guess: A.sum(), A.max() and abs(A) of a CSR matrix leave the matrix as it is; and repeated
#   entries add up as A.sum(axis=1), A.mean() and products add them: 300 ones of int8 are 300.
# What happens: these three (and min, power, count_nonzero, linalg.norm) first merge repeated entries,
#   in place and in the data's own type. 300 ones of int8 become one entry of 44, the sum says 44
#   (even with dtype=float), and from then on every product says so, too. Where the arrays are
#   read-only, a memory map for example, the same calls raise ValueError.
# Version: scipy 1.17.1 with numpy 2.4.6; csr_array and csr_matrix alike.
# Source: _deduped_data in scipy/sparse/_data.py, through which these methods get at the entries,
#   calls sum_duplicates(), which works in place. Repeated entries are legal; which methods may merge
#   them is scipy's issue 5807, open since 2016.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
"$dir/venv/bin/python" -I - <<'PY'
import sys

import numpy as np
from scipy import sparse

failed = False


def expect(seen: object, expected: object, what: str) -> None:
    global failed
    print(f"{what}: {seen}")
    if seen != expected:
        print(f"this has changed: {what} was {expected}", file=sys.stderr)
        failed = True


def ones(kind: type, writeable: bool = True) -> "sparse.csr_array | sparse.csr_matrix":
    """Return one row that names its one column 300 times, with a 1 of int8 each time."""
    arrays = np.ones(300, np.int8), np.zeros(300, np.int32), np.array([0, 300], np.int32)
    for array in arrays:
        array.flags.writeable = writeable
    return kind(arrays, shape=(1, 1))


def times_one(matrix: "sparse.csr_array | sparse.csr_matrix") -> float:
    return float((matrix @ np.ones(1))[0])


READINGS = {"sum()": lambda A: A.sum(), "max()": lambda A: A.max(), "abs()": abs}
for kind in (sparse.csr_array, sparse.csr_matrix):
    for name, read in READINGS.items():
        matrix = ones(kind)
        before = times_one(matrix)
        read(matrix)
        after = (before, times_one(matrix), int(matrix.nnz))
        expect(after, (300.0, 44.0, 1), f"{kind.__name__} @ 1 before and after {name}, its entries")
        try:
            read(ones(kind, writeable=False))
            said = "nothing"
        except ValueError as error:
            said = str(error)
        expect("read-only" in said, True, f"{name} of read-only arrays complains of that")

expect(float(ones(sparse.csr_array).sum(dtype=float)), 44.0, "sum(dtype=float)")
expect(float(ones(sparse.csr_array).sum(axis=1)[0]), 300.0, "sum(axis=1)")
expect(float(ones(sparse.csr_array).mean()), 300.0, "mean()")
sys.exit(failed)
PY
