"""Codes for unequal stragglers: the optimum against a solver, errors by enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.coding import CODES
from erasurehead.coding.allocation import (
    capped_row_sums,
    coefficients_for_support,
    interval_allocation,
    optimal_row_sums,
)
from erasurehead.coding.balance import balanced_groups
from erasurehead.errors import UsageError
from erasurehead.theory.decode_errors import (
    correlated_norm,
    group_error,
    independent_error,
    uniform_subset_error,
)

P = np.array([0.05, 0.1, 0.2, 0.4, 0.6])
P_TEXT = "0.05/0.1/0.2/0.4/0.6"


def alpha(spec: str, k: int = 5) -> FloatArray:
    dense: FloatArray = CODES.build(spec, k, None, np.random.default_rng(0)).matrix.toarray()
    return dense


def enumerated_error(contributions: FloatArray, p: FloatArray) -> float:
    """E||sum_i X_i v_i/(1-p_i) - g||^2 over all straggler patterns."""
    g, error = contributions.sum(axis=0), 0.0
    for pattern in itertools.product((0, 1), repeat=len(p)):
        here = np.array(pattern, dtype=bool)
        chance = np.prod(np.where(here, 1 - p, p))
        estimate = (contributions / (1 - p)[:, None])[here].sum(axis=0)
        error += chance * float(np.sum((estimate - g) ** 2))
    return error


def test_worked_optimum() -> None:
    """Y*, the least value and the interval code for k = n = 5."""
    row_sums, value = optimal_row_sums(P, 5)
    np.testing.assert_allclose(row_sums, [2.7805, 1.3171, 0.5854, 0.2195, 0.0976], atol=5e-5)
    assert value == pytest.approx(25 / 34.1667, abs=1e-6)
    expected = [
        [1, 1, 0.7805, 0, 0],
        [0, 0, 0.2195, 1, 0.0976],
        [0, 0, 0, 0, 0.5854],
        [0, 0, 0, 0, 0.2195],
        [0, 0, 0, 0, 0.0976],
    ]
    np.testing.assert_allclose(alpha(f"osgc:p={P_TEXT}"), expected, atol=5e-5)


@pytest.mark.parametrize("caps", [None, [5, 2, 1.5, 1.2, 1]])
def test_optimum_against_a_quadratic_program(caps: list[float] | None) -> None:
    """SLSQP on sum_i delta_i Y_i^2 subject to sum Y = n, 0 <= Y <= caps."""
    limits = np.full(5, 5.0) if caps is None else np.array(caps)
    delta = P / (1 - P)
    solved = minimize(
        lambda y: float(delta @ y**2),
        np.ones(5),
        jac=lambda y: 2 * delta * y,
        bounds=[(0, c) for c in limits],
        constraints={"type": "eq", "fun": lambda y: y.sum() - 5, "jac": lambda y: np.ones(5)},
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 500},
    )
    row_sums, value = capped_row_sums(P, 5, limits)
    assert value == pytest.approx(solved.fun, rel=1e-8)
    np.testing.assert_allclose(row_sums, solved.x, atol=1e-5)
    if caps is None:
        np.testing.assert_allclose(row_sums, optimal_row_sums(P, 5)[0])


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_optimum_against_a_quadratic_program(data: st.DataObject) -> None:
    """2 to 12 slots, probabilities and caps at random: the solver finds nothing less."""
    k = data.draw(st.integers(2, 12))
    n = data.draw(st.integers(1, 20))
    p = np.array(data.draw(st.lists(st.floats(0.02, 0.95), min_size=k, max_size=k)))
    room = np.array(data.draw(st.lists(st.floats(1.05, 4.0), min_size=k, max_size=k)))
    caps = room * n / k  # together more than n, each perhaps less than its unlimited share
    delta = p / (1 - p)
    solved = minimize(
        lambda y: float(delta @ y**2) / float(delta @ caps**2),
        caps * n / caps.sum(),
        jac=lambda y: 2 * delta * y / float(delta @ caps**2),
        bounds=[(0, cap) for cap in caps],
        constraints={"type": "eq", "fun": lambda y: y.sum() - n, "jac": lambda y: np.ones(k)},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    row_sums, value = capped_row_sums(p, n, caps)
    assert row_sums.sum() == pytest.approx(n)
    assert np.all((row_sums >= 0) & (row_sums <= caps * (1 + 1e-9)))
    assert value == pytest.approx(float(delta @ row_sums**2))
    assert value == pytest.approx(solved.fun * float(delta @ caps**2), rel=1e-5)


@pytest.mark.parametrize(
    ("cap", "value"), [(5, 0.7317), (2, 0.8039), (1.5, 1.0171), (1.2, 1.5004), (1, 2.5804)]
)
def test_value_of_capped_loads(cap: float, value: float) -> None:
    assert capped_row_sums(P, 5, np.full(5, float(cap)))[1] == pytest.approx(value, abs=5e-5)


@settings(deadline=None)
@given(
    st.lists(st.floats(0.001, 0.999), min_size=1, max_size=40),
    st.integers(1, 60),
)
def test_interval_code_is_a_non_negative_optimum(p: list[float], n: int) -> None:
    """Column sums 1, row sums Y*, at most n + k - 1 entries, at most floor(Y) + 2 a slot."""
    k = len(p)
    row_sums, _ = optimal_row_sums(np.array(p), n)
    rows = interval_allocation(row_sums, n)
    dense = np.zeros((k, n))
    for slot, (tasks, lengths) in enumerate(rows):
        dense[slot, tasks] = lengths
        assert len(tasks) <= np.floor(row_sums[slot]) + 2
        assert len(tasks) >= 1
    assert dense.min() >= 0
    np.testing.assert_allclose(dense.sum(axis=0), 1, atol=1e-9)
    np.testing.assert_allclose(dense.sum(axis=1), row_sums, atol=1e-9)
    assert sum(len(tasks) for tasks, _ in rows) <= n + k - 1


@settings(deadline=None)
@given(
    st.lists(st.floats(0.01, 0.99), min_size=2, max_size=20), st.integers(2, 30), st.integers(2, 9)
)
def test_max_load_is_kept(p: list[float], n: int, max_load: int) -> None:
    k = len(p)
    text = "/".join(map(str, p))
    if k * (max_load - 1) < n:
        with pytest.raises(UsageError, match=f"fewer than the {n}"):
            CODES.build(f"osgc:p={text},max_load={max_load}", k, n, np.random.default_rng(0))
        return
    code = CODES.build(f"osgc:p={text},max_load={max_load}", k, n, np.random.default_rng(0))
    assert code.loads.max() <= max_load
    np.testing.assert_allclose(code.matrix.sum(axis=0), 1, atol=1e-9)


def test_papers_schemes_go_negative() -> None:
    """Scheme I row 0 = [1.78, 1, ..], row 3 = [-.78, .., 1]; Scheme II row 1 = [0, -.78, 2.098]."""
    shared = alpha(f"osgc:p={P_TEXT},allocation=shared")
    np.testing.assert_allclose(shared[0], [1.7805, 1, 0, 0, 0], atol=5e-5)
    np.testing.assert_allclose(shared[3], [-0.7805, 0, 0, 0, 1], atol=5e-5)
    chain = alpha(f"osgc:p={P_TEXT},allocation=chain")
    np.testing.assert_allclose(chain[1], [0, -0.7805, 2.0976, 0, 0], atol=5e-5)
    for dense in (shared, chain):
        np.testing.assert_allclose(dense.sum(axis=0), 1, atol=1e-12)
        np.testing.assert_allclose(dense.sum(axis=1), optimal_row_sums(P, 5)[0], atol=1e-12)
        assert np.count_nonzero(dense) == 9


@pytest.mark.parametrize("allocation", ["shared", "chain"])
def test_nobody_holds_a_task_with_coefficient_zero(allocation: str) -> None:
    """With equal p both schemes have entries of exactly 0, at least on the first task."""
    code = CODES.build(f"osgc:p=0.5,allocation={allocation}", 12, None, np.random.default_rng(0))
    assert (code.matrix.data != 0).all()
    np.testing.assert_array_equal(code.loads, np.ones(12))
    np.testing.assert_array_equal(code.replication, np.ones(12))


@pytest.mark.parametrize("allocation", ["shared", "chain", "interval"])
@pytest.mark.parametrize(("k", "n"), [(4, 7), (7, 4), (6, 6), (3, 1)])
def test_allocations_fit_other_sizes(allocation: str, k: int, n: int) -> None:
    code = CODES.build(f"osgc:p=0.3,allocation={allocation}", k, n, np.random.default_rng(0))
    np.testing.assert_allclose(code.matrix.sum(axis=0), 1, atol=1e-12)


ERRORS = [
    # placement, all g_j equal, orthogonal g_j (unit norm)
    (f"osgc:p={P_TEXT},allocation=shared", 0.7317, 1.722),
    (f"osgc:p={P_TEXT},allocation=chain", 0.7317, 2.653),
    (f"osgc:p={P_TEXT}", 0.7317, 0.387),
    (f"matched-cyclic:c=5,p={P_TEXT}", 0.7317, 0.146),
    ("uncoded", 2.580, 2.580),
    ("pairwise", 2.580, 1.290),
    (f"matched-cyclic:c=2,p={P_TEXT}", 1.320, 0.807),
]


@pytest.mark.parametrize(("spec", "equal", "orthogonal"), ERRORS)
def test_errors_of_allocations_by_enumeration(spec: str, equal: float, orthogonal: float) -> None:
    if spec == "pairwise":
        weights = 0.5 * (np.eye(5) + np.roll(np.eye(5), 1, axis=1))
    else:
        weights = alpha(spec)
    for task_gradients, expected in ((np.ones((5, 1)), equal), (np.eye(5), orthogonal)):
        contributions = weights @ task_gradients
        error = enumerated_error(contributions, P)
        assert error == pytest.approx(expected, abs=6e-4)
        assert independent_error(contributions, P) == pytest.approx(error, rel=1e-12)


def test_error_of_counted_arrivals_by_enumeration() -> None:
    """Weights k/r on a uniform r-subset: the closed form over all subsets, and zero for equal
    messages."""
    v = np.random.default_rng(0).normal(size=(6, 3))
    g = v.sum(axis=0)
    for r in range(1, 7):
        found = np.mean(
            [
                np.sum((6 / r * v[list(some)].sum(axis=0) - g) ** 2)
                for some in itertools.combinations(range(6), r)
            ]
        )
        assert uniform_subset_error(v, r) == pytest.approx(found, abs=1e-12)
    assert uniform_subset_error(np.ones((6, 3)), 2) == 0.0


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.9])
def test_coefficients_for_a_support_are_optimal(correlation: float) -> None:
    """Against SLSQP over the coefficients of a cyclic placement of 2 copies."""
    gram = np.full((5, 5), correlation) + (1 - correlation) * np.eye(5)
    supports = [np.sort([i, (i + 1) % 5]) for i in range(5)]
    found, error = coefficients_for_support(supports, P, gram)
    where = np.array([(i, j) for i in range(5) for j in supports[i]])
    delta = P / (1 - P)

    def dense(x: FloatArray) -> FloatArray:
        matrix = np.zeros((5, 5))
        matrix[where[:, 0], where[:, 1]] = x
        return matrix

    def value(x: FloatArray) -> float:
        return float(np.sum(delta * np.einsum("ij,jk,ik->i", dense(x), gram, dense(x))))

    solved = minimize(
        value,
        np.full(10, 0.5),
        constraints={"type": "eq", "fun": lambda x: dense(x).sum(axis=0) - 1},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert error == pytest.approx(solved.fun, rel=1e-6)
    assert value(found[where[:, 0], where[:, 1]]) == pytest.approx(error, rel=1e-12)
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-12)
    if correlation == 0.0:
        weight = np.where(found != 0, (1 / delta)[:, None], 0.0)
        np.testing.assert_allclose(found, weight / weight.sum(axis=0), atol=1e-12)


def test_full_replication_is_optimal_for_every_correlation() -> None:
    supports = [np.arange(5)] * 5
    expected = (1 - P) / P / np.sum((1 - P) / P)
    for rho in (0.0, 0.5, 0.99):
        gram = np.full((5, 5), rho) + (1 - rho) * np.eye(5)
        found, _ = coefficients_for_support(supports, P, gram)
        np.testing.assert_allclose(found, np.tile(expected[:, None], 5), atol=1e-9)


def cost(p: FloatArray, group: list[int] | IntArray) -> float:
    erased = np.ones(max(int(g) for g in group) + 1)
    np.multiply.at(erased, np.asarray(group, dtype=int), p)
    return float(np.sum(erased / (1 - erased)))


def test_balanced_groups_example() -> None:
    """p = (.05, .1, .2, .3, .4, .6), pairs: {0,5}, {1,4}, {2,3}."""
    p = np.array([0.05, 0.1, 0.2, 0.3, 0.4, 0.6])
    group = balanced_groups(p, 3)
    assert group[0] == group[5]
    assert group[1] == group[4]
    assert group[2] == group[3]
    # Blocks of two orthogonal unit gradients: ||g[b]||^2 = 2; the naive groups are consecutive.
    sums: FloatArray = np.kron(np.eye(3), np.ones(2)).astype(np.float64)
    for groups, orthogonal in ((group, 0.273), (np.repeat(np.arange(3), 2), 0.769)):
        erased = np.ones(3)
        np.multiply.at(erased, groups, p)
        assert group_error(sums, erased) == pytest.approx(orthogonal, abs=5e-4)
    assert 2 * cost(p, group) * 2 == pytest.approx(0.546, abs=5e-4)


def pairings(slots: list[int]) -> list[list[tuple[int, int]]]:
    if not slots:
        return [[]]
    first, rest = slots[0], slots[1:]
    return [
        [(first, other), *more]
        for other in rest
        for more in pairings([x for x in rest if x != other])
    ]


def test_balanced_pairs_are_optimal() -> None:
    """Against all 105 pairings of 8 slots, in each of 200 random cases."""
    rng = np.random.default_rng(0)
    every = np.array(pairings(list(range(8))))
    assert every.shape == (105, 4, 2)
    for _ in range(200):
        p = rng.uniform(0.02, 0.95, 8)
        erased = p[every].prod(axis=2)
        best = float((erased / (1 - erased)).sum(axis=1).min())
        assert cost(p, balanced_groups(p, 4)) == pytest.approx(best, rel=1e-9)


def test_balanced_triples_are_nearly_optimal() -> None:
    """Against brute force over groups of 3 of 6 slots: within 17 %, typically equal."""
    rng = np.random.default_rng(1)
    ratios = []
    for _ in range(100):
        p = rng.uniform(0.02, 0.95, 6)
        best = min(
            cost(p, [0 if i in some else 1 for i in range(6)])
            for some in itertools.combinations(range(6), 3)
        )
        ratios.append(cost(p, balanced_groups(p, 2)) / best)
    assert max(ratios) < 1.17
    assert np.median(ratios) < 1.002


@settings(deadline=None)
@given(st.lists(st.floats(0.001, 0.999), min_size=1, max_size=30), st.integers(1, 30))
def test_balanced_groups_keep_their_sizes(p: list[float], n_groups: int) -> None:
    n_groups = min(n_groups, len(p))
    sizes = np.bincount(balanced_groups(np.array(p), n_groups), minlength=n_groups)
    assert sizes.max() - sizes.min() <= 1
    assert sizes.min() >= 1


@pytest.mark.parametrize(("k", "tau", "factor"), [(10, 1.1, 1.3), (10, 1.5, 1.3), (100, 1.5, 1.1)])
def test_balanced_repetition_beats_the_best_fixed_weights(
    k: int, tau: float, factor: float
) -> None:
    """Relative error at load 2, psi ~ U(.1, 2), p = exp(-psi (tau - 1)): debiased balanced groups
    are below the interval code for every correlation, and Schemes I and II far above both."""
    rng = np.random.default_rng(3)
    found: dict[tuple[str, float], list[float]] = {}
    for _ in range(20):
        p = np.clip(np.exp(-rng.uniform(0.1, 2, k) * (tau - 1)), 1e-4, 1 - 1e-4)
        text = "/".join(map(repr, p.tolist()))
        delta = p / (1 - p)
        group = balanced_groups(p, k // 2)
        erased = np.ones(k // 2)
        np.multiply.at(erased, group, p)
        codes = {
            name: alpha(f"osgc:p={text},allocation={name}", k)
            for name in ("interval", "shared", "chain")
        }
        for rho in (0.0, 0.1, 1.0):
            total = k + rho * k * (k - 1)
            for name, weights in codes.items():
                error = float(np.sum(delta * correlated_norm(weights, rho))) / total
                found.setdefault((name, rho), []).append(error)
            block = 2 + 2 * rho
            error = float(np.sum(erased / (1 - erased))) * block / total
            found.setdefault(("frc", rho), []).append(error)
    medians = {key: float(np.median(values)) for key, values in found.items()}
    for rho in (0.0, 0.1, 1.0):
        assert medians["frc", rho] < medians["interval", rho]
        if rho < 1:
            assert medians["interval", rho] * 2 < min(medians["shared", rho], medians["chain", rho])
    table = {(10, 1.1): (5.45, 4.36), (10, 1.5): (0.786, 0.580), (100, 1.5): (0.762, 0.539)}
    interval, frc = table[k, tau]
    assert interval / factor < medians["interval", 0.0] < interval * factor
    assert frc / factor < medians["frc", 0.0] < frc * factor


@pytest.mark.parametrize(
    ("k", "n", "max_load", "words"),
    [
        (12, 24, 1, ["max_load=1 leaves no room on a worker", "must be at least 3"]),
        (
            12,
            24,
            2,
            [
                "room for 12 tasks on 12 workers, fewer than the 24",
                "a share of 1 that begins inside a task reaches into 2",
                "at least max_load=3, 24 workers or at most 12 tasks",
            ],
        ),
        (4, 13, 3, ["room for 8 tasks", "at least max_load=5, 7 workers or at most 8 tasks"]),
    ],
)
def test_limits_that_are_too_tight_name_what_fits(
    k: int, n: int, max_load: int, words: list[str]
) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError) as caught:
        CODES.build(f"osgc:p=0.3,max_load={max_load}", k, n, rng)
    for word in words:
        assert word in str(caught.value)
    least = 1 - (-n // k)
    assert CODES.build(f"osgc:p=0.3,max_load={least}", k, n, rng).loads.max() <= least


def test_limits_of_single_workers_hold_all_tasks() -> None:
    with pytest.raises(UsageError, match="limits add up to 4 tasks, fewer than the 5 there are"):
        capped_row_sums(P, 5, np.array([1, 1, 1, 0.5, 0.5]))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("osgc", ["code 'osgc'", "p=0.3"]),
        ("osgc:p=0.3/0.4", ["2 numbers", "5 workers"]),
        ("osgc:p=0/.1/.1/.1/.1", ["probability 0 of worker 0", "between 0 and 1"]),
        ("osgc:p=1.2", ["probability 1.2"]),
        ("osgc:p=nan", ["probability nan"]),
        ("osgc:p=0.3,max_load=1", ["max_load=1", "must be at least 2"]),
        ("osgc:p=0.3,max_load=3,allocation=chain", ["allocation=interval"]),
        ("matched-cyclic:c=2", ["code 'matched-cyclic'"]),
        ("matched-cyclic:c=2,p=.3,correlation=1", ["correlation=1"]),
        ("frc:c=2,groups=balanced", ["groups=balanced"]),
    ],
)
def test_bad_probabilities_are_one_sentence(spec: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        alpha(spec)
    for word in words:
        assert word in str(caught.value)


def test_known_probabilities_are_used() -> None:
    """The context's probabilities serve as the option would."""
    rng = np.random.default_rng(0)
    code = CODES.build("osgc", 5, None, rng, P)
    np.testing.assert_allclose(code.matrix.toarray(), alpha(f"osgc:p={P_TEXT}"))
