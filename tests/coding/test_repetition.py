"""Uncoded and fractional repetition against the papers' definition and by property."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from erasurehead.coding import CODES
from erasurehead.coding.base import GradientCode
from erasurehead.errors import UsageError
from erasurehead.theory.decode_errors import repetition_errors
from tests.support.grouped import groups_of


def make(spec: str, k: int, n: int | None = None, seed: int = 0) -> GradientCode:
    return CODES.build(spec, k, n, np.random.default_rng(seed))


def test_consecutive_groups_are_the_papers_code() -> None:
    """n = k = 6, c = 2: three identical pairs of rows, each one on its own two tasks."""
    code = make("frc:c=2,groups=consecutive", 6)
    expected = np.kron(np.eye(3), np.ones((2, 2)))
    np.testing.assert_array_equal(code.matrix.toarray(), expected)
    assert code.tolerance == 1


def test_more_workers_than_tasks() -> None:
    """n = 6, k = 12, c = 2: three blocks, groups of l = kc/n = 4."""
    code = make("frc:c=2", 12, 6)
    assert groups_of(code).sizes.tolist() == [4, 4, 4]
    assert code.loads.tolist() == [2] * 12
    assert code.replication.tolist() == [4] * 6
    assert code.tolerance == 3


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 60), st.integers(1, 60), st.integers(0, 3))
def test_any_load_gives_balanced_blocks_and_groups(k: int, n: int, c: int, seed: int) -> None:
    """Sizes differ by at most one, rows are equal within a group, tasks are each held."""
    if c > n or int(n / c + 0.5) > k:
        with pytest.raises(UsageError, match=f"c={c}"):
            make(f"frc:c={c}", k, n, seed)
        return
    code = make(f"frc:c={c}", k, n, seed)
    assert groups_of(code).count == int(n / c + 0.5)
    for sizes in (groups_of(code).block_sizes, groups_of(code).sizes):
        assert sizes.min() >= 1
        assert sizes.max() - sizes.min() <= 1
    assert code.tolerance == groups_of(code).sizes.min() - 1
    dense = code.matrix.toarray()
    expected = groups_of(code).of_symbol[:, None] == groups_of(code).of_task[None, :]
    np.testing.assert_array_equal(dense, expected)


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 60))
def test_without_a_load_three_slots_answer_for_a_block(k: int, n: int) -> None:
    """As many as make groups of about three, and two groups of fewer where that makes one."""
    groups = groups_of(make("frc", k, n))
    assert groups.count == min(max(2, int(k / 3 + 0.5)), k, n)
    if n >= k >= 5:
        assert set(groups.sizes.tolist()) <= {2, 3, 4}
    if n == k >= 5:
        assert groups.block_sizes.tolist() == groups_of(make("frc:c=3", k)).block_sizes.tolist()


@pytest.mark.parametrize(("k", "n", "c"), [(6, None, 2), (7, None, 3), (9, 5, 2), (12, None, 4)])
def test_tolerance_is_exact_by_enumeration(k: int, n: int | None, c: int) -> None:
    """Every set of `tolerance` stragglers leaves all blocks; some set of one more does not."""
    code = make(f"frc:c={c}", k, n)

    def always_covered(stragglers: int) -> bool:
        return all(
            len(set(np.delete(groups_of(code).of_symbol, gone))) == groups_of(code).count
            for gone in itertools.combinations(range(k), stragglers)
        )

    assert always_covered(code.tolerance)
    assert not always_covered(code.tolerance + 1)


def unrecovered(code: GradientCode, arrived: list[int]) -> float:
    """||alpha - 1||^2 of the least-squares weights."""
    rows = code.matrix.toarray()[arrived]
    solved = np.linalg.lstsq(rows.T, np.ones(code.n_tasks), rcond=None)[0]
    return float(np.sum((solved @ rows - 1) ** 2))


@pytest.mark.parametrize(("k", "c"), [(4, 2), (6, 2), (8, 2), (6, 3), (9, 3), (8, 4), (10, 5)])
def test_an_adversary_erases_whole_blocks(k: int, c: int) -> None:
    """arXiv 1711.06771: of all sets of k - r stragglers, those are worst that hold (k-r)/c blocks
    alone, and leave an error of k - r tasks; stragglers too few for one more block erase none."""
    code = make(f"frc:c={c}", k)
    by_group = np.argsort(groups_of(code).of_symbol, kind="stable")
    for r in range(1, k):
        worst = max(
            unrecovered(code, list(arrived)) for arrived in itertools.combinations(range(k), r)
        )
        assert worst == pytest.approx((k - r) // c * c, abs=1e-9)
        assert unrecovered(code, by_group[k - r :].tolist()) == pytest.approx(worst, abs=1e-9)


@pytest.mark.parametrize(("c", "r"), [(2, 10), (3, 15), (3, 18), (3, 27), (5, 5), (5, 15), (6, 24)])
def test_an_adversary_of_thirty_workers(c: int, r: int) -> None:
    """k = 30: the (k-r)/c first groups gone leave an error of k - r; 100 random sets of as many
    stragglers never more, and k C(k-c, r)/C(k, r) on average, two thirds of it or less."""
    code, rng = make(f"frc:c={c}", 30), np.random.default_rng(0)
    gone = np.isin(groups_of(code).of_symbol, np.arange((30 - r) // c))
    assert gone.sum() == 30 - r
    assert unrecovered(code, np.flatnonzero(~gone).tolist()) == pytest.approx(30 - r, abs=1e-9)
    by_chance = [unrecovered(code, rng.permutation(30)[:r].tolist()) for _ in range(100)]
    assert max(by_chance) <= 30 - r + 1e-9
    expected = 30 * repetition_errors(30, c, r)[1]
    slack = 4 * float(np.std(by_chance)) / 10
    assert np.mean(by_chance) == pytest.approx(expected, abs=slack + 0.05)
    assert expected < (30 - r) * 2 / 3


def test_the_seed_decides_who_shares_a_group() -> None:
    one, again, other = (groups_of(make("frc:c=3", 30, seed=s)).of_symbol for s in (1, 1, 2))
    assert one.tolist() == again.tolist()
    assert one.tolist() != other.tolist()


def test_uncoded_spreads_tasks_over_slots() -> None:
    code = make("uncoded", 4, 10)
    assert code.loads.tolist() == [3, 3, 2, 2]
    assert code.replication.tolist() == [1] * 10
    assert code.tolerance == 0
    assert code.tasks_of(1).tolist() == [3, 4, 5]


@pytest.mark.parametrize(
    ("spec", "k", "n", "words"),
    [
        ("uncoded", 5, 4, ["4 tasks", "5 uncoded workers"]),
        ("frc:c=0", 6, None, ["c=0", "1 to 6"]),
        ("frc:c=7", 6, None, ["c=7", "6 tasks", "1 to 6"]),
        ("frc:c=1", 3, 12, ["c=1", "12 tasks", "3 workers", "nearest c that fits is 4"]),
    ],
)
def test_impossible_sizes_are_one_sentence(
    spec: str, k: int, n: int | None, words: list[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        make(spec, k, n)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
