"""One-step and fixed-weight decoding: definitions, unbiasedness and worked values."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from erasurehead.arrays import FloatArray
from erasurehead.coding import CODES
from erasurehead.coding.base import GradientCode
from erasurehead.decoding import DECODERS
from erasurehead.decoding.base import Decoder, DecoderContext, Decoding
from erasurehead.errors import UsageError
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.text import parse
from erasurehead.theory.decode_errors import design_error, independent_error, uniform_subset_error

P = np.array([0.05, 0.1, 0.2, 0.4, 0.6])
P_TEXT = "0.05/0.1/0.2/0.4/0.6"


def make(spec: str, k: int, n: int | None = None) -> GradientCode:
    return CODES.build(spec, k, n, np.random.default_rng(0))


def decode(decoder: Decoder, slots: list[int]) -> Decoding:
    """Fold the slots in and close, checking the report against the weights."""
    decoder.begin()
    weights = np.zeros(decoder.code.n_symbols)
    for slot in slots:
        weight = decoder.arrive(slot)
        assert weight is not None
        weights[slot] = weight
    error = decoder.error()
    decoding = decoder.finish()
    alpha = decoding.scale * weights @ decoder.code.matrix.toarray()
    np.testing.assert_allclose(decoding.task_weights, alpha, atol=1e-12)
    assert decoding.decode_error == pytest.approx(np.mean((alpha - 1) ** 2), abs=1e-12)
    assert error == pytest.approx(decoding.decode_error, abs=1e-12)
    return decoding


@pytest.mark.parametrize(
    "spec", ["regular:c=3", "bernoulli:c=3", "pairwise-balanced:d=2", "frc:c=2"]
)
@pytest.mark.parametrize("r", [1, 3, 8])
def test_one_step_mean_is_k_over_rc(spec: str, r: int) -> None:
    """Weight n k / (r sum A); the task weights average 1 over tasks and all r-subsets."""
    code = make(spec, 8)
    decoder = DECODERS.build("one-step", code, DecoderContext())
    alphas = [decode(decoder, list(s)).task_weights for s in itertools.combinations(range(8), r)]
    assert np.mean(alphas) == pytest.approx(1.0)
    assert decoder.finish().scale == pytest.approx(64 / (r * code.matrix.sum()))


@pytest.mark.parametrize("spec", ["bernoulli:c=3", "design", "cyclic-sums:c=3"])
def test_one_step_optimal_is_the_best_single_weight(spec: str) -> None:
    code = make(spec, 7)
    decoder = DECODERS.build("one-step:scale=optimal", code, DecoderContext())
    A = code.matrix.toarray()
    for size in range(1, 8):
        for slots in itertools.combinations(range(7), size):
            total = A[list(slots)].sum(axis=0)
            best = np.linalg.lstsq(total[:, None], np.ones(7), rcond=None)[0][0]
            assert decode(decoder, list(slots)).scale == pytest.approx(best)


def test_fano_plane_table() -> None:
    """n = 7: 4, 2.5, 1.6, 1, .571, .25, 0 after 1..7 arrivals, whichever they are; no other
    weights do better."""
    code = make("design", 7)
    decoder = DECODERS.build("one-step:scale=optimal", code, DecoderContext())
    A = code.matrix.toarray()
    for f, expected in enumerate((4, 2.5, 1.6, 1, 0.571, 0.25, 0), start=1):
        assert design_error(7, 3, 1, f) == pytest.approx(expected, abs=5e-4)
        for slots in itertools.combinations(range(7), f):
            found = decode(decoder, list(slots))
            assert 7 * found.decode_error == pytest.approx(design_error(7, 3, 1, f), abs=1e-12)
            solved = np.linalg.lstsq(A[list(slots)].T, np.ones(7), rcond=None)[0]
            least = np.sum((solved @ A[list(slots)] - 1) ** 2)
            assert 7 * found.decode_error == pytest.approx(least, abs=1e-12)
    assert decoder.exact


def test_expander_weights_are_k_over_arrivals() -> None:
    decoder = DECODERS.build("one-step", make("expander:d=3", 10), DecoderContext())
    assert decode(decoder, [3, 1, 4, 5]).scale == pytest.approx(10 / 4)


def enumerate_patterns(decoder: Decoder, p: FloatArray) -> list[tuple[float, FloatArray]]:
    """(probability, alpha) of every straggler pattern."""
    k, found = len(p), []
    for size in range(k + 1):
        for slots in itertools.combinations(range(k), size):
            here = np.isin(np.arange(k), slots)
            chance = float(np.prod(np.where(here, 1 - p, p)))
            found.append((chance, decode(decoder, list(slots)).task_weights))
    return found


@pytest.mark.parametrize(
    "spec",
    [
        f"osgc:p={P_TEXT}",
        "osgc:p=0.3",
        "pairwise-balanced:d=3",
        "uncoded",
        "frc:c=5",
        "cyclic-sums:c=2",
        f"matched-cyclic:c=2,p={P_TEXT}",
    ],
)
def test_fixed_weights_are_unbiased(spec: str) -> None:
    """E[alpha] = 1 over all patterns, and the error is sum_i p_i/(1-p_i) ||v_i||^2."""
    code = make(spec, 5)
    decoder = DECODERS.build("fixed", code, DecoderContext(None, lambda: P))
    patterns = enumerate_patterns(decoder, P)
    np.testing.assert_allclose(sum(c * a for c, a in patterns), 1.0, atol=1e-12)
    error = sum(c * float(np.sum((a - 1) ** 2)) for c, a in patterns)
    A = code.matrix.toarray()
    contributions = A / A.sum(axis=0)
    assert independent_error(contributions, P) == pytest.approx(error, rel=1e-12)


def test_shrinkage_minimises_the_error_of_equal_gradients() -> None:
    """Relative error 1/(1 + Delta) = .028436 against 1/Delta = .029268, Delta = 34.1667."""
    code = make(f"osgc:p={P_TEXT}", 5)
    for shrink, expected in (("mse", 0.0284360), ("none", 1 / 34.16667)):
        decoder = DECODERS.build(f"fixed:p={P_TEXT},shrink={shrink}", code, DecoderContext())
        error = sum(c * (a.sum() / 5 - 1) ** 2 for c, a in enumerate_patterns(decoder, P))
        assert error == pytest.approx(expected, abs=5e-7)


def test_learnt_probabilities_start_from_the_stop_rule() -> None:
    """fraction:r=4 of 6: weights k/r at first, with the error of counted arrivals."""
    session = Coding.of(parse("uncoded / fixed / fraction:r=4"), 6).begin()
    rng = np.random.default_rng(1)
    g = rng.normal(size=(6, 2))
    found = []
    for slots in itertools.combinations(range(6), 4):
        alpha = decode(session.decoder, list(slots)).task_weights
        np.testing.assert_allclose(alpha[list(slots)], 1.5)
        found.append(float(np.sum(((alpha - 1) @ g) ** 2)))
    assert uniform_subset_error(g, 4) == pytest.approx(np.mean(found), rel=1e-12)
    for _ in range(100):
        session.stop.observe([(slot, 0.1) for slot in (0, 1, 2, 3)], 0.1)
    alpha = decode(session.decoder, [0, 1, 2, 3, 5]).task_weights
    assert alpha[0] < 1.1
    # Never seen: as if it straggled 95 % of the time, not infinitely heavy.
    assert alpha[5] == pytest.approx(20.0)


def test_weights_follow_changing_probabilities() -> None:
    now = [np.full(5, 0.5)]
    decoder = DECODERS.build("fixed", make("uncoded", 5), DecoderContext(None, lambda: now[0]))
    assert decode(decoder, [0]).task_weights[0] == pytest.approx(2.0)
    now[0] = np.full(5, 0.2)
    assert decode(decoder, [0]).task_weights[0] == pytest.approx(1.25)


@pytest.mark.parametrize(
    ("decoder", "spec", "words"),
    [
        ("one-step", "cyclic-repetition:s=2", ["'one-step'", "'cyclic-repetition'"]),
        ("one-step", "cyclic-mds:s=2,field=complex", ["'one-step'", "'cyclic-mds'"]),
        ("fixed", "uncoded", ["'fixed'", "probabilities"]),
        ("fixed:p=0.3", "bernoulli:c=2", ["'fixed'", "'bernoulli'"]),
        ("fixed:p=0.3/0.4", "uncoded", ["2 numbers", "7 workers"]),
        ("fixed:p=1", "uncoded", ["probability 1"]),
        ("fixed:p=0.3,cap=1", "uncoded", ["cap=1"]),
    ],
)
def test_misfits_name_both_sides(decoder: str, spec: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        DECODERS.build(decoder, make(spec, 7), DecoderContext())
    for word in words:
        assert word in str(caught.value)
