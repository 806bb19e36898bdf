"""Fractional repetition whose slots send one task after another (`parts=tasks`)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erasurehead.coding import CODES
from erasurehead.coding.base import GradientCode
from erasurehead.errors import UsageError
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.text import parse
from tests.support.grouped import groups_of


def build(text: str, k: int, n: int | None = None, seed: int = 0) -> GradientCode:
    return CODES.build(text, k, n, np.random.default_rng(seed))


def orders(code: GradientCode) -> np.ndarray:
    """Return the tasks of each slot in the order in which it sends them, shape (k, parts)."""
    parts = range(code.n_parts)
    rows = [[code.row(code.symbols(i, p)[0])[0] for p in parts] for i in range(code.n_workers)]
    return np.array(rows)[..., 0]


@given(k=st.integers(1, 30), c=st.integers(1, 6), seed=st.integers(0, 20))
def test_each_slot_sends_each_task_of_its_block_once(k: int, c: int, seed: int) -> None:
    """Together a slot's parts are what it sends without the option, and n is made to fit."""
    c = min(c, k)
    code = build(f"frc:c={c},parts=tasks", k, seed=seed)
    whole = build(f"frc:c={c}", k, code.n_tasks, seed=seed)
    assert code.n_workers == whole.n_workers == k
    assert code.n_parts == c
    assert code.counts_parts == (c > 1)
    assert np.array_equal(code.loads, np.full(k, c))
    assert np.array_equal(code.replication, whole.replication)
    assert code.tolerance == whole.tolerance
    dense = code.matrix.toarray()
    assert set(np.count_nonzero(dense, axis=1)) == {1}
    assert np.array_equal(dense.reshape(k, c, -1).sum(axis=1), whole.matrix.toarray())
    assert code.n_units == code.n_tasks
    assert groups_of(code).sizes.tolist() == code.replication.tolist()


@given(k=st.integers(2, 30), c=st.integers(2, 6), seed=st.integers(0, 20))
def test_copies_begin_with_different_tasks_as_evenly_as_can_be(k: int, c: int, seed: int) -> None:
    """They go round the block from there. At each place, no task is sent by two copies more than
    another."""
    c = min(c, k)
    code = build(f"frc:c={c},parts=tasks", k, seed=seed)
    order = orders(code)
    for block in range(code.n_tasks // c):
        own = order[order[:, 0] // c == block] - c * block
        assert np.array_equal((own - own[:, :1]) % c, np.tile(np.arange(c), (len(own), 1)))
        for place in own.T:
            counts = np.bincount(place, minlength=c)
            assert np.ptp(counts) <= 1


def test_arrivals_are_numbered_slot_by_slot_and_part_by_part() -> None:
    code = build("frc:c=2,parts=tasks,groups=consecutive", 4)
    assert orders(code).tolist() == [[0, 1], [1, 0], [2, 3], [3, 2]]
    assert code.n_arrivals == 8
    assert code.unit_of_arrival.tolist() == [0, 1, 1, 0, 2, 3, 3, 2]
    assert code.arrival_of_symbol.tolist() == list(range(8))
    assert code.delay_shares.tolist() == [0.5, 0.5]


def test_whole_results_are_waited_for_at_once_and_numbered_by_slot() -> None:
    for text in ("uncoded", "partial:s=1,alpha=2", "cyclic-mds:s=2,field=complex"):
        code = build(text, 6)
        assert code.n_arrivals == 6
        assert sorted(set(code.arrival_of_symbol.tolist())) == list(range(6))
        assert code.delay_shares[0] == 1.0
        assert code.delay_shares.sum() == 1.0


@pytest.mark.parametrize(
    ("scheme", "k", "n", "words"),
    [
        ("frc:c=4,parts=tasks", 30, 30, "30 tasks do not make blocks of 4 .* use 32 tasks, or"),
        ("cached:parts=tasks", 30, 31, "31 tasks do not make blocks of 3 .* use 30 tasks, or"),
        ("frc:c=3,parts=tasks / least-squares / exact", 6, None, "weighs whole .* use first-copy"),
        ("frc:c=3,parts=tasks / fixed / fraction:r=2", 6, None, "weighs whole .* use first-copy"),
        (
            "frc:c=3,parts=tasks / first-copy:scale=unbiased / fraction:r=2",
            *(6, None, "how often whole results are late.* use scale=coverage, or scale=group"),
        ),
        (
            "frc:c=3,parts=tasks / first-copy:scale=group,p=0.2 / fraction:r=2",
            *(6, None, "how often whole results are late.* use scale=coverage, or scale=group"),
        ),
        ("cached:c=3,r=19,parts=tasks", 6, None, "of 6 workers with 3 results each; .* 1 to 18"),
        ("cached:delta=2,parts=tasks", 6, None, "a share of the 6 workers with 3 results each;"),
        (
            "frc:c=2,parts=tasks / first-copy / deadline:after_s=1,minimum=13",
            *(6, None, "minimum=13 arrivals do not fit 6 workers with 2 results each; .* 1 to 12"),
        ),
        ("cyclic-mds:s=1,parts=tasks", 6, None, "code 'cyclic-mds' has no option 'parts'"),
        ("frc:c=2,parts=task", 6, None, "give parts 'whole' or 'tasks'"),
    ],
)
def test_what_does_not_go_with_it_is_one_sentence(
    scheme: str, k: int, n: int | None, words: str
) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        Coding.of(parse(scheme), k, n)
    assert "\n" not in str(caught.value)


def test_a_tenth_of_all_tasks_closes_a_cached_round() -> None:
    stop = Coding.of(parse("cached:parts=tasks"), 30).begin().stop
    assert stop.arrivals == 9


def test_the_weight_of_coverage_has_no_bias_where_copies_are_alike() -> None:
    """Three copies of three tasks send each first, second and third once; of four, one is first
    more often."""
    text = "frc:c=3,parts=tasks / first-copy:scale=coverage / fraction:r=4"
    assert Coding.of(parse(text), 30).unbiased
    assert not Coding.of(parse(text.replace("c=3", "c=2")), 6, 4).unbiased
