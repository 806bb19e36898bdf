from __future__ import annotations

import gzip
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from erasurehead.datasets.alike import read_alike
from erasurehead.datasets.encoding import split
from erasurehead.datasets.encodings.table import TableEncoding
from erasurehead.datasets.manifest import ENCODING
from erasurehead.datasets.prepare import prepare
from erasurehead.datasets.store import Store
from erasurehead.errors import DataError, ErasureHeadError, UsageError
from tests.support.small_rows import assert_same_rows, matrix_of

N_ROWS = 20


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "town": rng.choice(["Ulm", "Aachen", "Köln"], N_ROWS),
            "floor": rng.integers(0, 4, N_ROWS),
            "area": rng.normal(80.0, 20.0, N_ROWS),
            "has_garden": rng.random(N_ROWS) < 0.5,
            "sold": rng.choice(["no", "yes"], N_ROWS),
            "price": rng.normal(3.0, 1.0, N_ROWS),
        }
    )


class Kitchen:
    """Prepares frames as CSV files."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.made = 0

    def path(self, frame: pd.DataFrame, name: str = "table.csv") -> Path:
        path = self.place / name
        frame.to_csv(path, index=False)
        return path

    def store(self, source: Path | pd.DataFrame, **options: str) -> Store:
        self.made += 1
        path = self.path(source) if isinstance(source, pd.DataFrame) else source
        out = self.place / f"store-{self.made}"
        return prepare("csv", source=path, out=out, options=options).store


def labels_of(store: Store) -> dict[str, str]:
    """What the two classes are called."""
    return dict(zip(("-1", "+1"), store.manifest.classes, strict=True))


@pytest.fixture
def kitchen(tmp_path: Path) -> Kitchen:
    return Kitchen(tmp_path)


def test_text_is_categorical_and_numbers_are_numeric(kitchen: Kitchen, frame: pd.DataFrame) -> None:
    """Categories first, each in sorted order, then numbers, then the constant."""
    store = kitchen.store(frame.drop(columns="price"), target="sold")
    train, test = split(N_ROWS)
    towns = pd.get_dummies(frame["town"]).to_numpy(np.float64)  # sorted
    garden = pd.get_dummies(frame["has_garden"]).to_numpy(np.float64)
    numbers = frame[["floor", "area"]].to_numpy()
    numbers = (numbers - numbers[train].mean(axis=0)) / numbers[train].std(axis=0)
    expected = np.column_stack([towns, garden, numbers, np.ones(N_ROWS)])
    for part, chosen in ((store.train, train), (store.test, test)):
        np.testing.assert_allclose(matrix_of(part).toarray(), expected[chosen], rtol=1e-12)
        np.testing.assert_array_equal(
            part.labels, np.where(frame["sold"].iloc[chosen] == "yes", 1.0, -1.0)
        )
    assert store.manifest.target == "two classes"
    assert labels_of(store) == {"-1": "no", "+1": "yes"}


@pytest.mark.parametrize("options", [{"target": "price"}, {"target": "sold"}, {"target": "floor"}])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_other_rows_are_encoded_alike(
    kitchen: Kitchen, frame: pd.DataFrame, options: dict[str, str], kind: str
) -> None:
    """The rows of the table itself come out as the store has them, also in another type."""
    if options["target"] == "floor":
        frame["floor"] %= 2
    store = kitchen.store(frame, **options)
    again = frame.astype({"floor": "float64"}) if kind == "parquet" else frame
    path = kitchen.place / f"again.{kind}"
    again.to_parquet(path) if kind == "parquet" else again.to_csv(path, index=False)
    assert store.encoding is not None
    assert store.encoding.meaning == store.manifest.meaning
    found = read_alike(store.encoding, path)
    assert not found.strangers
    rows = found.rows
    train, test = split(N_ROWS)
    for chosen, stored in ((train, store.train), (test, store.test)):
        encoded, wanted = matrix_of(rows).toarray()[chosen], matrix_of(stored).toarray()
        np.testing.assert_allclose(encoded, wanted, rtol=1e-12)
        np.testing.assert_array_equal(rows.labels[chosen], stored.labels)


def test_what_training_never_saw(kitchen: Kitchen, frame: pd.DataFrame) -> None:
    """1. A row of an unknown town has none of the towns. 2. There need not be a target. 3. What
    is missing or no number is one sentence."""
    store = kitchen.store(frame, target="sold")
    encoding = store.encoding
    assert isinstance(encoding, TableEncoding)
    towns = len(encoding.categorical[0].values)
    other = frame.drop(columns="sold")
    other.loc[[2, 5], "town"] = "Bonn"
    path = kitchen.path(other, "other.csv")
    found = read_alike(encoding, path)
    assert found.strangers == {"town": 2}
    assert np.isnan(found.rows.labels).all()
    of_town = matrix_of(found.rows).toarray()[:, :towns].sum(axis=1)
    np.testing.assert_array_equal(of_town, [i not in (2, 5) for i in range(N_ROWS)])
    for change, sentence in (
        (other.drop(columns="area"), "other.csv has no column 'area', which the model"),
        (other[:0], "other.csv has no rows"),
        (
            other.assign(area="wide"),
            "'area' of .*other.csv does not hold numbers: row 1 has 'wide'; give it",
        ),
        (other.assign(town=None), "column 'town' of .*other.csv has 20 missing values"),
        (
            other.assign(sold="maybe"),
            "has the value maybe in row 1, but the model tells no from yes",
        ),
    ):
        with pytest.raises(DataError, match=sentence):
            read_alike(encoding, kitchen.path(change, "other.csv"))


def test_a_target_column_that_is_empty_is_as_good_as_none(
    kitchen: Kitchen, frame: pd.DataFrame
) -> None:
    encoding = kitchen.store(frame, target="sold").encoding
    assert encoding is not None
    found = read_alike(encoding, kitchen.path(frame.assign(sold=None), "other.csv"))
    assert np.isnan(found.rows.labels).all()


def test_a_store_that_does_not_say_what_its_columns_are(
    kitchen: Kitchen, frame: pd.DataFrame
) -> None:
    store = kitchen.store(frame, target="sold")
    file = store.path / ENCODING
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(DataError, match=r"encoding.json is damaged: its SHA-256 is not the mani"):
        _ = Store.open(store.path).encoding
    file.unlink()
    with pytest.raises(DataError, match=r"encoding.json of the store cannot be read \(No such"):
        _ = Store.open(store.path).encoding


def test_more_than_two_texts_are_classes(kitchen: Kitchen, frame: pd.DataFrame) -> None:
    """They are coded as 0, 1, 2 in sorted order, and keep their names."""
    store = kitchen.store(frame, target="town", numeric="area")
    assert store.manifest.target == "classes"
    assert store.manifest.classes == ("Aachen", "Köln", "Ulm")
    names = np.array(store.manifest.classes)[store.train.labels.astype(int)]
    np.testing.assert_array_equal(names, frame["town"].iloc[split(N_ROWS)[0]])
    assert store.encoding is not None
    again = read_alike(store.encoding, kitchen.path(frame))
    np.testing.assert_array_equal(again.rows.labels[split(N_ROWS)[0]], store.train.labels)


def test_few_whole_numbers_are_taken_for_classes_and_that_is_said(
    kitchen: Kitchen, frame: pd.DataFrame
) -> None:
    path = kitchen.path(frame.assign(grade=[1 + i % 3 for i in range(N_ROWS)]))
    made = prepare("csv", source=path, out=kitchen.place / "s", options={"target": "grade"})
    assert made.store.manifest.classes == ("1", "2", "3")
    assert [s for s in made.assumed if "3 distinct whole numbers" in s and "labels=numbers" in s]
    as_numbers = kitchen.store(path, target="grade", labels="numbers")
    assert as_numbers.manifest.target == "numbers"
    assert set(as_numbers.train.labels) == {1.0, 2.0, 3.0}


def test_weights_and_offsets_are_kept_by_row(kitchen: Kitchen, frame: pd.DataFrame) -> None:
    frame["w"], frame["exposure"] = np.arange(N_ROWS) % 3, np.linspace(-1.0, 1.0, N_ROWS)
    store = kitchen.store(frame, target="price", numeric="area", weight="w", offset="exposure")
    assert store.manifest.columns == 2
    for part, chosen in zip((store.train, store.test), split(N_ROWS), strict=True):
        assert part.weights is not None
        assert part.offsets is not None
        np.testing.assert_array_equal(part.weights, frame["w"].iloc[chosen])
        np.testing.assert_array_equal(part.offsets, frame["exposure"].iloc[chosen])
    store.check_rows()
    assert store.encoding is not None
    rows = read_alike(store.encoding, kitchen.path(frame.drop(columns=["w", "price"]))).rows
    assert rows.offsets is not None
    np.testing.assert_array_equal(rows.offsets, frame["exposure"])


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ([1.0] * 6 + [-2.0] + [1.0] * 13, "weight 'w' of .* is -2 in row 7; give weights that"),
        ([0.0] * N_ROWS, "weight 'w' of .* is 0 in every row"),
        ([np.nan] * N_ROWS, "column 'w' of .* has 20 missing values"),
        (["heavy"] * N_ROWS, "column 'w' of .* does not hold numbers"),
    ],
)
def test_weights_that_are_none(
    kitchen: Kitchen, frame: pd.DataFrame, weights: list[float] | list[str], sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        kitchen.store(frame.assign(w=weights), target="sold", numeric="area", weight="w")


def test_named_columns_only(kitchen: Kitchen, frame: pd.DataFrame) -> None:
    store = kitchen.store(frame, target="price", categorical="town+floor", numeric="area")
    assert store.manifest.columns == 3 + frame["floor"].nunique() + 1 + 1
    assert store.manifest.target == "numbers"
    np.testing.assert_array_equal(store.test.labels, frame["price"].iloc[split(N_ROWS)[1]])


def test_categories_alone_imply_their_values(kitchen: Kitchen, frame: pd.DataFrame) -> None:
    assert kitchen.store(frame, target="price", categorical="town").train.values is None


@pytest.mark.parametrize("low_high", [(0, 1), (1, 2), (-1, 1), (False, True), ("a", "b")])
def test_two_values_are_two_classes(
    kitchen: Kitchen, frame: pd.DataFrame, low_high: tuple[Any, Any]
) -> None:
    frame["y"] = [low_high[i % 2] for i in range(N_ROWS)]
    store = kitchen.store(frame, target="y", numeric="area")
    assert store.manifest.target == "two classes"
    assert labels_of(store) == {"-1": str(low_high[0]), "+1": str(low_high[1])}
    np.testing.assert_array_equal(store.train.labels, np.where(split(N_ROWS)[0] % 2, 1.0, -1.0))


def test_two_values_may_be_numbers_after_all(kitchen: Kitchen, frame: pd.DataFrame) -> None:
    frame["y"] = [3.0 + i % 2 for i in range(N_ROWS)]
    store = kitchen.store(frame, target="y", numeric="area", labels="numbers")
    assert set(store.train.labels) == {3.0, 4.0}


def test_parquet_and_csv_and_gzip_give_the_same_rows(kitchen: Kitchen, frame: pd.DataFrame) -> None:
    frame["town"] = frame["town"].astype("category")
    frame["floor"] = frame["floor"].astype("Int8")  # a type with missing values, none missing
    parquet = kitchen.place / "table.parquet"
    frame.to_parquet(parquet)
    csv = kitchen.path(frame)
    packed = kitchen.place / "table.csv.gz"
    packed.write_bytes(gzip.compress(csv.read_bytes()))
    from_csv = kitchen.store(csv, target="sold")
    assert kitchen.store(packed, target="sold").digest == from_csv.digest
    from_parquet = kitchen.store(parquet, target="sold")
    assert_same_rows(from_parquet.train, from_csv.train)
    assert_same_rows(from_parquet.test, from_csv.test)


def test_short_integers_of_a_parquet_file(kitchen: Kitchen) -> None:
    """Their differences used to wrap around, so that two categories became one."""
    values = np.array([-128, 100, 0, -27] * 5, dtype=np.int8)
    path = kitchen.place / "t.parquet"
    pd.DataFrame({"x": values, "y": np.arange(20.0)}).to_parquet(path)
    assert kitchen.store(path, target="y", categorical="x").manifest.columns == 4 + 1


def test_parquet_columns_named_by_numbers(kitchen: Kitchen) -> None:
    buffer = io.BytesIO()
    table = pd.DataFrame({0: np.arange(10.0), 1: np.arange(10.0)})
    table.to_parquet(buffer)
    path = kitchen.place / "t.parquet"
    path.write_bytes(buffer.getvalue())
    assert kitchen.store(path, target="1").manifest.columns == 2


def _with(frame: pd.DataFrame, column: str, row: int, value: str | float | None) -> pd.DataFrame:
    changed = frame.copy()
    changed[column] = [value if i == row else v for i, v in enumerate(frame[column])]
    return changed


@pytest.mark.parametrize("column", ["town", "area", "sold"])
def test_a_missing_value(kitchen: Kitchen, frame: pd.DataFrame, column: str) -> None:
    broken = _with(_with(frame, column, 7, None), column, 12, None)
    with pytest.raises(
        DataError,
        match=f"column '{column}' of .* has 2 missing values, the first in row 8; fill them in or",
    ):
        kitchen.store(broken, target="sold")


def test_a_missing_value_elsewhere_does_not_matter(kitchen: Kitchen, frame: pd.DataFrame) -> None:
    store = kitchen.store(_with(frame, "area", 7, None), target="sold", categorical="town")
    towns = frame["town"].nunique()
    assert store.manifest.columns == towns + 1
    assert store.manifest.rows + store.manifest.test_rows == N_ROWS


@pytest.mark.parametrize("column", ["area", "price"])
def test_an_infinite_value(kitchen: Kitchen, frame: pd.DataFrame, column: str) -> None:
    """An infinite target used to be taken for a label."""
    with pytest.raises(DataError, match=f"column '{column}' of .* is infinite in row 4"):
        kitchen.store(_with(frame, column, 3, np.inf), target="price", numeric="area")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"target": "prize"}, r"has no column 'prize' \(did you mean 'price'\?\); its columns: to"),
        ({"target": "sold", "numeric": "areas"}, r"no column 'areas' \(did you mean 'area'\?\)"),
        (
            {"target": "sold", "numeric": "town"},
            "'town' of .* does not hold numbers: row 1 has '.*'; correct it, say",
        ),
        ({"target": "sold", "numeric": "area+sold"}, "column 'sold' is the target and cannot be a"),
        (
            {"target": "sold", "numeric": "area", "categorical": "area"},
            "column 'area' is named both categorical and numeric",
        ),
        ({"target": "sold", "categorical": "floor+floor"}, "named both categorical and categorica"),
        ({"target": "sold", "weight": "area", "offset": "area"}, "named both weight and offset; n"),
        ({"target": "sold", "numeric": "area", "weight": "area"}, "named both numeric and weight"),
        (
            {"target": "town", "labels": "numbers"},
            "'town' of .* does not hold numbers: row 1 has '.*'; labels must be numbers, or cl",
        ),
        (
            {"target": "town", "labels": "two-classes"},
            "has 3 distinct values; two classes need",
        ),
        ({"target": "sold", "labels": "numbers"}, "'sold' of .* does not hold numbers: row 1 has"),
        (
            {"target": "sold", "labels": "ranking"},
            "option labels=ranking of data set 'csv' does",
        ),
        ({}, "data set 'csv' needs target; write for example --option target="),
        ({"targets": "sold"}, r"has no option 'targets' \(did you mean 'target'\?\)"),
    ],
)
def test_options_that_do_not_fit(
    kitchen: Kitchen, frame: pd.DataFrame, options: dict[str, str], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        kitchen.store(frame, **options)
    assert not (kitchen.place / "store-1").exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "cannot be read as a table: No columns to parse"),
        (b"x,y\n1,2\n3,4,5,6\n", "line 3 of .* has 4 fields, the header 2; give every row as"),
        (b"x,y\n\xff\xfe,2\n", "cannot be read as a table: "),
        (b"x,y\n", "has 0 rows; at least 2 are needed"),
        (b"x,y\r1,2\r", "its lines end as on old Macs, with CR alone; convert it"),
        (b"PK\x03\x04sheet", r"it is a ZIP archive; give text or Parquet \(a spreadsheet: save"),
        (b"x,z\n1,2\n", "has no column 'y'; its columns: x, z$"),
        (
            b",".join(b"c%d" % i for i in range(30)) + b"," + b"l" * 99 + b"\n1,2\n",
            "its columns: c0, c1, .*, c19 and 11 more$",
        ),
        (b"l" * 99 + b"\x07,z\n1,2\n", "its columns: l{40}..., z$"),
        (b"x,y\n1,2\n", "has 1 row; at least 2 are needed"),
    ],
)
def test_files_that_are_no_tables(kitchen: Kitchen, content: bytes, sentence: str) -> None:
    path = kitchen.place / "t.csv"
    path.write_bytes(content)
    with pytest.raises(ErasureHeadError, match=sentence) as refused:
        kitchen.store(path, target="y")
    assert "\n" not in str(refused.value)


def test_a_parquet_file_that_is_none(kitchen: Kitchen) -> None:
    path = kitchen.place / "t.parquet"
    path.write_bytes(b"x,y\n1,2\n")
    with pytest.raises(DataError, match="cannot be read as a table"):
        kitchen.store(path, target="y")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="prepare csv needs a table: give a CSV or Parquet file"):
        prepare("csv", source=None, out=tmp_path / "s", options={"target": "y"})


def test_numbers_are_read_without_pandas(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,y\n" + "".join(f"{i},{i % 2}\n" for i in range(20)))
    script = (
        "import sys; from pathlib import Path; from erasurehead.datasets.prepare import prepare;"
        " source, out = map(Path, sys.argv[1:]);"
        " prepare('csv', source=source, out=out, options={'target': 'y'}); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, path, tmp_path / "s"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert {"pyarrow", "numpy"} <= set(done.stdout.split())
    assert "pandas" not in done.stdout.split()


def test_without_pyarrow(
    kitchen: Kitchen, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = kitchen.path(frame)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"needs pyarrow: pip install 'erasurehead\[data\]'"):
        kitchen.store(path, target="sold")
