"""Codes that promise exact decoding: every tolerated straggler set, and the papers' examples."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from erasurehead.arrays import FloatArray
from erasurehead.coding import CODES
from erasurehead.coding.base import GradientCode, code_from_rows
from erasurehead.coding.frc import least_load
from erasurehead.coding.heterogeneous import copies_by_speed
from erasurehead.coding.reed_solomon import evaluation_matrix
from erasurehead.decoding import DECODERS
from erasurehead.decoding.base import DecoderContext
from erasurehead.errors import UsageError


def make(spec: str, k: int, n: int | None = None, seed: int = 0) -> GradientCode:
    return CODES.build(spec, k, n, np.random.default_rng(seed))


def rows_of(code: GradientCode, slots: list[int]) -> FloatArray:
    """The dense rows that the given slots send."""
    symbols = [s for i in slots for m in range(code.n_parts) for s in code.symbols(i, m)]
    dense: FloatArray = code.matrix.toarray()[symbols]
    return dense


def least_squares(rows: FloatArray) -> tuple[FloatArray, float]:
    """Weights of least norm, and the largest deviation of a task weight from 1."""
    solved = np.linalg.lstsq(rows.T, np.ones(rows.shape[1]), rcond=None)[0]
    weights: FloatArray = np.asarray(solved, dtype=np.float64)
    return weights, float(np.abs(weights @ rows - 1).max())


EXACT = [
    ("cyclic-repetition:s=0", 5, None),
    ("cyclic-repetition:s=2", 7, None),
    ("cyclic-repetition:s=3", 12, None),
    ("cyclic-mds:s=2", 9, None),
    ("cyclic-mds:s=3", 12, None),
    ("cyclic-mds:s=0", 6, None),
    ("cyclic-mds:s=2,field=complex", 10, None),
    ("reed-solomon:s=2", 6, 10),
    ("reed-solomon:s=3", 12, None),
    ("reed-solomon:s=1,nodes=chebyshev", 8, 5),
    ("heterogeneous:s=1,speeds=1/1/2/2/3/3", 6, 12),
    ("heterogeneous:s=2", 8, 5),
    ("frc:c=3", 12, None),
    ("frc:c=3", 11, 13),
]


@pytest.mark.parametrize(("spec", "k", "n"), EXACT)
def test_every_tolerated_straggler_set_decodes(spec: str, k: int, n: int | None) -> None:
    code = make(spec, k, n)
    asked = [p for p in spec.replace(":", ",").split(",") if p.startswith("s=")]
    if asked:
        assert code.tolerance == int(asked[0][2:])
    for gone in itertools.combinations(range(k), code.tolerance):
        _, deviation = least_squares(rows_of(code, [i for i in range(k) if i not in gone]))
        assert deviation < 1e-7


@pytest.mark.parametrize("spec", ["cyclic-repetition:s=2", "cyclic-mds:s=2"])
def test_cyclic_placements_do_not_decode_earlier(spec: str) -> None:
    """One arrival fewer than k - s leaves a residual, for every set."""
    code = make(spec, 7)
    for some in itertools.combinations(range(7), 4):
        assert least_squares(rows_of(code, list(some)))[1] > 1e-6


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_random_sizes_decode_after_random_stragglers(data: st.DataObject) -> None:
    family = data.draw(st.sampled_from(["cyclic-mds", "reed-solomon", "heterogeneous"]))
    k = data.draw(st.integers(2, 24))
    s = data.draw(st.integers(0, min(k - 1, 5)))
    n = None if family == "cyclic-mds" else data.draw(st.integers(k, 30))
    if family == "cyclic-mds" and s and (k + s) % 2 == 0:
        with pytest.raises(UsageError, match=rf"{k} workers and s={s}"):
            make(f"cyclic-mds:s={s}", k)
        return
    code = make(f"{family}:s={s}", k, n)
    gone = data.draw(st.lists(st.integers(0, k - 1), max_size=s, unique=True))
    _, deviation = least_squares(rows_of(code, [i for i in range(k) if i not in gone]))
    assert deviation < 1e-6
    assert code.replication.tolist() == [s + 1] * code.n_tasks
    if family != "heterogeneous":
        assert np.ptp(code.loads) <= 1


def test_three_worker_example() -> None:
    """arXiv 1612.03301, Figure 2: weights of the three pairs."""
    matrix = np.array([[0.5, 1, 0], [0, 1, -1], [0.5, 0, 1]])
    rows = [(np.flatnonzero(r), r[r != 0]) for r in matrix]
    code = code_from_rows("example", rows, 3, n_workers=3, tolerance=1)
    for arrived, weights in (([0, 1], (2, -1)), ([0, 2], (1, 1)), ([1, 2], (1, 2))):
        np.testing.assert_allclose(least_squares(rows_of(code, arrived))[0], weights, atol=1e-14)


def test_cyclic_mds_example() -> None:
    """k = 5, s = 2: the row is (1, golden ratio, 1, 0, 0); R = {0, 2, 3} decodes with
    (.618, .382, .382)."""
    code = make("cyclic-mds:s=2", 5)
    golden = (1 + np.sqrt(5)) / 2
    np.testing.assert_allclose(code.matrix.toarray()[0], [1, golden, 1, 0, 0], atol=1e-14)
    weights, _ = least_squares(rows_of(code, [0, 2, 3]))
    np.testing.assert_allclose(weights, [golden - 1, 2 - golden, 2 - golden], atol=1e-13)


def test_reed_solomon_decodes_by_lagrange_coefficients() -> None:
    """n = 10, k = 6, s = 2, holders the first ten 3-subsets: a_i = 1 / prod (x_i - x_m)."""
    points = np.exp(2j * np.pi * np.arange(6) / 6)
    holders = [np.array(c) for c in itertools.islice(itertools.combinations(range(6), 3), 10)]
    B = evaluation_matrix(points, holders)
    for arrived in itertools.combinations(range(6), 4):
        a = [1 / np.prod([points[i] - points[m] for m in arrived if m != i]) for i in arrived]
        assert np.abs(np.array(a) @ B[list(arrived)] - 1).max() < 2e-15


@pytest.mark.parametrize(
    ("spec", "k", "worst", "amplification"),
    [
        ("cyclic-repetition:s=3", 12, 1e-8, 1e8),
        ("cyclic-mds:s=3", 12, 1e-12, 40),
        ("cyclic-mds:s=5", 30, 1e-10, 1e4),
        ("cyclic-mds:s=9", 30, 1e-9, 1e6),
        ("reed-solomon:s=5", 30, 1e-10, 1e4),
        ("frc:c=6", 30, 1e-14, 1.0 + 1e-9),
    ],
)
def test_stability(spec: str, k: int, worst: float, amplification: float) -> None:
    """Worst of 60 random straggler sets: rounding, and how messages' rounding is magnified."""
    code, rng = make(spec, k), np.random.default_rng(1)
    for _ in range(60):
        rows = rows_of(code, rng.permutation(k)[code.tolerance :].tolist())
        weights, deviation = least_squares(rows)
        assert deviation < worst
        assert (np.abs(weights) @ np.abs(rows)).max() < amplification


def test_loads_follow_speed() -> None:
    """Speeds 1, 1, 2, 2, 3, 3 with n = 12, s = 1: 2, 2, 4, 4, 6, 6 copies, done together."""
    speeds = np.array([1.0, 1, 2, 2, 3, 3])
    assert copies_by_speed(speeds, 12, 2).tolist() == [2, 2, 4, 4, 6, 6]
    code = make("heterogeneous:s=1,speeds=1/1/2/2/3/3", 6, 12)
    assert len(set(code.loads / speeds)) == 1


@settings(deadline=None)
@given(st.lists(st.floats(0.5, 20), min_size=2, max_size=9), st.integers(12, 40), st.integers(1, 2))
def test_copies_add_up_and_never_exceed_all_tasks(
    speeds: list[float], n: int, replication: int
) -> None:
    """Shares are proportional to speed, up to rounding and up to all n tasks."""
    total, values = n * replication, np.array(speeds)
    if values.min() * total < values.sum():
        return
    copies = copies_by_speed(values, n, replication)
    assert copies.sum() == total
    assert 1 <= copies.min() <= copies.max() <= n
    if (total * values / values.sum()).max() <= n:
        np.testing.assert_allclose(copies, total * values / values.sum(), atol=1 + 1e-9)


@pytest.mark.parametrize("inner", ["frc", "cyclic-repetition"])
def test_partial_code_needs_all_first_parts_and_k_minus_s_second_parts(inner: str) -> None:
    """k = 12, s = 2, alpha = 2: 3 private and 3 coded tasks a slot, .125 of the data; the inner
    code alone has .25 of it on each."""
    code = make(f"partial:s=2,alpha=2,inner={inner}", 12)
    assert code.n_tasks == 48
    assert code.loads.tolist() == [6] * 12
    assert code.loads[0] / code.n_tasks == 0.125
    alone = make("frc:c=3" if inner == "frc" else f"{inner}:s=2", 12)
    assert (alone.loads / alone.n_tasks).tolist() == [0.25] * 12
    A = code.matrix.toarray()
    first = [code.symbols(i, 0)[0] for i in range(12)]
    second = [code.symbols(i, 1)[0] for i in range(12)]
    rng = np.random.default_rng(0)
    for _ in range(20):
        present = rng.permutation(12)[2:].tolist()
        assert least_squares(A[first + [second[i] for i in present]])[1] < 1e-8
    assert least_squares(A[first[1:] + second])[1] > 0.1


@pytest.mark.parametrize(
    "spec",
    ["cyclic-mds:s=7", "reed-solomon:s=8", "reed-solomon:s=2,nodes=chebyshev", "heterogeneous:s=5"],
)
def test_what_is_promised_of_a_hundred_workers_is_kept(spec: str) -> None:
    """Neighbours are the worst set; the decoder itself gets the full gradient from the rest."""
    code = make(spec, 100, None)
    decoder = DECODERS.build("least-squares", code, DecoderContext())
    for first in (0, 17, 33, 48, 96):
        late = set((np.arange(code.tolerance) + first) % 100)
        decoder.begin()
        for slot in range(100):
            if slot not in late:
                for symbol in code.symbols(slot):
                    decoder.arrive(symbol)
        assert decoder.exact


@pytest.mark.parametrize(("k", "n", "s"), [(60, 60, 30), (50, 50, 25), (30, 60, 12), (12, 12, 11)])
def test_the_load_that_is_named_instead_keeps_the_promise(k: int, n: int, s: int) -> None:
    c = least_load(k, n, s)
    assert make(f"frc:c={c}", k, n).tolerance >= s
    assert all(
        make(f"frc:c={less}", k, n).tolerance < s for less in range(1, c) if round(n / less) <= k
    )


@pytest.mark.parametrize(
    ("spec", "k", "n", "words"),
    [
        ("cyclic-repetition:s=2", 6, 7, ["7 tasks", "6 workers"]),
        ("cyclic-repetition:s=6", 6, None, ["s=6", "6 workers", "0 to 5"]),
        ("cyclic-mds:s=2", 12, None, ["12 workers", "s=2", "s=1", "s=3", "field=complex"]),
        ("reed-solomon:s=1", 30, 10, ["10 tasks", "30 workers", "15 tasks"]),
        ("heterogeneous:s=1,speeds=1/2", 6, None, ["2 numbers", "6 workers"]),
        ("heterogeneous:s=1,speeds=1/x", 2, None, ["speeds=1/x"]),
        ("heterogeneous:s=1,speeds=1/-1", 2, None, ["speed -1 of worker 1", "positive"]),
        ("heterogeneous:s=1,speeds=0", 12, None, ["speed 0 of worker 0", "positive", "1/1/2"]),
        ("heterogeneous:s=1,speeds=1/2/nan", 3, None, ["speed nan of worker 2"]),
        ("heterogeneous:s=1,speeds=1/1e308", 2, None, ["speed 1e+308 of worker 1", "to 1e+15"]),
        ("heterogeneous:s=0,speeds=1/1/1000", 3, None, ["speed 1", "3 task copies", "1002 tasks"]),
        ("heterogeneous:s=1", 12, 3, ["6 task copies", "at least 6 tasks"]),
        ("reed-solomon:s=50", 100, None, ["100 workers", "s=50", "precision", "s=8", "frc:c=67"]),
        ("reed-solomon:s=20,nodes=chebyshev", 50, None, ["s=20", "s=3", "nodes=unity"]),
        ("cyclic-mds:s=51", 100, None, ["s=51", "use s=7 or frc:c=67"]),
        ("partial:s=2,alpha=1.7", 12, None, ["alpha=1.7", "1.75"]),
        ("partial:s=2,alpha=1", 12, None, ["alpha=1", "above 1"]),
        (
            "partial:s=2,alpha=1.0000000001",
            12,
            None,
            ["3e+10 private", "10,000", "alpha", "1.0003"],
        ),
        ("partial:s=2,alpha=2", 10, None, ["s+1=3", "10 workers", "nearest s that fits is 1"]),
        ("partial:s=2,alpha=2", 12, 50, ["48 tasks", "12 workers", "50"]),
    ],
)
def test_misfits_name_both_sides(spec: str, k: int, n: int | None, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        make(spec, k, n)
    for word in words:
        assert word in str(caught.value)
