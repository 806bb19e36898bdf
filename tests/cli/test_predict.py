"""Predictions need a run's directory and the new rows, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array, save_npz
from scipy.special import expit, softmax

import erasurehead as eh
from erasurehead.datasets.store import Store
from erasurehead.runs import Run
from erasurehead_cli.main import main

Said = pytest.CaptureFixture[str]


def learn(place: Path, preset: str, source: Path, *options: str) -> Path:
    """Prepare a file and train a model; return a copy of the run, away from its store."""
    store, run = place / "store", place / "run"
    given = [part for option in options for part in ("-o", option)]
    assert main(["prepare", preset, "--from", str(source), "--out", str(store), *given]) == 0
    arguments = ["--scheme", "uncoded", "--workers", "3", "--rounds", "60", "--pass-s", "1", "-q"]
    assert main(["simulate", str(store), *arguments, "--no-figures", "--out", str(run)]) == 0
    copy = place / "elsewhere" / "copy"
    copy.parent.mkdir()
    shutil.copytree(run, copy)
    return copy


def predict(run: Path, data: Path, *options: str) -> pd.DataFrame:
    out = run.parent / "p.csv"
    assert main(["predict", str(run), str(data), "--out", str(out), *options]) == 0
    return pd.read_csv(out)


@pytest.fixture(scope="module")
def zips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of postal codes and sizes; its store is gone."""
    place = tmp_path_factory.mktemp("zips")
    codes, hits = ("02116", "01220", "94107", "K1A"), ("yes", "no", "yes", "no")
    rows = [f"{codes[i % 4]},{i % 7},{hits[i % 4]}" for i in range(200)]
    (place / "old.csv").write_text("\n".join(["zip,size,hit", *rows]) + "\n")
    run = learn(place, "csv", place / "old.csv", "target=hit")
    shutil.rmtree(place / "store")
    return run


@pytest.fixture(scope="module")
def sparse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a svmlight file that counts from 0; its store is there."""
    place = tmp_path_factory.mktemp("sparse")
    rows = [f"{2 + i % 2} {'0:1' if i % 2 else '1:1'}{' 2:1' * (i % 3 == 0)}" for i in range(200)]
    (place / "old.svm").write_text("\n".join(rows) + "\n")
    return learn(place, "svmlight", place / "old.svm")


def test_a_run_away_from_its_store_predicts_from_any_directory(
    zips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    """The columns are typed as in training: a file of digits alone changes nothing."""
    monkeypatch.chdir(tmp_path)
    new = tmp_path / "new.data"  # whatever it is called
    new.write_text("size,zip\n3,02116\n3,01220\n")
    few = predict(zips, new)
    assert list(few) == [
        "label",
        "class",
        "margin of yes",
        "probability of no",
        "probability of yes",
    ]
    assert list(few["class"]) == ["yes", "no"]
    assert few["label"].isna().all()
    np.testing.assert_allclose(few["probability of yes"], expit(few["margin of yes"]))
    np.testing.assert_allclose(few["probability of no"] + few["probability of yes"], 1.0)
    assert capsys.readouterr().err == ""
    new.write_text("size,zip\n3,02116\n3,01220\n3,K1A\n3,99999\n")
    more = predict(zips, new)
    pd.testing.assert_frame_equal(more[:2], few)
    assert "rows with a 'zip' that training had not: 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (["", ""], []),
        (["yes", ""], ["accuracy=1", "(of 1 row with a label)"]),
        (["yes", "no"], ["accuracy=1"]),
    ],
)
def test_an_empty_target_is_what_one_wants_to_predict(
    zips: Path, tmp_path: Path, labels: list[str], told: list[str], capsys: Said
) -> None:
    new = tmp_path / "new.csv"
    new.write_text(f"hit,size,zip\n{labels[0]},3,02116\n{labels[1]},3,01220\n")
    found = predict(zips, new)
    assert list(found["class"]) == ["yes", "no"]
    assert [label if isinstance(label, str) else "" for label in found["label"]] == labels
    *metrics, last = capsys.readouterr().out.splitlines()
    assert last.startswith("2 rows: ")
    assert bool(metrics) == bool(told)
    assert all(words in metrics[0] for words in told)


def test_a_svmlight_file_counts_as_in_training(sparse: Path, tmp_path: Path, capsys: Said) -> None:
    """A row's prediction is its own, whatever columns the other rows have."""
    new = tmp_path / "new.csv"  # whatever it is called
    new.write_text("0 1:1\n0 1:1 2:1\n")
    few = predict(sparse, new)
    new.write_text("0 1:1\n0 1:1 2:1\n0 0:1\n")
    more = predict(sparse, new)
    pd.testing.assert_frame_equal(more[:2], few)
    assert list(more["class"].astype(str)) == ["2", "2", "3"]
    assert few["label"].isna().all()  # 0 is no class: there are no labels
    other = predict(sparse, new, "--first-column", "0")
    pd.testing.assert_frame_equal(other, more)
    assert capsys.readouterr().err == ""
    new.write_text("2 1:1\n3 0:1\n2 1:1\n")
    assert list(predict(sparse, new)["label"].astype(str)) == ["2", "3", "2"]
    new.write_text("2 1:1\n7 0:1\n2 1:1\n")
    assert main(["predict", str(sparse), str(new)]) == 2
    assert "row 2 of" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["dense", "dense-in-npz", "sparse"])
def test_a_matrix_gets_the_predictions_of_its_columns(
    sparse: Path, tmp_path: Path, kind: str
) -> None:
    dense = np.array([[0.0, 1.0, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    path = tmp_path / "rows"
    with path.open("wb") as file:
        if kind == "dense":
            np.save(file, dense)
        elif kind == "dense-in-npz":
            np.savez(file, dense)
        else:
            save_npz(file, csr_array(dense))
    lines = tmp_path / "rows.svm"
    lines.write_text("0 1:1\n0 1:1 2:1\n0 0:1\n")
    pd.testing.assert_frame_equal(predict(sparse, path), predict(sparse, lines))
    with path.open("wb") as file:
        np.save(file, np.column_stack([dense, np.ones(3)]))  # all columns of the store
    pd.testing.assert_frame_equal(predict(sparse, path), predict(sparse, lines))


def test_parquet_is_known_by_its_content(zips: Path, tmp_path: Path) -> None:
    new, table = tmp_path / "new", pd.DataFrame({"zip": ["02116", "K1A"], "size": [3, 3]})
    table.to_parquet(new)
    table.to_csv(tmp_path / "new.svm", index=False)
    pd.testing.assert_frame_equal(predict(zips, new), predict(zips, tmp_path / "new.svm"))


def test_what_is_not_like_the_training_data_is_one_sentence(
    zips: Path, sparse: Path, tmp_path: Path, capsys: Said
) -> None:
    parquet, matrix, cube = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    pd.DataFrame({"zip": ["02116"]}).to_parquet(parquet)
    for path, shape in ((matrix, (2, 9)), (cube, (2, 2, 2))):
        with path.open("wb") as file:
            np.save(file, np.ones(shape))
    for run, data, expected in (
        (zips, parquet, "has no column 'size', which the model was trained on"),
        (zips, matrix, "has 9 columns without names, and the model of"),
        (sparse, matrix, "has 9 columns, but the model of"),
        (sparse, cube, "is no matrix of numbers: it holds float64 of shape (2, 2, 2)"),
        (sparse, parquet, "does not know the columns of a table"),
        (sparse, tmp_path, "does not know the columns of a table"),
        (sparse, tmp_path / "nowhere", "nowhere is not there; give a store"),
    ):
        capsys.readouterr()
        assert main(["predict", str(run), str(data)]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert expected in line


def test_a_store_of_the_same_data_is_predicted_with_its_names(sparse: Path) -> None:
    store = sparse.parents[1] / "store"
    found = predict(sparse, store)
    assert set(found["label"]) == {2, 3}
    test = Store.open(store).test
    np.testing.assert_array_equal(found["label"] == 3, test.labels > 0)
    assert list(predict(sparse, store, "--split", "train")) == list(found)


def test_metrics_weigh_rows_as_the_run_did(tmp_path: Path, capsys: Said) -> None:
    """A store of weighted rows with offsets: the run's own metrics, to the last digit shown."""
    rows = [f"{i % 5},{1 + i % 3},{i % 4 / 8},{(i * 7) % 11}" for i in range(100)]
    (tmp_path / "old.csv").write_text("\n".join(["a,w,o,y", *rows]) + "\n")
    run = learn(
        tmp_path, "csv", tmp_path / "old.csv", "target=y", "numeric=a", "weight=w", "offset=o"
    )
    told = Run.open(run).summary
    assert told is not None
    capsys.readouterr()
    predict(run, tmp_path / "store")
    metrics = " ".join(f"{name}={value:.6g}" for name, value in told.metrics.items())
    assert capsys.readouterr().out.splitlines()[0] == metrics


def test_python_reads_the_same_files(zips: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.write_text("size,zip\n3,02116\n3,01220\n")
    assert eh.Run.open(zips).predict(new).tolist() == list(predict(zips, new)["class"])


def test_python_refuses_a_store_of_another_meaning_and_weighs_rows(
    sparse: Path, tmp_path: Path
) -> None:
    """Of as many columns, which stand for something else."""
    run, store = eh.Run.open(sparse), sparse.parents[1] / "store"
    assert run.score(store) == pytest.approx(run.summary.metrics)
    (tmp_path / "other.svm").write_text("".join(f"{i % 2} {1 + i % 3}:1\n" for i in range(60)))
    other = ["prepare", "svmlight", "--from", str(tmp_path / "other.svm")]
    assert main([*other, "--out", str(tmp_path / "other")]) == 0
    with pytest.raises(eh.DataError, match="stand for other categories or scales"):
        run.predict(tmp_path / "other")


def test_several_classes_are_predicted_by_name(tmp_path: Path) -> None:
    kinds = ("red", "green", "blue")
    rows = [f"{i % 3 + (i % 7) / 100},{kinds[i % 3]}" for i in range(150)]
    (tmp_path / "old.csv").write_text("\n".join(["a,kind", *rows]) + "\n")
    run = learn(tmp_path, "csv", tmp_path / "old.csv", "target=kind")
    (tmp_path / "new.csv").write_text("a,kind\n0,\n2,blue\n")
    found = predict(run, tmp_path / "new.csv")
    assert list(found["class"]) == ["red", "blue"]
    assert found["label"].isna().tolist() == [True, False]
    chances = found[[f"probability of {kind}" for kind in sorted(kinds)]].to_numpy()
    np.testing.assert_allclose(chances.sum(axis=1), 1.0)
    margins = found[[f"margin of {kind}" for kind in sorted(kinds)]].to_numpy()
    np.testing.assert_allclose(chances, softmax(margins, axis=1))


def test_a_model_says_what_made_it(zips: Path, sparse: Path) -> None:
    for path, kind, classes in ((zips, "table", ("no", "yes")), (sparse, "svmlight", ("2", "3"))):
        run = Run.open(path)
        assert run.origin is not None
        assert run.origin.encoding is not None
        assert run.origin.encoding.kind == kind
        assert run.origin.classes == classes
        assert run.origin.labels == "two classes"
        assert run.model["version"]
        assert run.model["model"] == "logistic"


def test_arrays_are_read_in_the_shape_of_training(tmp_path: Path, capsys: Said) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    images = rng.integers(0, 50, (120, 2, 4))
    images[np.arange(120), 0, labels] += 200
    for name, array in {
        "x": images,
        "y": labels,
        "flat": images.reshape(120, 8),
        "turned": images.transpose(0, 2, 1),
        "wide": np.ones((3, 9)),
    }.items():
        np.save(tmp_path / f"{name}.npy", array)
    run = learn(tmp_path, "npy", tmp_path / "x.npy", f"y={tmp_path / 'y.npy'}", "divisor=255")
    shutil.rmtree(tmp_path / "store")
    for name in ("x", "flat"):
        assert (predict(run, tmp_path / f"{name}.npy")["class"] == labels).mean() > 0.95
    table = tmp_path / "table.csv"
    table.write_text("a,b\n1,2\n")
    for path, words in (
        (tmp_path / "turned.npy", "it holds int64 of shape (120, 4, 2)"),
        (tmp_path / "wide.npy", "has 9 columns, but the model of"),
        (table, "is no array, and"),
    ):
        assert main(["predict", str(run), str(path)]) == 2
        assert words in capsys.readouterr().err
