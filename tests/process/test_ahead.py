"""Threads that do things meanwhile lose neither an order nor an error."""

from __future__ import annotations

import pytest

from erasurehead.process.ahead import aside


def test_what_is_done_aside_is_done_in_order_when_the_block_ends() -> None:
    done: list[int] = []
    with aside() as let:
        for number in range(5):
            let(lambda number=number: done.append(number))  # type: ignore[misc]
    assert done == [0, 1, 2, 3, 4]


def test_an_error_aside_is_raised_when_the_block_ends() -> None:
    done: list[str] = []

    def fail() -> None:
        raise OSError("disk full")

    def both() -> None:
        with aside() as let:
            let(fail)
            let(lambda: done.append("after"))

    with pytest.raises(OSError, match="disk full"):
        both()
    assert done == ["after"]
