"""Mini-batch rounds: which rows count, and what sums over them are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from erasurehead.models import MODELS
from erasurehead.models.batches import Batches, rows_of_round
from erasurehead.models.partial_sums import PartialSums, PartialSumsBuilder
from erasurehead.models.rows import pieces
from erasurehead.models.weighing import weights_of
from erasurehead.rows import CsrRows

RANGES = np.array([[40, 55], [0, 25]])
"""Of two tasks, in the order in which a worker holds them."""

COEFFICIENTS = np.array([[[2.0, -0.5], [1.0, 0.0]]])


def some_rows(n: int = 60, density: float = 0.5) -> CsrRows:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 6)) * (rng.random((n, 6)) < density)
    return CsrRows(
        np.append(0, (X != 0).sum(axis=1).cumsum()),
        np.nonzero(X)[1].astype(np.int32),
        X[X != 0],
        rng.choice([-1.0, 1.0], n),
        6,
        weights=rng.uniform(0.5, 2.0, n),
        offsets=rng.standard_normal(n),
    )


def held(rows: CsrRows, batches: Batches | None, chunk_nonzeros: int) -> PartialSums:
    builder = PartialSumsBuilder(MODELS.build("logistic", 6, None), COEFFICIENTS, 1.0, batches)
    builder._rows._chunk_nonzeros = chunk_nonzeros
    for task, (lo, hi) in enumerate(RANGES.tolist()):
        for first in range(lo, hi, 7):  # as they are streamed
            builder.add(task, rows.rows(first, min(first + 7, hi)))
    return builder.finish()


def test_the_rows_of_a_round_are_known_for_ever() -> None:
    """Workers of other versions, and other versions of numpy, must take the same ones."""
    assert rows_of_round(3, 7, 100, 12, 0.25).tolist() == [3, 8, 9]
    assert rows_of_round(3, 8, 100, 12, 0.25).tolist() == [4, 6, 11]
    assert rows_of_round(3, 7, 112, 12, 0.25).tolist() == [1, 2, 4]
    assert rows_of_round(4, 7, 100, 12, 0.25).tolist() == [2, 9, 11]


@pytest.mark.parametrize(
    ("n_rows", "share", "n_taken"),
    [(10, 0.1, 1), (3, 0.1, 1), (10, 0.99, 10), (1, 0.5, 1), (9, 0.5, 4)],
)
def test_a_share_is_rounded_to_whole_rows_and_at_least_one(
    n_rows: int, share: float, n_taken: int
) -> None:
    rows = rows_of_round(0, 1, 0, n_rows, share)
    assert len(rows) == n_taken
    assert (np.diff(rows) > 0).all()
    assert 0 <= rows[0] <= rows[-1] < n_rows


def test_every_set_of_rows_is_equally_likely() -> None:
    """All 10 pairs of 5 rows, in 4,000 rounds: five standard deviations of a share of 1/10."""
    pairs = [tuple(rows_of_round(1, t, 50, 5, 0.4).tolist()) for t in range(4000)]
    counts = [pairs.count(pair) for pair in sorted(set(pairs))]
    assert len(counts) == 10
    assert max(abs(count - 400) for count in counts) < 5 * np.sqrt(4000 * 0.1 * 0.9)


def test_all_rows_need_no_draw() -> None:
    assert Batches.of(1.0, 0, RANGES) is None


@pytest.mark.parametrize("chunk_nonzeros", [5, 1 << 19])
@pytest.mark.parametrize("density", [0.3, 1.0], ids=["sparse", "dense"])
def test_sums_are_those_of_the_rows_that_count(density: float, chunk_nonzeros: int) -> None:
    """Weighed by the code, by the store, and by how many rows each stands for."""
    rows, share, seed = some_rows(density=density), 0.3, 5
    batches = Batches.of(share, seed, RANGES)
    sums = held(rows, batches, chunk_nonzeros)
    support = np.arange(6) if sums.support is None else sums.support
    model = MODELS.build("logistic", 6, None)
    theta = np.linspace(-1.0, 1.0, 6)
    (whole,) = pieces(rows, 60)
    for round_ in (1, 2):
        weights = np.zeros((2, 60))
        for task, (lo, hi) in enumerate(RANGES.tolist()):
            taken = rows_of_round(seed, round_, lo, hi - lo, share)
            weights[:, lo + taken] = COEFFICIENTS[0, :, task, None] * (hi - lo) / len(taken)
        own = weights_of(model, rows)
        assert own is not None
        expected = model.sums(whole, theta, [*(weights * own)])
        work = sums.gradient(0, theta[support], round_)
        while not work.advance():
            pass
        assert work.chunks_ahead == 0
        for v, (loss, gradient) in enumerate(expected):
            assert work.loss[v] == pytest.approx(loss)
            np.testing.assert_allclose(work.values[v], gradient[support], atol=1e-12)


def test_a_batch_is_right_on_average() -> None:
    """The mean of 4,000 rounds, to five standard deviations of a mean."""
    rows = replace(some_rows(density=1.0), weights=None, offsets=None)
    theta = np.linspace(-1.0, 1.0, 6)

    def gradient(sums: PartialSums, round_: int) -> np.ndarray:
        work = sums.gradient(0, theta, round_)
        while not work.advance():
            pass
        return np.append(work.values[0], work.loss[0])

    full = gradient(held(rows, None, 1 << 19), 1)
    sums = held(rows, Batches.of(0.2, 1, RANGES), 1 << 19)
    drawn = np.array([gradient(sums, t) for t in range(4000)])
    off = np.abs(drawn.mean(axis=0) - full)
    assert (off < 5 * drawn.std(axis=0) / np.sqrt(4000)).all()


def test_a_gradient_passes_over_a_share_of_the_entries() -> None:
    rows = some_rows(density=1.0)
    whole, part = held(rows, None, 1 << 19), held(rows, Batches.of(0.25, 1, RANGES), 1 << 19)
    assert (whole.n_entries, part.n_entries) == (240, 60)
    assert whole.n_rows == part.n_rows == 40
