#!/usr/bin/env bash
# One would guess: a CSR matrix that is kept as float32 or int8 to save memory saves it in products,
#   too: the loop reads a narrow entry and multiplies it with the vector's float64.
# What happens: there are loops for equal types only, so each product with a float64 vector first
#   casts all entries to a float64 temporary: 8 bytes an entry, on top of the matrix, every time. Only
#   a float32 vector with float32 entries is multiplied as it is, and then adds up in float32.
# Version: scipy 1.17.1 with numpy 2.4.6.
# Source: call_thunk in scipy/sparse/sparsetools/sparsetools.cxx finds one type for all arrays of
#   values, and casts those that have another.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
"$dir/venv/bin/python" -I - <<'PY'
import sys
import tracemalloc

import numpy as np
from scipy import sparse

ROWS, COLUMNS, IN_A_ROW = 2000, 1000, 500
ENTRIES = ROWS * IN_A_ROW
indices = np.random.default_rng(0).integers(0, COLUMNS, ENTRIES, dtype=np.int32)
indptr = np.arange(0, ENTRIES + 1, IN_A_ROW, dtype=np.int32)
failed = False


def expect(entries: str, vector: str, expected: int) -> None:
    """Print how many bytes an entry a product takes for a while, rounded."""
    global failed
    matrix = sparse.csr_array((np.ones(ENTRIES, entries), indices, indptr), shape=(ROWS, COLUMNS))
    other = np.ones(COLUMNS, vector)
    matrix @ other
    tracemalloc.start()
    result = matrix @ other
    seen = round(tracemalloc.get_traced_memory()[1] / ENTRIES)
    tracemalloc.stop()
    print(f"{entries} @ {vector} is {result.dtype}, with {seen} temporary bytes an entry")
    if seen != expected:
        print(f"this has changed: {expected} bytes were taken", file=sys.stderr)
        failed = True


expect("float64", "float64", 0)
expect("float32", "float64", 8)
expect("int8", "float64", 8)
expect("float32", "float32", 0)
expect("int8", "float32", 4)
sys.exit(failed)
PY
