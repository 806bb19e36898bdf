"""Random, graph and design codes: structure by property, errors against the papers' tables."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from erasurehead.arrays import FloatArray
from erasurehead.coding import CODES
from erasurehead.coding.base import GradientCode
from erasurehead.coding.design import DIFFERENCE_SETS
from erasurehead.coding.graphs import adjacency, random_regular_graph, second_eigenvalue
from erasurehead.coding.layouts import balanced_random
from erasurehead.errors import UsageError
from erasurehead.registry import Spec
from erasurehead.theory.decode_errors import (
    bernoulli_one_step_error,
    expander_bound,
    repetition_errors,
)
from erasurehead.theory.loads import coupon_arrivals
from tests.support.grouped import groups_of


def make(spec: str, k: int, n: int | None = None, seed: int = 0) -> GradientCode:
    return CODES.build(spec, k, n, np.random.default_rng(seed))


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 30), st.integers(0, 9))
def test_balanced_random_placement(n: int, k: int, copies: int, seed: int) -> None:
    """Each task on `copies` different slots, loads equal to within one."""
    if copies > k:
        with pytest.raises(UsageError, match=f"{copies} copies"):
            balanced_random(n, k, copies, np.random.default_rng(seed))
        return
    placed = balanced_random(n, k, copies, np.random.default_rng(seed))
    counts = np.bincount(np.concatenate(placed), minlength=n)
    assert counts.tolist() == [copies] * n
    assert all(len(set(tasks.tolist())) == len(tasks) for tasks in placed)
    loads = [len(tasks) for tasks in placed]
    assert max(loads) - min(loads) <= 1


@pytest.mark.parametrize("degree", [23, 25, 27, 28, 29])
def test_dense_regular_graphs_are_drawn_as_complements(degree: int) -> None:
    matrix = adjacency(random_regular_graph(30, degree, np.random.default_rng(0)), 30)
    assert set(matrix.sum(axis=0)) == {degree}
    assert not matrix.diagonal().any()


@settings(deadline=None, max_examples=50)
@given(st.integers(4, 30), st.integers(2, 6), st.integers(0, 9))
def test_random_regular_graphs_are_simple_and_connected(n: int, degree: int, seed: int) -> None:
    if degree >= n or (n * degree) % 2:
        with pytest.raises(UsageError, match=f"{n} vertices of degree {degree}"):
            random_regular_graph(n, degree, np.random.default_rng(seed))
        return
    edges = random_regular_graph(n, degree, np.random.default_rng(seed))
    assert len({frozenset(edge) for edge in edges.tolist()}) == n * degree // 2
    assert np.all(edges[:, 0] != edges[:, 1])
    assert np.bincount(edges.ravel()).tolist() == [degree] * n
    # Connected: the eigenvalue d is simple. (-d also occurs, when bipartite.)
    adjacency = np.zeros((n, n))
    adjacency[edges[:, 0], edges[:, 1]] = adjacency[edges[:, 1], edges[:, 0]] = 1
    eigenvalues = np.linalg.eigvalsh(adjacency)
    assert np.sum(eigenvalues > degree - 1e-6) == 1


def errors(code: GradientCode, r: int, trials: int, rng: np.random.Generator) -> FloatArray:
    """(one-step, optimal) ||alpha - 1||^2 / k for random r-subsets, shape (trials, 2)."""
    A = code.matrix.toarray()
    k = code.n_workers
    weight = k * code.n_tasks / (r * A.sum())
    found = np.empty((trials, 2))
    for trial in range(trials):
        rows = A[rng.permutation(k)[:r]]
        solved = np.linalg.lstsq(rows.T, np.ones(k), rcond=None)[0]
        found[trial] = (
            np.sum((weight * rows.sum(axis=0) - 1) ** 2),
            np.sum((solved @ rows - 1) ** 2),
        )
    return found / k


TABLE = {
    "frc:c={}": {(3, 15): (0.309, 0.110), (3, 20): (0.153, 0.029), (5, 15): (0.181, 0.025)},
    "cyclic-sums:c={}": {(3, 15): (0.309, 0.146), (3, 20): (0.153, 0.052), (5, 15): (0.178, 0.052)},
    "regular:c={}": {(3, 15): (0.317, 0.174), (3, 20): (0.158, 0.069), (5, 15): (0.172, 0.093)},
    "bernoulli:c={}": {(3, 15): (0.591, 0.266), (3, 20): (0.454, 0.174), (5, 15): (0.338, 0.157)},
    "regularized-bernoulli:c={}": {
        (3, 15): (0.577, 0.278),
        (3, 20): (0.440, 0.179),
        (5, 15): (0.333, 0.162),
    },
    "stochastic-block:c={}": {(3, 15): (0.538, 0.246)},
}


@pytest.mark.parametrize(
    ("spec", "c", "r", "expected"),
    [(spec, c, r, e) for spec, cells in TABLE.items() for (c, r), e in cells.items()],
)
def test_decode_errors_at_k_30(spec: str, c: int, r: int, expected: tuple[float, float]) -> None:
    """E ||alpha - 1||^2 / k by Monte Carlo over codes and arrivals.

    Random entries: slots without a task get one here, so those errors are a little smaller."""
    rng = np.random.default_rng(5)
    found = np.concatenate(
        [errors(make(spec.format(c), 30, seed=seed), r, 8, rng) for seed in range(30)]
    )
    spread = found.std(axis=0) / np.sqrt(len(found))
    slack = 0.05 if spec.startswith(("bern", "regularized", "stoch")) else 0.004
    np.testing.assert_allclose(found.mean(axis=0), expected, atol=(4 * spread + slack).max())


def test_closed_forms_of_the_table() -> None:
    for (c, r), expected in TABLE["frc:c={}"].items():
        # The table's entries are means of 400 trials.
        assert repetition_errors(30, c, r) == pytest.approx(expected, abs=0.012)
    assert bernoulli_one_step_error(30, 3, 15) == pytest.approx(0.6, abs=1e-9)
    assert bernoulli_one_step_error(30, 5, 15) == pytest.approx(1 / 3, abs=1e-9)


def test_repetition_errors_by_enumeration() -> None:
    """n = k = 8, c = 2, r = 3: both closed forms over all 56 sets."""
    code = make("frc:c=2", 8)
    A = code.matrix.toarray()
    found = []
    for arrived in itertools.combinations(range(8), 3):
        rows = A[list(arrived)]
        solved = np.linalg.lstsq(rows.T, np.ones(8), rcond=None)[0]
        one_step = 8 / (3 * 2) * rows.sum(axis=0)
        found.append((np.sum((one_step - 1) ** 2), np.sum((solved @ rows - 1) ** 2)))
    assert tuple(np.mean(found, axis=0) / 8) == pytest.approx(repetition_errors(8, 2, 3))


def test_bernoulli_codes_have_the_expected_load() -> None:
    loads = np.concatenate([make("bernoulli:c=5", 40, seed=s).loads for s in range(20)])
    assert loads.mean() == pytest.approx(5, abs=0.3)
    assert loads.min() >= 1
    for seed in range(20):
        assert make("regularized-bernoulli:c=3", 40, seed=seed).loads.max() <= 6


def test_a_stochastic_block_code_without_outside_is_repetition() -> None:
    """Communities of 3 with entries only inside: the dense rows of fractional repetition."""
    code = make("stochastic-block:c=3,inside=1", 12)
    expected = make("frc:c=3,groups=consecutive", 12).matrix.toarray()
    np.testing.assert_array_equal(code.matrix.toarray(), expected)


def test_pairwise_balanced_columns_add_up_to_one() -> None:
    code = make("pairwise-balanced:d=3", 10, 25)
    np.testing.assert_allclose(code.matrix.sum(axis=0), 1.0)
    assert np.ptp(code.loads) <= 1


def test_regular_code_on_other_numbers_of_tasks() -> None:
    code = make("regular:c=4", 12, 6)
    assert code.loads.tolist() == [4] * 12
    assert code.replication.tolist() == [8] * 6


@pytest.mark.parametrize("stragglers", [5, 20])
def test_expander_bound_holds_for_every_sampled_set(stragglers: int) -> None:
    """k = 50, d = 4, weights k/(k-s): ||alpha - 1|| stays below the spectral bound."""
    code, rng = make("expander:d=4", 50), np.random.default_rng(0)
    A = code.matrix.toarray()
    edges = np.argwhere(np.triu(A) > 0)
    bound = expander_bound(second_eigenvalue(edges, 50), 4, 50, stragglers)
    worst = max(
        float(
            np.linalg.norm(
                50 / (50 - stragglers) * A[rng.permutation(50)[stragglers:]].sum(axis=0) - 1
            )
        )
        for _ in range(300)
    )
    assert 0.5 * bound < worst <= bound


def test_graph_code_holds_the_ends_of_edges() -> None:
    code = make("graph:d=3", 75)
    assert code.n_tasks == 50
    assert code.loads.tolist() == [2] * 75
    assert code.replication.tolist() == [3] * 50


@pytest.mark.parametrize("size", sorted(DIFFERENCE_SETS))
def test_any_two_slots_of_a_design_share_one_task(size: int) -> None:
    A = make("design", size).matrix.toarray()
    load = len(DIFFERENCE_SETS[size])
    assert size == (load - 1) ** 2 + load
    np.testing.assert_array_equal(A @ A.T, np.ones((size, size)) + (load - 1) * np.eye(size))
    assert A.sum(axis=0).tolist() == [load] * size


def test_coupon_collector_arrivals() -> None:
    """n = 100, c = 10: B H_B = 29.29 arrivals until every batch was seen."""
    assert coupon_arrivals(10) == pytest.approx(29.29, abs=0.005)
    waits = []
    for seed in range(400):
        code = make("coupon:c=10", 200, 100, seed)
        _, first = np.unique(groups_of(code).of_symbol, return_index=True)
        waits.append(first.max() + 1)
    assert np.mean(waits) == pytest.approx(29.29, abs=4 * np.std(waits) / 20)


def test_hybrid_placement_between_cyclic_and_repetition() -> None:
    """c1 = 0 is the cyclic placement; c1 = the group, c2 = 0 is repetition."""
    cyclic = make("cyclic-sums:c=3", 12).matrix.toarray()
    np.testing.assert_array_equal(
        make("hybrid-sums:c1=0,c2=3,groups=3", 12).matrix.toarray(), cyclic
    )
    repetition = make("frc:c=4,groups=consecutive", 12).matrix.toarray()
    hybrid = make("hybrid-sums:c1=4,c2=0,groups=3", 12).matrix.toarray()
    np.testing.assert_array_equal(hybrid, repetition)
    between = make("hybrid-sums:c1=2,c2=1,groups=3", 12)
    assert between.loads.tolist() == [3] * 12
    assert between.replication.tolist() == [3] * 12


ADVICE = re.compile(r"use inside=(?P<inside>[\d.]+)|or c=(?P<c>\d+)|that fits is (?P<fits>\d+)")


@pytest.mark.parametrize(
    ("spec", "k", "n", "words"),
    [
        ("bernoulli:c=0.5", 6, None, ["c=0.5", "6 tasks"]),
        ("stochastic-block:c=2,inside=0", 6, None, ["inside=0"]),
        (
            "stochastic-block:c=24",
            30,
            None,
            ["c=24", "30 of 30 tasks", "inside=0.5 a load of 15", "use inside=0.8 or c=20"],
        ),
        ("stochastic-block:c=1", 2, 5, ["inside=0.5 a load of 1.25", "use inside=0.33 or c=2"]),
        ("stochastic-block:c=0.2", 2, 5, ["c=0.2 of 5 tasks", "nearest c that fits is 2"]),
        ("stochastic-block:c=1", 1, 1, ["inside=0.5 a load of 0.5; use inside=1"]),
        ("stochastic-block:c=0", 1, 1, ["c=0 of 1 tasks", "c must be 1 to 1"]),
        ("regular:c=-1", 1, 2, ["c=-1 of 2 tasks", "nearest c that fits is 2"]),
        ("regular:c=1", 1, 2, ["c=1", "1 workers", "2 tasks", "nearest c that fits is 2"]),
        ("regular:c=0", 4, 6, ["c=0 of 6 tasks", "nearest c that fits is 3"]),
        ("regular:c=3", 7, 5, ["c=3", "7 workers", "5 tasks", "nearest c that fits is 5"]),
        ("pairwise-balanced:d=9", 6, None, ["9 copies", "6 workers"]),
        (
            "pairwise-balanced:d=1",
            10,
            2,
            ["2 tasks", "d=1", "10 workers", "at least 10 tasks or d=5"],
        ),
        ("expander:d=3", 7, None, ["'expander'", "7 workers", "d=3", "nearest d that fits is 2"]),
        ("expander:d=9", 6, None, ["6 workers", "d=9", "nearest d that fits is 5"]),
        ("frc:c=2,p=0.1", 6, None, ["p=0.1", "groups are shuffled", "groups=balanced"]),
        ("expander:d=3", 8, 9, ["9 tasks", "8 workers"]),
        ("graph:d=5", 12, None, ["d=5", "12 workers", "nearest d that fits is 4"]),
        ("graph:d=3", 12, 9, ["8 tasks", "12 workers", "9"]),
        ("graph:d=2", 2, None, ["2 workers are too few"]),
        ("design", 12, None, ["12", "7 and 13"]),
        ("coupon:c=0", 12, None, ["c=0", "12 tasks"]),
        ("cyclic-sums:c=13", 12, None, ["c=13", "12 tasks"]),
        ("hybrid-sums:c1=1,c2=1,groups=5", 12, None, ["5 groups", "12 workers", "4"]),
        ("hybrid-sums:c1=3,c2=3,groups=3", 12, None, ["c1=3 and c2=3", "groups of 4"]),
    ],
)
def test_misfits_name_both_sides(spec: str, k: int, n: int | None, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        make(spec, k, n)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(("k", "n"), [(1, 3), (2, 3), (2, 5), (3, 4), (4, 3), (7, 5), (6, 12)])
@pytest.mark.parametrize("name", ["regular", "stochastic-block", "stochastic-block:inside=1"])
def test_advised_loads_are_taken(name: str, k: int, n: int) -> None:
    """Whatever a message says to use is not refused in its turn."""
    name, _, inside = name.partition(":")
    tried = range(-1, n + 3) if name == "regular" else np.arange(-1, n + 2, 0.25)
    refused = 0
    for c in tried:
        given = {"c": f"{c}", "inside": inside.removeprefix("inside=")}
        given = {option: value for option, value in given.items() if value}
        try:
            CODES.build(Spec(name, given), k, n, np.random.default_rng(0))
        except UsageError as error:
            refused += 1
            for advice in ADVICE.finditer(str(error)):
                option = "inside" if advice["inside"] else "c"
                advised = given | {option: advice["inside"] or advice["c"] or advice["fits"]}
                CODES.build(Spec(name, advised), k, n, np.random.default_rng(0))
    assert refused
