"""`erasurehead export`: the estimator predicts what `erasurehead predict` writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import erasurehead as eh
from erasurehead.datasets.prepare import prepare
from erasurehead_cli.main import main

joblib = pytest.importorskip("joblib", reason="scikit-learn is not installed")

Said = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated run on a made-up store of two classes, which lies beside it."""
    place = tmp_path_factory.mktemp("export")
    options = {"rows": "80", "columns": "6", "nnz": "3", "labels": "two-classes"}
    store = prepare("synthetic", source=None, out=place / "store", options=options).path
    arguments = ["--workers", "2", "--rounds", "20", "--pass-s", "1", "--intercept", "-q"]
    more = ["--scheme", "uncoded", "--no-figures", "--out", str(place / "run")]
    assert main(["simulate", str(store), *arguments, *more]) == 0
    return place / "run"


def test_a_run_is_exported_and_predicts_the_same(run: Path, capsys: Said) -> None:
    assert main(["export", str(run), "--format", "sklearn"]) == 0
    assert (
        f"logistic:intercept=true of 6 columns: {run / 'model.joblib'}" in capsys.readouterr().out
    )
    estimator = joblib.load(run / "model.joblib")
    store = eh.Store.open(run.parent / "store")
    opened = eh.Run.open(run)
    rows = store.matrix("train")
    assert estimator.predict(rows).tolist() == opened.predict(rows).tolist()
    told = opened.predictions(rows)
    chances = estimator.predict_proba(rows)[:, 1]
    np.testing.assert_allclose(chances, told["probability of +1"], rtol=1e-10)
    np.testing.assert_array_equal(opened.to_sklearn().coef_, estimator.coef_)


def test_an_export_replaces_an_export_and_nothing_else(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.joblib"
    for _ in range(2):
        assert main(["export", str(run), "--out", str(out)]) == 0
    out.write_text("a letter")
    assert main(["export", str(run), "--out", str(out)]) == 2
    assert out.read_text() == "a letter"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["export", "nowhere"], "holds no run"),
        (["export", "RUN", "--format", "sklaern"], "did you mean 'sklearn'"),
        (["export"], "Missing argument 'RUN'"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(
    arguments: list[str], told: str, run: Path, capsys: Said
) -> None:
    assert main([str(run) if word == "RUN" else word for word in arguments]) == 2
    assert told in capsys.readouterr().err
