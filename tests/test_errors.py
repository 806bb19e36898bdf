"""What a sentence quotes of somebody else's error."""

from __future__ import annotations

import errno

import pytest

from erasurehead.errors import reason_of


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "x.npy"), "No space left on device"),
        (OSError("12 requested and 0 written"), "12 requested and 0 written"),  # NumPy's
        (ValueError("two\n  lines"), "two lines"),
        (MemoryError(), "MemoryError"),
        (EOFError(), "EOFError"),
    ],
)
def test_a_reason_is_one_line_and_never_empty(error: Exception, expected: str) -> None:
    assert reason_of(error) == expected
