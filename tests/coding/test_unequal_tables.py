"""Errors for unequal stragglers: whole tables, for correlated and for centred task gradients."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead.arrays import FloatArray
from erasurehead.coding import CODES
from erasurehead.coding.allocation import capped_row_sums, optimal_row_sums
from erasurehead.coding.balance import balanced_groups
from erasurehead.theory.decode_errors import correlated_norm, independent_error

P = np.array([0.05, 0.1, 0.2, 0.4, 0.6])
P_TEXT = "0.05/0.1/0.2/0.4/0.6"
CORRELATIONS = (0.0, 0.1, 0.5, 1.0)


def weights(spec: str, k: int, p: FloatArray) -> FloatArray:
    """The code's matrix for these probabilities, columns adding up to 1."""
    if spec == "two cyclic copies":
        return 0.5 * (np.eye(k) + np.roll(np.eye(k), 1, axis=1))
    code = CODES.build(spec, k, None, np.random.default_rng(0), p)
    dense: FloatArray = code.matrix.toarray()
    return dense


CENTRED = [
    # placement, non-zeros, error for one draw of centred gradients
    ("osgc:allocation=shared", 9, 1.512),
    ("osgc:allocation=chain", 9, 2.545),
    ("osgc", 9, 0.226),
    (f"matched-cyclic:c=5,p={P_TEXT}", 25, 0.0),
    ("uncoded", 5, 2.017),
    ("two cyclic copies", 10, 0.705),
    (f"matched-cyclic:c=2,p={P_TEXT}", 10, 0.513),
]


@pytest.mark.parametrize(("spec", "entries", "one_draw"), CENTRED)
def test_error_for_centred_gradients(spec: str, entries: int, one_draw: float) -> None:
    """k = n = 5, random unit vectors in R^200 minus their mean, so sum_j g_j = 0.

    Their Gram matrix is I - 11^T/5 on average, which gives the mean error in closed form; the
    tabled draw is one of those that occur."""
    alpha = weights(spec, 5, P)
    assert np.count_nonzero(np.abs(alpha) > 1e-12) == entries
    rng, found = np.random.default_rng(0), []
    for _ in range(400):
        g = rng.normal(size=(5, 200))
        g /= np.linalg.norm(g, axis=1)[:, None]
        found.append(independent_error(alpha @ (g - g.mean(axis=0)), P))
    expected = float(P / (1 - P) @ (np.sum(alpha**2, axis=1) - alpha.sum(axis=1) ** 2 / 5))
    assert np.mean(found) == pytest.approx(expected, rel=0.01, abs=1e-12)
    assert min(found) - 1e-3 <= one_draw <= max(found) + 1e-3


def test_least_bound_to_eight_digits() -> None:
    """What a solver returns for the relaxed problem, 0.73170732 = 25/Delta."""
    assert optimal_row_sums(P, 5)[1] == pytest.approx(0.73170732, abs=5e-9)
    assert capped_row_sums(P, 5, np.full(5, 5.0))[1] == pytest.approx(0.73170732, abs=5e-9)


def relative(alpha: FloatArray, p: FloatArray) -> list[float]:
    """E||g_hat - g||^2 / ||g||^2 of fixed unbiased weights for each correlation."""
    k = alpha.shape[1]
    return [
        float(np.sum(p / (1 - p) * correlated_norm(alpha, rho))) / (k + rho * k * (k - 1))
        for rho in CORRELATIONS
    ]


def relative_of_pairs(group: FloatArray, p: FloatArray, *, debiased: bool) -> list[float]:
    """The same for first copies of pairs: weights 1/(1-q_b), or 1 with the bias counted."""
    k = len(p)
    q = np.ones(k // 2)
    np.multiply.at(q, group.astype(int), p)
    errors = []
    for rho in CORRELATIONS:
        block = 2 + 2 * rho
        if debiased:
            error = block * float(np.sum(q / (1 - q)))
        else:
            lost = np.repeat(q, 2)
            bias = (1 - rho) * float(lost @ lost) + rho * float(lost.sum()) ** 2
            error = block * float(np.sum(q * (1 - q))) + bias
        errors.append(error / (k + rho * k * (k - 1)))
    return errors


def placed_by_chance(k: int, rng: np.random.Generator) -> FloatArray:
    """Two copies of each task on any two slots (arXiv 1905.05383), coefficients 1/2."""
    alpha = np.zeros((k, k))
    for task in range(k):
        alpha[rng.permutation(k)[:2], task] = 0.5
    return alpha


TABLE = {
    (10, 1.1): {
        "shared": (19.2, 9.6, 2.66, 0.897),
        "chain": (17.2, 8.7, 2.43, 0.897),
        "interval": (5.45, 3.05, 1.31, 0.897),
        "chance": (7.19, 4.39, 2.32, 1.87),
        "balanced": (4.36, 2.53, 1.19, 0.873),
        "unscaled": (0.815, 0.751, 0.705, 0.694),
    },
    (10, 1.5): {
        "shared": (3.13, 1.56, 0.429, 0.137),
        "chain": (3.29, 1.64, 0.425, 0.137),
        "interval": (0.786, 0.449, 0.197, 0.137),
        "balanced": (0.580, 0.336, 0.158, 0.116),
    },
    (100, 1.5): {
        "shared": (4.0, 0.346, 0.054, 0.0133),
        "chain": (30, 2.51, 0.312, 0.0133),
        "interval": (0.762, 0.075, 0.0208, 0.0133),
        "balanced": (0.539, 0.054, 0.0160, 0.0108),
        "unscaled": (0.377, 0.166, 0.149, 0.147),
    },
    (100, 3.0): {
        "interval": (0.0358, 0.0037, 0.0011, 0.00077),
        "balanced": (0.0154, 0.0016, 0.0005, 0.00031),
    },
}
"""Medians of 60 draws, for correlations 0, .1, .5, 1."""


@pytest.mark.parametrize(("k", "tau"), TABLE)
def test_table_of_relative_errors_at_equal_load(k: int, tau: float) -> None:
    """psi ~ U(.1, 2), p = exp(-psi (tau - 1)), some two tasks a slot: every cell of the table.

    The medians agree to what 60 draws scatter; negative coefficients, which the chain even adds up,
    make errors heavy-tailed. Balanced and debiased pairs are best of all unbiased ones."""
    rng, table = np.random.default_rng(3), TABLE[k, tau]
    found: dict[str, list[list[float]]] = {name: [] for name in table}
    for _ in range(300 if k == 10 else 40):
        p = np.clip(np.exp(-rng.uniform(0.1, 2, k) * (tau - 1)), 1e-4, 1 - 1e-4)
        for name in table:
            if name == "balanced":
                group = balanced_groups(p, k // 2).astype(np.float64)
                found[name].append(relative_of_pairs(group, p, debiased=True))
            elif name == "unscaled":
                group = np.repeat(np.arange(k // 2), 2).astype(np.float64)
                found[name].append(relative_of_pairs(group, p, debiased=False))
            elif name == "chance":
                found[name].append(relative(placed_by_chance(k, rng), p))
            else:
                found[name].append(relative(weights(f"osgc:allocation={name}", k, p), p))
    medians = {name: np.median(rows, axis=0) for name, rows in found.items()}
    for name, expected in table.items():
        wide = {"chain": 0.6 if k == 100 else 0.3, "shared": 0.3}.get(name, 0.15)
        half_a_digit = 5e-5 if tau == 3.0 else 0.0
        np.testing.assert_allclose(
            medians[name][:3], expected[:3], rtol=wide, atol=half_a_digit, err_msg=name
        )
        np.testing.assert_allclose(medians[name][3], expected[3], rtol=0.1, err_msg=name)
    for name in set(table) - {"balanced", "unscaled"}:
        assert np.all(medians["balanced"] < medians[name])


def test_evenly_loaded_pairs_beat_pairs_by_chance() -> None:
    """`pairwise-balanced` keeps loads equal, which chance alone does not: it counts when gradients
    are correlated."""
    rng = np.random.default_rng(4)
    even, chance = [], []
    for _ in range(200):
        p = np.exp(-rng.uniform(0.1, 2, 10) * 0.1)
        even.append(relative(weights("pairwise-balanced:d=2", 10, p), p))
        chance.append(relative(placed_by_chance(10, rng), p))
    gain = np.median(chance, axis=0) / np.median(even, axis=0)
    assert gain[2] > 1.1
    assert gain[3] > 1.2


def test_bound_of_aligned_gradients_for_six_workers() -> None:
    """p = (.05, .1, .2, .3, .4, .6): the least value of fixed weights is .986."""
    p = np.array([0.05, 0.1, 0.2, 0.3, 0.4, 0.6])
    assert optimal_row_sums(p, 6)[1] == pytest.approx(0.986, abs=5e-4)
