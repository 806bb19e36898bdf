"""How far exact codes are from exact in floating point: the published sizes, in 300 straggler sets.

Largest values over sampled sets scatter by the sample, and random codes by the draw, so the
columns are checked to an order of magnitude (two for random coefficients).
"""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead.coding import CODES
from erasurehead.coding.base import FloatArray
from erasurehead.coding.graphs import second_eigenvalue
from erasurehead.coding.reed_solomon import evaluation_matrix
from erasurehead.theory.decode_errors import expander_bound


def worst(spec: str, k: int, s: int) -> tuple[float, float, float]:
    """max |alpha - 1|, max |w| and max_j sum_i |w_i a_ij| with least-squares weights."""
    code, rng = CODES.build(spec, k, None, np.random.default_rng(0)), np.random.default_rng(1)
    dense: FloatArray = code.matrix.toarray()
    found = np.zeros((300, 3))
    for trial in range(300):
        slots = rng.permutation(k)[s:].tolist()
        rows = dense[[symbol for slot in slots for symbol in code.symbols(slot, 0)]]
        w = np.linalg.lstsq(rows.T, np.ones(k), rcond=None)[0]
        found[trial] = (
            np.abs(w @ rows - 1).max(),
            np.abs(w).max(),
            (np.abs(w) @ np.abs(rows)).max(),
        )
    error, weight, amplification = found.max(axis=0).tolist()
    return error, weight, amplification


@pytest.mark.parametrize(
    ("k", "s", "random", "random_weight", "real", "real_weight", "real_amplification", "complex_"),
    [
        (12, 3, 9e-11, 1e5, 1e-14, 4, 27, 4e-14),
        (30, 5, 2e-10, 7e4, 3e-13, 26, 1.5e3, 8e-12),
        (30, 9, 1e-10, 3e5, 1e-12, 14, 2.2e4, 9e-11),
        (50, 5, 9e-10, 6e5, 7e-12, 440, None, 1e-10),
    ],
)
def test_stability_of_cyclic_and_reed_solomon_codes(
    k: int,
    s: int,
    random: float,
    random_weight: float,
    real: float,
    real_weight: float,
    real_amplification: float | None,
    complex_: float,
) -> None:
    error, weight, _ = worst(f"cyclic-repetition:s={s}", k, s)
    assert error < 100 * random
    assert random_weight / 100 < weight < 100 * random_weight
    error, weight, amplification = worst(f"cyclic-mds:s={s}", k, s)
    assert error < 10 * real
    assert real_weight / 10 < weight < 10 * real_weight
    if real_amplification is not None:
        assert real_amplification / 10 < amplification < 10 * real_amplification
    for spec in (f"cyclic-mds:s={s},field=complex", f"reed-solomon:s={s}"):
        assert worst(spec, k, s)[0] < 10 * complex_


def test_real_nodes_and_random_combinations_are_worse() -> None:
    """k = 30, s = 5: Reed-Solomon on Chebyshev nodes errs by some 1e-7, nodes of unity by 1e-11."""
    chebyshev = worst("reed-solomon:s=5,nodes=chebyshev", 30, 5)[0]
    assert 9e-9 < chebyshev < 9e-7
    assert worst("reed-solomon:s=5", 30, 5)[0] < chebyshev / 1e3


def test_least_squares_tames_random_combinations() -> None:
    """k = 30, s = 5, speeds 1, 2, 3 in turn: least-norm weights magnify rounding by less than 100
    in 300 sets, those of the paper, x^T C / x^T 1 with x^T C = 0 on the stragglers, by 1e3 and
    more in some."""
    speeds = np.tile([1.0, 2.0, 3.0], 10)
    text = "/".join(f"{speed:g}" for speed in speeds)
    assert 2 < worst(f"heterogeneous:s=5,speeds={text}", 30, 5)[2] < 100
    code = CODES.build(f"heterogeneous:s=5,speeds={text}", 30, None, np.random.default_rng(0))
    dense: FloatArray = code.matrix.toarray()
    C = np.random.default_rng(0).standard_normal((6, 30))
    np.testing.assert_allclose(C @ dense, 1.0, atol=1e-8)  # the very draw of the code
    rng, largest = np.random.default_rng(1), 0.0
    for _ in range(300):
        late = rng.permutation(30)[:5]
        x = np.linalg.svd(C[:, late].T)[2][-1]
        w = x @ C / x.sum()
        w[late] = 0.0
        assert np.abs(w @ dense - 1).max() < 1e-6
        largest = max(largest, float((np.abs(w) @ np.abs(dense)).max()))
    assert largest > 1e3


@pytest.mark.parametrize(
    ("stragglers", "bound", "one_weight", "optimal"),
    [(5, 2.03, 1.42, 0.75), (20, 4.97, 3.73, 2.77)],
)
def test_expander_table(stragglers: int, bound: float, one_weight: float, optimal: float) -> None:
    """k = 50, d = 4: bound, worst of 300 sets with weights k/(k-s), and with optimal weights.

    Another random graph has another second eigenvalue, and the worst set is a matter of luck."""
    A = CODES.build("expander:d=4", 50, None, np.random.default_rng(3)).matrix.toarray()
    rng, found = np.random.default_rng(0), []
    for _ in range(300):
        rows = A[rng.permutation(50)[stragglers:]]
        scaled = 50 / (50 - stragglers) * rows.sum(axis=0)
        solved = np.linalg.lstsq(rows.T, np.ones(50), rcond=None)[0] @ rows
        found.append((np.linalg.norm(scaled - 1), np.linalg.norm(solved - 1)))
    worst_scaled, worst_solved = np.max(found, axis=0)
    eigenvalue = second_eigenvalue(np.argwhere(np.triu(A) > 0), 50)
    assert expander_bound(eigenvalue, 4, 50, stragglers) == pytest.approx(bound, rel=0.06)
    assert worst_scaled == pytest.approx(one_weight, rel=0.12)
    assert worst_solved == pytest.approx(optimal, rel=0.12)


@pytest.mark.parametrize(("k", "s", "gain"), [(30, 2, 2.0), (30, 5, 3.0), (30, 9, 3.0)])
def test_least_squares_magnifies_rounding_less_than_lagrange(k: int, s: int, gain: float) -> None:
    """Reed-Solomon on roots of unity: both decode every sampled set; the least-norm weights of the
    real and imaginary parts magnify the rounding of float32 messages `gain` times less or better,
    on all sets alike, than a_i = 1 / prod (x_i - x_m) does. Real nodes leave no choice of weights.
    """
    rng = np.random.default_rng(0)
    code = CODES.build(f"reed-solomon:s={s}", k, None, rng)
    dense: FloatArray = code.matrix.toarray()
    points = np.exp(2j * np.pi * np.arange(k) / k)
    holders = [np.sort((task + np.arange(s + 1)) % k) for task in range(k)]
    largest = np.abs(evaluation_matrix(points, holders)).max(axis=1)
    g = rng.normal(size=(k, 40))
    sent = (dense @ g).astype(np.float32).astype(np.float64)
    magnified, rounded = [], []
    for _ in range(60):
        slots = np.sort(rng.permutation(k)[s:])
        between = points[slots][:, None] - points[slots][None, :]
        np.fill_diagonal(between, 1.0)
        lagrange = largest[slots] / np.prod(between, axis=1)
        rows = np.array([symbol for slot in slots for symbol in code.symbols(int(slot), 0)])
        solved = np.linalg.lstsq(dense[rows].T, np.ones(k), rcond=None)[0]
        for w in (np.column_stack([lagrange.real, -lagrange.imag]).ravel(), solved):
            assert np.abs(w @ dense[rows] - 1).max() < 1e-9
            magnified.append((np.abs(w) @ np.abs(dense[rows])).max())
            rounded.append(np.linalg.norm(w @ sent[rows] - g.sum(axis=0)))
    by_lagrange, by_solving = np.array(magnified).reshape(-1, 2).T
    assert np.all(by_solving < by_lagrange)
    assert np.median(by_lagrange / by_solving) > gain
    by_lagrange, by_solving = np.array(rounded).reshape(-1, 2).T
    assert np.median(by_solving) < np.median(by_lagrange)
