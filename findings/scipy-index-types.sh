#!/usr/bin/env bash
# One would guess: a CSR matrix over arrays that are there takes them as they are, with copy=False at
#   least: int32 column indices beside int64 pointers, which many files have since pointers count all
#   entries. And check_format() checks.
# What happens: both index arrays must be of one type, so csr_array copies the indices to int64, twice
#   their memory, and csr_matrix copies the pointers to int32; neither says so, and copy=False changes
#   nothing. Assigned to the attributes, the arrays stay as they are and products work; the first
#   check_format(), or anything that calls it, then copies the indices to int64 after all.
# Version: scipy 1.17.1 with numpy 2.4.6.
# Source: _get_index_dtype in scipy/sparse/_base.py looks at the contents for csr_matrix only;
#   __init__ and check_format in _compressed.py convert to what it says.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
"$dir/venv/bin/python" -I - <<'PY'
import sys

import numpy as np
from scipy import sparse

data = np.ones(3)
indices = np.array([0, 2, 1], np.int32)
indptr = np.array([0, 2, 3], np.int64)
failed = False


def expect(matrix: "sparse.csr_array | sparse.csr_matrix", expected: str, what: str) -> None:
    global failed
    shared = [
        name
        for name, own, given in (
            ("data", matrix.data, data),
            ("indices", matrix.indices, indices),
            ("pointers", matrix.indptr, indptr),
        )
        if np.shares_memory(own, given)
    ]
    seen = f"indices {matrix.indices.dtype}, pointers {matrix.indptr.dtype}, shared: {shared}"
    print(f"{what}: {seen}")
    if seen != expected:
        print(f"this has changed: {what} had {expected}", file=sys.stderr)
        failed = True


wide = "indices int64, pointers int64, shared: ['data', 'pointers']"
narrow = "indices int32, pointers int32, shared: ['data', 'indices']"
given = (data, indices, indptr)
expect(sparse.csr_array(given, shape=(2, 3), copy=False), wide, "csr_array")
expect(sparse.csr_matrix(given, shape=(2, 3), copy=False), narrow, "csr_matrix")

assigned = sparse.csr_array((2, 3))
assigned.data, assigned.indices, assigned.indptr = given
assert (assigned @ np.ones(3)).tolist() == [2.0, 1.0]
all_shared = "indices int32, pointers int64, shared: ['data', 'indices', 'pointers']"
expect(assigned, all_shared, "csr_array by its attributes, after a product")
assigned.check_format()
expect(assigned, wide, "the same after check_format()")
sys.exit(failed)
PY
