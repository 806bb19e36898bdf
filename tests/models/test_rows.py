"""Coded gradients against plain dense numpy, whatever the blocks, chunks and coefficients."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from erasurehead.errors import DataError
from erasurehead.models import MODELS
from erasurehead.models import rows as rows_module
from erasurehead.models.least_squares import LeastSquares
from erasurehead.models.linear import LinearModel
from erasurehead.models.logistic import Logistic
from erasurehead.models.partial_sums import CodedGradient
from erasurehead.models.rows import LocalRows, LocalRowsBuilder
from erasurehead.rows import CsrRows

Vector = npt.NDArray[Any]


@dataclass
class Case:
    """A random worker: its rows as a dense matrix and in blocks."""

    X: Vector
    labels: Vector
    coefficients: Vector | None
    blocks: list[int]
    implied: bool

    @property
    def n_columns(self) -> int:
        return len(self.X.T)

    def build(
        self, dense_share: float = 1.0, chunk_nonzeros: int = rows_module.CHUNK_NONZEROS
    ) -> LocalRows:
        n_parts, n_vectors = (1, 1) if self.coefficients is None else self.coefficients.shape[:2]
        builder = LocalRowsBuilder(
            self.n_columns,
            (n_parts, n_vectors),
            dense_share=dense_share,
            chunk_nonzeros=chunk_nonzeros,
        )
        for lo, hi in zip(self.blocks, self.blocks[1:], strict=False):
            block = csr_array(self.X[lo:hi])
            weights = None if self.coefficients is None else self.coefficients[:, :, lo:hi]
            values = None if self.implied else block.data
            rows = CsrRows(block.indptr, block.indices, values, self.labels[lo:hi], self.X.shape[1])
            builder.add(rows, weights)
        return builder.finish()

    def expected(self, name: str, theta: Vector, part: int) -> tuple[Vector, Vector]:
        model = MODELS.build(name, self.X.shape[1], None)
        assert isinstance(model, LinearModel)
        loss, derivative = model.loss_and_derivative(self.X @ theta, self.labels)
        n = len(self.labels)
        a = np.ones((1, n)) if self.coefficients is None else self.coefficients[part]
        return (a * derivative) @ self.X, a @ loss


@st.composite
def cases(draw: st.DrawFn) -> Case:
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    n, p = draw(st.integers(0, 25)), draw(st.integers(1, 30))
    implied = draw(st.booleans())
    X = (rng.random((n, p)) < draw(st.sampled_from([0.05, 0.3, 0.9, 1.0]))).astype(float)
    if not implied:
        X *= rng.normal(size=(n, p))
    coefficients = None
    if draw(st.booleans()):
        shape = draw(st.sampled_from([(1, 1), (1, 2), (2, 1), (2, 2)]))
        coefficients = rng.choice([0.0, 1.0, -2.5], (*shape, n))
    blocks = sorted({0, n, *draw(st.lists(st.integers(0, n), max_size=3))})
    return Case(X, rng.choice([-1.0, 1.0], n), coefficients, blocks, implied)


def compute(
    rows: LocalRows, theta: Vector, name: str = "logistic", part: int = 0
) -> tuple[Vector, Vector]:
    """Run the computation on `theta` over all columns; return the gradient there, and the loss."""
    support = slice(None) if rows.support is None else rows.support
    work = CodedGradient(rows, MODELS.build(name, len(theta), None), theta[support], part)
    while not work.advance():
        pass
    values = np.zeros((rows.n_vectors, len(theta)))
    values[:, support] = work.values
    return values, np.array(work.loss)


@given(cases(), st.sampled_from(["logistic", "least-squares"]), st.integers(1, 60))
def test_equals_dense_numpy(case: Case, name: str, chunk_nonzeros: int) -> None:
    rows = case.build(chunk_nonzeros=chunk_nonzeros)
    theta = np.random.default_rng(1).normal(size=case.n_columns)
    for part in range(rows.n_parts):
        values, loss = compute(rows, theta, name, part)
        expected, expected_loss = case.expected(name, theta, part)
        np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(loss, expected_loss, rtol=1e-12, atol=1e-12)


@given(cases())
def test_support_is_the_columns_touched(case: Case) -> None:
    rows = case.build()
    touched = np.flatnonzero((case.X != 0).any(axis=0))
    if not len(touched):
        touched = np.zeros(1, dtype=int)  # a message without a value is none
    if len(touched) == case.X.shape[1]:
        assert rows.support is None
    else:
        assert rows.support is not None
        assert rows.support.dtype == np.int32
        np.testing.assert_array_equal(rows.support, touched)
    assert rows.n_rows == len(case.X)
    assert rows.n_support == len(touched)


@given(cases(), st.integers(1, 40))
def test_a_share_above_the_limit_counts_as_all_columns(case: Case, chunk_nonzeros: int) -> None:
    rows = case.build(dense_share=0.0, chunk_nonzeros=chunk_nonzeros)
    if case.X.any():
        assert rows.support is None
        assert rows.n_support == case.X.shape[1]
    theta = np.random.default_rng(1).normal(size=case.n_columns)
    values, _ = compute(rows, theta)
    expected, _ = case.expected("logistic", theta, 0)
    np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-12)


@given(cases(), st.integers(1, 60))
def test_results_depend_on_neither_blocks_nor_repetition(case: Case, chunk_nonzeros: int) -> None:
    """Streamed rows and mapped rows must give the same bits, today and tomorrow."""
    theta = np.random.default_rng(2).normal(size=case.n_columns)
    first, first_loss = compute(case.build(chunk_nonzeros=chunk_nonzeros), theta)
    case.blocks = list(range(len(case.X) + 1))
    rows = case.build(chunk_nonzeros=chunk_nonzeros)
    for _ in range(2):
        values, loss = compute(rows, theta)
        assert values.tobytes() == first.tobytes()
        assert loss.tobytes() == first_loss.tobytes()


def test_a_chunk_is_never_longer_than_asked_unless_one_row_is() -> None:
    X = np.zeros((40, 500))
    X[:, ::11] = 1.0
    case = Case(X, np.ones(40), None, [0, 40], implied=True)
    per_row = int(X[0].sum())
    rows = case.build(chunk_nonzeros=3 * per_row + 1)
    assert [c.matrix.shape[0] for c in rows.chunks] == [3] * 13 + [1]
    assert len(case.build(chunk_nonzeros=1).chunks) == 40


def test_the_rows_of_other_parts_are_not_worked_through() -> None:
    """Message 0 of a partial code costs its own tasks only."""
    coefficients = np.zeros((2, 1, 30))
    coefficients[0, 0, :10] = coefficients[1, 0, 10:] = 1.0
    case = Case(np.eye(30), np.ones(30), coefficients, [0, 10, 30], implied=True)
    rows = case.build()
    assert [c.matrix.shape[0] for c in rows.chunks] == [10, 20]
    assert [[c.used_by(m) for c in rows.chunks] for m in range(2)] == [[True, False], [False, True]]


def test_one_coefficient_may_stand_for_a_whole_block() -> None:
    builder = LocalRowsBuilder(3, (1, 2))
    block = csr_array(np.eye(3))
    builder.add(CsrRows(block.indptr, block.indices, None, np.ones(3), 3), np.array([[2.0, -1.0]]))
    rows = builder.finish()
    values, loss = compute(rows, np.zeros(3))
    np.testing.assert_allclose(values, [[-1.0, -1.0, -1.0], [0.5, 0.5, 0.5]])
    np.testing.assert_allclose(loss, np.log(2) * np.array([6, -3]))


def test_a_column_named_twice_in_a_row_counts_twice() -> None:
    for n_columns in (2, 50):  # dense, sparse
        builder = LocalRowsBuilder(n_columns)
        for _ in range(2):
            builder.add(CsrRows(np.array([0, 3]), np.array([1, 1, 0]), None, np.ones(1), n_columns))
        work = CodedGradient(builder.finish(), LeastSquares(n_columns), np.ones(2))
        assert work.advance()
        np.testing.assert_allclose(work.values, [[4.0, 8.0]])


def test_reading_one_chunk_never_changes_another() -> None:
    """scipy's `max` merges a column that is named twice, in place; the ones are those of all."""
    builder = LocalRowsBuilder(50, chunk_nonzeros=3)
    for columns in ([1, 1, 0], [2, 2, 0], [3], [4]):
        indptr = np.array([0, len(columns)])
        builder.add(CsrRows(indptr, np.array(columns), None, np.ones(1), 50))
    first, second, *_ = builder.finish().chunks
    with pytest.raises(ValueError, match="read-only"):
        first.matrix.max()
    for chunk in (first, second):
        np.testing.assert_array_equal(chunk.matrix @ np.ones(5), [3.0])


def test_values_of_other_types_are_widened_once_and_not_at_each_product() -> None:
    """scipy makes doubles of float32 entries at each product."""
    n_rows, in_a_row, at_once = 400, 100, 1000
    rng = np.random.default_rng(0)
    columns = rng.integers(0, 500, n_rows * in_a_row)
    values = rng.uniform(size=len(columns)).astype(np.float32)
    builder = LocalRowsBuilder(500, all_columns=True, chunk_nonzeros=at_once)
    indptr = np.arange(0, len(columns) + 1, in_a_row)
    builder.add(CsrRows(indptr, columns, values, np.ones(n_rows), 500))
    work = CodedGradient(builder.finish(), LeastSquares(500), np.ones(500))
    tracemalloc.start()
    try:
        while not work.advance():
            pass
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 8 * at_once + 8 * n_rows  # what a product returns, and no chunk's values


def test_offsets_may_start_anywhere() -> None:
    """Rows 1 and 2 of a store, as sliced from it."""
    builder = LocalRowsBuilder(9)
    builder.add(CsrRows(np.array([7, 8, 10]), np.array([3, 0, 8]), None, np.ones(2), 9))
    rows = builder.finish()
    assert rows.support is not None
    np.testing.assert_array_equal(rows.support, [0, 3, 8])
    assert [c.matrix.toarray().tolist() for c in rows.chunks] == [[[0, 1, 0], [1, 0, 1]]]


def test_a_slot_with_nothing_to_do_sends_zeros() -> None:
    rows = LocalRowsBuilder(4, (1, 2)).finish()
    work = CodedGradient(rows, Logistic(4), np.zeros(0))
    assert work.advance()
    assert [values.shape for values in work.values] == [(0,), (0,)]
    np.testing.assert_array_equal(work.loss, [0, 0])


def test_steps_yield_between_blocks() -> None:
    builder = LocalRowsBuilder(9)
    for _ in range(3):
        builder.add(CsrRows(np.array([0, 1]), np.array([3]), None, np.ones(1), 9))
    assert [rows is None for rows in builder.steps()] == [True, True, True, False]


@pytest.mark.parametrize("implied", [True, False])
def test_rows_are_held_once(implied: bool) -> None:
    """Every chunk is a view, and memory is within 1.2 of int32 indices, values, labels, offsets."""
    rng = np.random.default_rng(0)
    n, p, per_row = 500, 5000, 40
    builder = LocalRowsBuilder(p, chunk_nonzeros=1000)
    values = None if implied else rng.normal(size=n * per_row)
    indices = rng.integers(0, p, n * per_row)
    builder.add(CsrRows(np.arange(n + 1) * per_row, indices, values, np.ones(n), p))
    rows = builder.finish()
    stored = indices.size * (4 if implied else 12) + n * (8 + 8)
    assert rows.n_bytes <= 1.2 * stored
    assert len(rows.chunks) == 20
    first = rows.chunks[0].matrix
    assert len(first.indices.base) == n * per_row
    assert len(first.data.base) == (1000 if implied else n * per_row)
    for chunk in rows.chunks:
        for block in (chunk.matrix, chunk.transposed):
            assert block.indices.base is first.indices.base
            assert block.data.base is first.data.base


def test_mostly_full_rows_become_a_plain_array_only_when_that_is_small(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Implied ones take 4 bytes sparse and 8 dense, so large blocks of them stay sparse."""
    full = Case(np.ones((20, 10)), np.ones(20), None, [0, 20], implied=True)
    assert isinstance(full.build().chunks[0].matrix, np.ndarray)
    monkeypatch.setattr(rows_module, "SMALL_DENSE_ENTRIES", 100)
    assert not isinstance(full.build().chunks[0].matrix, np.ndarray)
    full.X, full.implied = 2 * full.X, False
    assert isinstance(full.build().chunks[0].matrix, np.ndarray)


def test_single_precision_models_are_computed_with_in_double() -> None:
    case = Case(np.eye(4), np.ones(4), None, [0, 4], implied=True)
    work = CodedGradient(case.build(), Logistic(4), np.zeros(4, dtype="<f4"))
    work.advance()
    assert work.values[0].dtype == np.float64


@pytest.mark.parametrize(
    ("indptr", "indices", "values", "labels", "sentence"),
    [
        ([0, 2], [1, 4], None, [1.0], "column indices from 1 to 4; expected 0 to 3"),
        ([0, 2], [-1, 3], None, [1.0], "from -1 to 3"),
        ([0, 2], [1], None, [1.0], "adding up to 2, but 1 labels and 1 column indices"),
        ([0, 1], [1], None, [1.0, 1.0], "has 1 row lengths"),
        ([0, 1], [1], [1.0, 2.0], [1.0], "1 column indices but 2 values"),
    ],
)
def test_a_damaged_block_is_refused(
    indptr: list[int],
    indices: list[int],
    values: list[float] | None,
    labels: list[float],
    sentence: str,
) -> None:
    builder = LocalRowsBuilder(4)
    weights = None if values is None else np.array(values)
    with pytest.raises(DataError, match=sentence):
        builder.add(CsrRows(np.array(indptr), np.array(indices), weights, np.array(labels), 4))


def test_more_columns_than_can_be_indexed_are_refused() -> None:
    with pytest.raises(DataError, match="too many"):
        LocalRowsBuilder(1 << 31)
