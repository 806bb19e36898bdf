"""The memory of pairs against BFGS with dense matrices."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from erasurehead.arrays import FloatArray
from erasurehead.errors import DataError
from erasurehead.optimizing.pairs import CurvaturePairs, Digits, Squares
from erasurehead.parts import CHUNK, Work, chunks

Pair = tuple[FloatArray, FloatArray]


@cache
def hessian(n: int, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(n, n)))[0]
    return np.asarray((basis * np.geomspace(0.1, 10.0, n)) @ basis.T)


def some_pairs(n: int, count: int, seed: int = 0) -> list[Pair]:
    """Of one quadratic, with steps that shrink."""
    rng, H = np.random.default_rng((seed, 1)), hessian(n, seed)
    steps = [0.5**i * rng.normal(size=n) for i in range(count)]
    return [(s, H @ s) for s in steps]


def some_pairs_of_many(n: int, count: int) -> list[Pair]:
    """Of a quadratic with a diagonal Hessian."""
    rng, curvature = np.random.default_rng((n, 2)), np.geomspace(0.1, 10.0, n)
    steps = [rng.normal(size=n) for _ in range(count)]
    return [(s, curvature * s) for s in steps]


def dense_inverse(pairs: list[Pair], gamma: float) -> FloatArray:
    """H by the recursion of BFGS."""
    H = gamma * np.eye(len(pairs[0][0]))
    for s, y in pairs:
        V = np.eye(len(s)) - np.outer(s, y) / (s @ y)
        H = V @ H @ V.T + np.outer(s, s) / (s @ y)
    return np.asarray(H)


def two_loops(pairs: list[Pair], gamma: float, gradient: FloatArray) -> FloatArray:
    """H g as textbooks have it (Nocedal, Wright, Algorithm 7.4)."""
    q, alphas = gradient.copy(), []
    for s, y in reversed(pairs):
        alphas.append(float(s @ q) / float(s @ y))
        q -= alphas[-1] * y
    q *= gamma
    for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
        q += (alpha - float(y @ q) / float(s @ y)) * s
    return q


def newton(memory: CurvaturePairs, gradient: FloatArray) -> FloatArray:
    memory.put_gradient(gradient, slice(0, len(gradient)))
    products, square = memory.multiply_gradient()
    assert square == pytest.approx(gradient @ gradient, rel=1e-5)
    combination, found = memory.newton(products), np.empty(len(gradient))
    for _, here in chunks(slice(0, len(gradient))):
        found[here] = memory.combine(combination, here)
    return found


def along(memory: CurvaturePairs, way: FloatArray) -> float:
    memory.way[:] = way
    return memory.curvature_along(memory.multiply_way(), float(way @ way))


def learn(memory: CurvaturePairs, step: FloatArray, change: FloatArray) -> bool:
    memory.way[:] = step
    of_step = memory.multiply_way()
    memory.way[:] = change
    of_change = memory.multiply_way()
    for _, here in chunks(slice(0, len(step))):
        memory.put(step[here], change[here], here)
    pair = Squares(float(step @ step), float(step @ change), float(change @ change))
    if not memory.admits(pair):
        return False
    memory.learn(pair, of_step, of_change)
    return True


def filled(pairs: list[Pair], keep: int = 10, digits: Digits = "f8") -> CurvaturePairs:
    memory = CurvaturePairs(len(pairs[0][0]), 10.0, 0.1, keep, digits)
    for s, y in pairs:
        assert learn(memory, s, y)
    return memory


@pytest.mark.parametrize(("count", "keep"), [(1, 10), (4, 10), (10, 10), (17, 10), (5, 1), (7, 3)])
def test_it_is_bfgs_of_the_last_pairs(count: int, keep: int) -> None:
    pairs = some_pairs(30, count)
    memory, kept = filled(pairs, keep), pairs[-keep:]
    s, y = kept[-1]
    assert len(memory) == len(kept)
    assert memory.scale == pytest.approx((s @ y) / (y @ y), rel=1e-14)
    v = np.random.default_rng(9).normal(size=30)
    H = dense_inverse(kept, memory.scale)
    np.testing.assert_allclose(newton(memory, v), H @ v, rtol=1e-9)
    np.testing.assert_allclose(newton(memory, v), two_loops(kept, memory.scale, v), rtol=1e-9)
    assert along(memory, v) == pytest.approx(v @ np.linalg.solve(H, v), rel=1e-9)


@pytest.mark.parametrize(("digits", "rtol"), [("f8", 1e-9), ("f4", 1e-4)])
@pytest.mark.parametrize("count", [1, 2, 6, 13])
def test_what_is_left_is_predicted_from_a_farther_scale(
    count: int, digits: Digits, rtol: float
) -> None:
    pairs = some_pairs(30, count)
    memory, kept = filled(pairs, digits=digits), pairs[-10:]
    g = np.random.default_rng(9).normal(size=30)
    memory.put_gradient(g, slice(0, 30))
    found = memory.decrease(*memory.multiply_gradient())
    if count == 1:
        assert found is None
        return
    far = float(np.exp(np.mean([np.log((s @ s) / (s @ y)) for s, y in kept])))
    assert far > memory.scale
    assert found == pytest.approx(0.5 * g @ dense_inverse(kept, far) @ g, rel=rtol)
    memory.clear()
    assert memory.decrease(*memory.multiply_gradient()) is None


@pytest.mark.parametrize(("digits", "rtol"), [("f8", 1e-9), ("f4", 1e-4)])
@pytest.mark.parametrize("n", [255, 256, 8192, 8193, 20_000])
def test_of_many_parameters_as_of_few(n: int, digits: Digits, rtol: float) -> None:
    pairs = some_pairs_of_many(n, 13)
    memory, v = filled(pairs, digits=digits), np.random.default_rng(n).normal(size=n)
    expected = two_loops(pairs[-10:], memory.scale, v)
    found = newton(memory, v)
    assert np.linalg.norm(found - expected) < rtol * np.linalg.norm(expected)
    inverse_of_found = along(memory, expected)
    assert inverse_of_found == pytest.approx(expected @ v, rel=10 * rtol)


def test_the_products_of_a_combination_follow_from_those_of_its_vector() -> None:
    memory, v = filled(some_pairs(30, 13)), np.random.default_rng(8).normal(size=30)
    memory.put_gradient(v, slice(0, 30))
    products, _ = memory.multiply_gradient()
    found = memory.products_of(memory.newton(products), products)
    memory.way[:] = newton(memory, v)
    np.testing.assert_allclose(found, memory.multiply_way(), rtol=1e-9, atol=1e-12)


def test_without_pairs_it_is_the_first_scale() -> None:
    memory, v = CurvaturePairs(3, 10.0, 0.25), np.array([1.0, 2.0, 4.0])
    assert newton(memory, v).tolist() == [0.25, 0.5, 1.0]
    assert along(memory, v) == 84.0
    memory = filled(some_pairs(3, 2))
    memory.clear()
    assert newton(memory, v).tolist() == [0.1 * x for x in v]
    assert not len(memory)


@pytest.mark.parametrize("curvature", [0.0, -1.0, 1e-8, np.nan])
def test_a_pair_of_hardly_any_curvature_is_not_taken(curvature: float) -> None:
    """The largest curvature is 10."""
    pairs = some_pairs(5, 3)
    memory, v = filled(pairs), np.ones(5)
    before = newton(memory, v)
    step = np.arange(5.0)
    assert not learn(memory, step, curvature * step)
    assert newton(memory, v).tobytes() == before.tobytes()


def test_a_pair_of_more_curvature_than_there_can_be_is_not_taken() -> None:
    """Its change is ten times as long as the largest curvature could make it, across the step."""
    memory, step = filled(some_pairs(5, 3)), np.eye(5)[0]
    assert not learn(memory, step, 10.0 * step + 100.0 * np.eye(5)[1])
    assert learn(memory, step, 10.0 * step + 10.0 * np.eye(5)[1])
    unbounded = CurvaturePairs(5, None, 0.1)
    assert learn(unbounded, step, 10.0 * step + 100.0 * np.eye(5)[1])


def test_steps_that_depend_on_each_other_leave_it_finite() -> None:
    """The same step ten times, with changes that rounding has made a little different."""
    rng = np.random.default_rng(3)
    s, v = rng.normal(size=6), rng.normal(size=6)
    memory = CurvaturePairs(6, 10.0, 1.0)
    for _ in range(10):
        learn(memory, s, 2.0 * s * (1 + 1e-15 * rng.normal(size=6)))
        assert np.isfinite(newton(memory, v)).all()
        assert along(memory, s) == pytest.approx(2.0 * s @ s, rel=1e-6)
        assert 0 <= along(memory, v) < np.inf


def test_no_way_has_a_negative_curvature() -> None:
    rng = np.random.default_rng(4)
    memory = filled(some_pairs(30, 10))
    assert all(along(memory, rng.normal(size=30)) > 0 for _ in range(100))


@pytest.mark.parametrize("digits", ["f8", "f4"])
@pytest.mark.parametrize("count", [0, 3, 10, 14])
def test_a_state_goes_on_to_the_last_bit(count: int, digits: Digits) -> None:
    """Though its newest pair is not the last row."""
    pairs = some_pairs(1000, count + 4)
    whole = CurvaturePairs(1000, 10.0, 0.1, digits=digits)
    for s, y in pairs[:count]:
        learn(whole, s, y)
    resumed = CurvaturePairs(1000, 10.0, 1.0, digits=digits)
    resumed.load_state({key: value.copy() for key, value in whole.state().items()})
    v = np.random.default_rng(5).normal(size=1000)
    for s, y in pairs[count:]:
        for memory in (whole, resumed):
            assert learn(memory, s, y)
        assert newton(resumed, v).tobytes() == newton(whole, v).tobytes()
        assert along(resumed, v) == along(whole, v)
    assert {k: v.tobytes() for k, v in resumed.state().items()} == {
        k: v.tobytes() for k, v in whole.state().items()
    }


def test_what_is_asked_in_between_changes_no_bit() -> None:
    pairs, v = some_pairs(1000, 5), np.random.default_rng(6).normal(size=1000)
    asked, left = CurvaturePairs(1000, 10.0, 0.1), CurvaturePairs(1000, 10.0, 0.1)
    for s, y in pairs:
        learn(asked, s, y)
        learn(left, s, y)
        along(asked, v)
        newton(asked, s)
    assert newton(asked, v).tobytes() == newton(left, v).tobytes()


def test_halves_change_no_bit() -> None:
    """Two cores work on halves that begin at a chunk."""

    def in_halves(n: int, work: Work) -> None:
        for part in (slice(CHUNK, n), slice(0, CHUNK)):
            work(part)

    pairs, v = some_pairs_of_many(20_000, 4), np.random.default_rng(7).normal(size=20_000)
    one = CurvaturePairs(20_000, 10.0, 0.1)
    two = CurvaturePairs(20_000, 10.0, 0.1, in_parts=in_halves)
    for memory in (one, two):
        for s, y in pairs:
            assert learn(memory, s, y)
    assert newton(two, v).tobytes() == newton(one, v).tobytes()
    assert along(two, v) == along(one, v)


def test_what_is_too_large_for_single_precision_is_not_taken() -> None:
    """And leaves nothing behind that would spoil what is."""
    memory = CurvaturePairs(5, None, 1.0, digits="f4")
    step = np.arange(1.0, 6.0)
    for count in range(3):
        memory.put(step, 1e60 * step, slice(0, 5))
        assert not memory.admits(Squares(55.0, 55e60, 55e120))
        assert learn(memory, step + count, 2.0 * step + 2.0 * count)
        assert np.isfinite(newton(memory, step)).all()
        assert np.isfinite(along(memory, step))


def test_a_foreign_state_is_refused() -> None:
    state = filled(some_pairs(6, 4)).state()
    for other in (CurvaturePairs(7, 10.0, 0.1), CurvaturePairs(6, 10.0, 0.1, 2)):
        with pytest.raises(DataError, match=r"pairs have shape \(2, 6\) .* resume with"):
            other.load_state(state)
    with pytest.raises(DataError, match="as float32"):
        CurvaturePairs(6, 10.0, 0.1, digits="f4").load_state(state)
    with pytest.raises(DataError):
        CurvaturePairs(6, 10.0, 0.1).load_state({})
