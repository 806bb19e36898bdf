"""What codes say of themselves beside their matrix, against the matrix."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from erasurehead.coding import CODES
from erasurehead.coding.base import GradientCode


def make(spec: str, k: int) -> GradientCode:
    return CODES.build(spec, k, None, np.random.default_rng(2), np.linspace(0.1, 0.5, k))


EVERY = [
    ("uncoded", 6),
    ("frc:c=2", 6),
    ("frc:c=3,groups=balanced", 6),
    ("coupon:c=2", 8),
    ("cyclic-repetition:s=2", 6),
    ("cyclic-mds:s=1", 6),
    ("cyclic-mds:s=2,field=complex", 6),
    ("reed-solomon:s=2", 6),
    ("heterogeneous:s=1", 6),
    ("partial:s=1,alpha=2", 6),
    ("bernoulli:c=2", 6),
    ("regularized-bernoulli:c=2", 6),
    ("stochastic-block:c=2", 6),
    ("regular:c=2", 6),
    ("pairwise-balanced:d=2", 6),
    ("expander:d=3", 6),
    ("graph:d=3", 9),
    ("design", 7),
    ("cyclic-sums:c=2", 6),
    ("hybrid-sums:c1=1,c2=1,groups=3", 6),
    ("osgc", 6),
    ("matched-cyclic:c=2", 6),
]


def decodes(code: GradientCode, slots: tuple[int, ...]) -> bool:
    symbols = [s for i in slots for part in range(code.n_parts) for s in code.symbols(i, part)]
    rows = code.matrix.toarray()[symbols]
    weights = np.linalg.lstsq(rows.T, np.ones(code.n_tasks), rcond=None)[0]
    return bool(np.mean((weights @ rows - 1.0) ** 2) < 1e-12)


def test_every_code_is_looked_at() -> None:
    assert {spec.partition(":")[0] for spec, _ in EVERY} == set(CODES)


@pytest.mark.parametrize(("spec", "k"), EVERY)
def test_groups_are_the_slots_with_the_same_symbol(spec: str, k: int) -> None:
    code = make(spec, k)
    if code.groups is None:
        assert code.unit_of_symbol.tolist() == list(range(code.n_symbols))
        assert code.n_units == k
        return
    dense, groups = code.matrix.toarray(), code.groups
    np.testing.assert_array_equal(dense, groups.of_symbol[:, None] == groups.of_task[None, :])
    assert code.unit_of_arrival.tolist() == groups.of_symbol.tolist()
    assert code.n_units == np.count_nonzero(groups.sizes)
    assert groups.sizes.sum() == k
    assert groups.block_sizes.sum() == code.n_tasks


@pytest.mark.parametrize(("spec", "k"), EVERY)
def test_what_is_said_of_fewer_arrivals_than_the_tolerance_asks_for(spec: str, k: int) -> None:
    """A code that says something decodes from any k - s arrivals; if it says that fewer never do,
    none of the sets with one less does."""
    code = make(spec, k)
    if code.fewer_suffice is None:
        return
    needed = k - code.tolerance
    assert all(decodes(code, slots) for slots in itertools.combinations(range(k), needed))
    if not code.fewer_suffice:
        fewer = itertools.combinations(range(k), needed - 1)
        assert not any(decodes(code, slots) for slots in fewer)


@pytest.mark.parametrize(("spec", "k"), EVERY)
def test_designs_and_graphs_are_what_they_say(spec: str, k: int) -> None:
    code = make(spec, k)
    dense = code.matrix.toarray()
    if code.shared_tasks is not None:
        shared = dense @ dense.T
        off_diagonal = shared[~np.eye(k, dtype=bool)]
        assert set(off_diagonal) == {float(code.shared_tasks)}
        assert len(set(np.diagonal(shared))) == 1
    if code.follows_graph:
        degree = int(code.loads[0])
        np.testing.assert_array_equal(dense, dense.T)
        assert not np.diagonal(dense).any()
        assert set(dense.ravel()) == {0.0, 1.0 / degree}
        assert code.loads.tolist() == [degree] * k
