"""Every training row is in exactly one task, and tasks are equally large."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erasurehead.datasets.tasks import task_ranges
from erasurehead.errors import UsageError


@given(st.integers(1, 200), st.data())
def test_tasks_partition_the_rows_evenly(n_rows: int, data: st.DataObject) -> None:
    n_tasks = data.draw(st.integers(1, n_rows))
    ranges = task_ranges(n_rows, n_tasks)
    assert [row for lo, hi in ranges for row in range(lo, hi)] == list(range(n_rows))
    assert len(ranges) == n_tasks
    assert {hi - lo for lo, hi in ranges} <= {n_rows // n_tasks, -(-n_rows // n_tasks)}


def test_more_tasks_than_rows() -> None:
    with pytest.raises(
        UsageError, match=r"^8 tasks cannot be cut from 7 training rows.* give --workers 7 or fewer"
    ):
        task_ranges(7, 8)
