"""Outputs, metrics and mean losses on rows of a store, against one product with all rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import random_array

from erasurehead.models import scoring
from erasurehead.models.logistic import Logistic
from erasurehead.models.scoring import Evaluator, mean_loss, metrics_of, outputs_on
from erasurehead.rows import CsrRows

COLUMNS = 7


def some_rows(n_rows: int) -> CsrRows:
    rng = np.random.default_rng(n_rows)
    X = random_array((n_rows, COLUMNS), density=0.4, format="csr", rng=rng)
    return CsrRows(X.indptr, X.indices, X.data, rng.choice([-1.0, 1.0], n_rows), COLUMNS)


@pytest.fixture(params=[1, 5, 1 << 18])
def piece_nonzeros(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """However the rows are cut, the figures are the same."""
    monkeypatch.setattr(scoring, "PIECE_NONZEROS", request.param)
    found: int = request.param
    return found


@pytest.mark.usefixtures("piece_nonzeros")
def test_pieces_make_up_all_rows() -> None:
    rows, model = some_rows(23), Logistic(COLUMNS)
    theta = np.random.default_rng(0).normal(size=COLUMNS)
    margins = rows.matrix() @ theta
    np.testing.assert_array_equal(outputs_on(rows, model, theta), margins)
    assert mean_loss(rows, model, theta) == pytest.approx(
        np.log1p(np.exp(-rows.labels * margins)).mean(), rel=1e-12
    )
    assert Evaluator(rows, model).now(theta) == metrics_of(model, margins, rows.labels)


def test_an_evaluation_pauses_after_each_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """The master looks at its inbox in between."""
    monkeypatch.setattr(scoring, "PIECE_NONZEROS", 1)
    rows = some_rows(4)
    steps = list(Evaluator(rows, Logistic(COLUMNS)).steps(np.zeros(COLUMNS)))
    assert [step is None for step in steps] == [True] * 4 + [False]


def test_without_rows_there_is_nothing_to_report() -> None:
    none, model = some_rows(4).rows(0, 0), Logistic(COLUMNS)
    evaluator = Evaluator(none, model)
    assert not evaluator
    assert evaluator.now(np.zeros(COLUMNS)) == {}
    assert outputs_on(none, model, np.zeros(COLUMNS)).shape == (0,)
