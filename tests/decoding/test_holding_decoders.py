"""Least squares, algorithmic and component decoding against numpy's lstsq on arrival sets."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from erasurehead.arrays import FloatArray
from erasurehead.coding import CODES
from erasurehead.coding.base import GradientCode, code_from_rows
from erasurehead.decoding import DECODERS
from erasurehead.decoding.algorithmic import AlgorithmicDecoder
from erasurehead.decoding.base import Decoder, DecoderContext, Decoding
from erasurehead.errors import UsageError
from erasurehead.theory.decode_errors import replication_bounds


def make(spec: str, k: int, n: int | None = None, seed: int = 0) -> GradientCode:
    return CODES.build(spec, k, n, np.random.default_rng(seed))


def decode(decoder: Decoder, slots: list[int]) -> Decoding:
    """Let the slots arrive in this order, checking what is asked on the way, and close."""
    code = decoder.code
    decoder.begin()
    for slot in slots:
        for part in range(code.n_parts):
            for symbol in code.symbols(slot, part):
                assert decoder.arrive(symbol) is None
            if decoder.exact:
                assert decoder.error() < 1e-12
    error = decoder.error()
    decoding = decoder.finish()
    assert decoding.scale == 1.0
    weights = np.zeros(code.n_symbols)
    for symbol, weight in decoding.held.items():
        weights[symbol] = weight
    alpha = weights @ code.matrix.toarray()
    np.testing.assert_allclose(decoding.task_weights, alpha, atol=1e-9)
    assert decoding.decode_error == pytest.approx(np.mean((alpha - 1) ** 2), abs=1e-12)
    assert error == pytest.approx(decoding.decode_error, abs=1e-12)
    amplification = (np.abs(weights) @ np.abs(code.matrix.toarray())).max(initial=0.0)
    assert decoding.amplification == pytest.approx(amplification)
    return decoding


def least_error(code: GradientCode, slots: list[int]) -> float:
    rows = [s for i in slots for m in range(code.n_parts) for s in code.symbols(i, m)]
    if not rows:
        return 1.0
    A: FloatArray = code.matrix.toarray()[rows]
    solved = np.linalg.lstsq(A.T, np.ones(code.n_tasks), rcond=None)[0]
    return float(np.mean((solved @ A - 1) ** 2))


CODES_OF_ALL_KINDS = [
    ("cyclic-mds:s=2", 7, None),
    ("cyclic-mds:s=2,field=complex", 6, None),
    ("reed-solomon:s=2", 6, 9),
    ("heterogeneous:s=1,speeds=1/1/2/2/3/3", 6, 12),
    ("partial:s=1,alpha=2", 4, None),
    ("frc:c=2", 7, None),
    ("bernoulli:c=3", 8, None),
    ("graph:d=3", 9, None),
    ("osgc:p=0.2", 6, None),
]


@pytest.mark.parametrize(("spec", "k", "n"), CODES_OF_ALL_KINDS)
def test_least_squares_on_every_arrival_set(spec: str, k: int, n: int | None) -> None:
    code = make(spec, k, n)
    decoder = DECODERS.build("least-squares", code, DecoderContext())
    for size in range(k + 1):
        for slots in itertools.combinations(range(k), size):
            found = decode(decoder, list(slots))
            least = least_error(code, list(slots))
            assert found.decode_error == pytest.approx(least, abs=1e-10)
            assert decoder.exact == (least < 1e-12)
            if k - size <= code.tolerance:
                assert decoder.exact


def test_least_squares_remembers_arrival_sets() -> None:
    """The same set in another order is not solved again; the least recently used one is."""
    decoder = DECODERS.build("least-squares:cache=2", make("cyclic-mds:s=3", 12), DecoderContext())
    first = decode(decoder, [0, 1, 2, 3, 4])
    assert decode(decoder, [4, 2, 0, 1, 3]) is first
    decode(decoder, [5, 6])
    assert decode(decoder, [3, 1, 2, 0, 4]) is first
    decode(decoder, [7, 8])
    assert decode(decoder, [0, 1, 2, 3, 4]) is first
    decode(decoder, [5, 6])
    decode(decoder, [7, 8])
    assert decode(decoder, [0, 1, 2, 3, 4]) is not first


def test_least_squares_that_remembers_nothing_decodes_the_same() -> None:
    code = make("cyclic-mds:s=3", 12)
    plain, forgetful = (
        DECODERS.build(f"least-squares{options}", code, DecoderContext())
        for options in ("", ":cache=0")
    )
    first = decode(forgetful, [0, 1, 2, 3, 4])
    again = decode(forgetful, [0, 1, 2, 3, 4])
    assert again is not first
    assert again.decode_error == decode(plain, [0, 1, 2, 3, 4]).decode_error


def test_exactness_that_only_magnifies_rounding_does_not_end_a_round() -> None:
    """Two arrivals of three, with rows that differ by 1e-8, span 1 only with weights of 1e8."""
    matrix = np.array([[1.0, 2.0], [1.0, 2.0 + 1e-8], [1.0, 0.0]])
    rows = [(np.flatnonzero(row), row[row != 0]) for row in matrix]
    code = code_from_rows("steep", rows, 2, n_workers=3)
    decoder = DECODERS.build("least-squares", code, DecoderContext())
    decoder.begin()
    decoder.arrive(0)
    decoder.arrive(1)
    assert decoder.error() < 1e-12
    assert not decoder.exact
    decoder.arrive(2)
    assert decoder.exact


def test_algorithmic_decoding_approaches_least_squares() -> None:
    """k = 30, s = 5, r = 15: the error falls from 1 with every step, to the optimum.

    After 1, 5, 20, 100 steps and at the optimum one code and set had .221, .140, .112, .105 and
    .1047: one of 40 random ones is within .01 of all five, which are a standard deviation off the
    means at most."""
    rng = np.random.default_rng(0)
    errors = []
    for seed in range(40):
        code = make("regular:c=5", 30, seed=seed)
        slots = rng.permutation(30)[:15].tolist()
        line = [1.0]
        for steps in (1, 5, 20, 100):
            decoder = DECODERS.build(f"algorithmic:steps={steps}", code, DecoderContext())
            line.append(decode(decoder, slots).decode_error)
        assert line == sorted(line, reverse=True)
        least = least_error(code, slots)
        assert least - 1e-12 <= line[-1] <= least + 5e-3
        errors.append([*line[1:], least])
    far = np.array(errors) - [0.221, 0.140, 0.112, 0.105, 0.1047]
    assert np.abs(far).max(axis=1).min() < 0.01
    means = np.mean(errors, axis=0)
    assert np.all(np.abs(far.mean(axis=0)) < 1.1 * far.std(axis=0))
    np.testing.assert_allclose(means, [0.245, 0.114, 0.097, 0.093, 0.093], atol=0.01)
    assert np.all(np.diff(means) < 0)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_component_decoder_is_least_squares_on_graphs(data: st.DataObject) -> None:
    """Any graph, also with double edges: the error of lstsq, kept up to date at every arrival."""
    n = data.draw(st.integers(2, 14))
    edge = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda e: e[0] != e[1])
    edges = data.draw(st.lists(edge, min_size=1, max_size=30))
    rows = [(np.sort(np.array(e)), np.ones(2)) for e in edges]
    code = code_from_rows("edges", rows, n, n_workers=len(edges))
    decoder = DECODERS.build("component", code, DecoderContext())
    decoder.begin()
    order = data.draw(st.permutations(range(len(edges))))
    for count, slot in enumerate(order[: data.draw(st.integers(0, len(edges)))], start=1):
        decoder.arrive(slot)
        least = least_error(code, list(order[:count]))
        assert decoder.error() == pytest.approx(least, abs=1e-12)
        assert decoder.exact == (least < 1e-12)
    decode(decoder, list(order))


def test_component_weights_are_the_papers() -> None:
    """A path of 3 has alpha 4/3 | 2/3 on its middle | ends; a triangle has 1; a single edge 1."""
    rows = [(np.array(e), np.ones(2)) for e in ((0, 1), (1, 2), (3, 4), (4, 5), (3, 5), (6, 7))]
    code = code_from_rows("edges", rows, 9, n_workers=6)
    decoder = DECODERS.build("component", code, DecoderContext())
    alpha = decode(decoder, [0, 1, 2, 3, 4, 5]).task_weights
    np.testing.assert_allclose(alpha, [2 / 3, 4 / 3, 2 / 3, 1, 1, 1, 1, 1, 0], atol=1e-12)


@pytest.mark.parametrize(("d", "k"), [(3, 75), (4, 40), (5, 100)])
def test_component_weights_agree_with_least_squares_in_every_digit(d: int, k: int) -> None:
    """100 random arrival sets of a graph code: task weights some 2e-14 from those of lstsq."""
    code, rng = make(f"graph:d={d}", k), np.random.default_rng(0)
    decoder = DECODERS.build("component", code, DecoderContext())
    A, furthest = code.matrix.toarray(), 0.0
    for trial in range(100):
        slots = np.flatnonzero(rng.random(k) > (0.1, 0.3, 0.5, 0.7)[trial % 4]).tolist()
        decoder.begin()
        for slot in slots:
            decoder.arrive(slot)
        solved = np.linalg.lstsq(A[slots].T, np.ones(code.n_tasks), rcond=None)[0]
        alpha = decoder.finish().task_weights
        furthest = max(furthest, float(np.abs(alpha - solved @ A[slots]).max()))
    assert furthest < 4e-14


@pytest.mark.parametrize(
    ("p", "expected", "trials"), [(0.1, 0.00131, 2000), (0.2, 0.0090, 500), (0.3, 0.0273, 300)]
)
def test_graph_code_error_under_random_stragglers(p: float, expected: float, trials: int) -> None:
    """d = 3, n = 50: near the lower bound p^3, far below any fixed weights."""
    decoder = DECODERS.build("component", make("graph:d=3", 75), DecoderContext())
    rng = np.random.default_rng(4)
    errors = []
    for _ in range(trials):
        decoder.begin()
        for slot in np.flatnonzero(rng.random(75) > p).tolist():
            decoder.arrive(slot)
        errors.append(decoder.error())
    slack = 5 * float(np.std(errors)) / np.sqrt(trials)
    assert np.mean(errors) == pytest.approx(expected, abs=slack + 0.1 * expected)
    least, fixed = replication_bounds(p, 3)
    assert least * 0.8 < np.mean(errors) < fixed / 4


@pytest.mark.parametrize(
    ("decoder", "spec", "words"),
    [
        ("component", "frc:c=3", ["'component'", "'frc'"]),
        ("component", "osgc:p=.1/.2/.3/.4/.5/.6", ["'component'", "'osgc'"]),
        ("algorithmic:steps=0", "frc:c=2", ["steps=0"]),
        ("least-squares:cache=-1", "frc:c=2", ["cache=-1"]),
    ],
)
def test_misfits_name_both_sides(decoder: str, spec: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        DECODERS.build(decoder, make(spec, 6), DecoderContext())
    for word in words:
        assert word in str(caught.value)


def test_algorithmic_bound_covers_the_spectral_norm() -> None:
    """The step 1/nu is safe for every arrival set: weights stay bounded after many steps."""
    code = make("stochastic-block:c=4", 12)
    decoder = AlgorithmicDecoder(code, DecoderContext(), steps=200)
    for slots in itertools.combinations(range(12), 3):
        weights = decoder.weights(list(slots))
        assert np.isfinite(weights).all()
        assert np.abs(weights).max() < 10
