"""A coverage-guided search for bytes that decoding does not survive, for some seconds.

``FUZZ_SECONDS=600 pytest tests/faults/test_fuzz.py`` searches for ten minutes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[2] / "benchmarks" / "fuzz.py"
SECONDS = int(os.environ.get("FUZZ_SECONDS", "10"))


@pytest.mark.timeout(SECONDS + 120)
def test_no_bytes_break_decoding() -> None:
    pytest.importorskip("atheris", reason="atheris is not installed here")
    done = subprocess.run(
        [sys.executable, str(FUZZ), "--seconds", str(SECONDS)],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = dict(re.findall(r"stat::(\w+): +(\d+)", done.stderr))
    assert int(told["number_of_executed_units"]) > 0
    # It is guided: inputs that reach new code have been found, so the decoder is instrumented.
    assert int(told["new_units_added"]) > 0
