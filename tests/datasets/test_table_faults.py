"""Tables that people have, each of which once gave a wrong model or a misleading sentence."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from erasurehead.datasets.alike import read_alike
from erasurehead.datasets.encoding import split
from erasurehead.datasets.encodings.table import Numbers, TableEncoding
from erasurehead.datasets.manifest import ENCODING
from erasurehead.datasets.prepare import PreparedStore, prepare
from erasurehead.datasets.tables import kept, parquet, text
from erasurehead.errors import DataError
from tests.support.small_rows import assert_same_rows, matrix_of

Prepare = Callable[..., PreparedStore]
N_ROWS = 300


@pytest.fixture
def make(tmp_path: Path) -> Prepare:
    made = iter(range(1000))

    def make(source: Path | str | list[Path], **options: str) -> PreparedStore:
        if isinstance(source, str):
            path = tmp_path / "t.csv"
            path.write_text(source, encoding="utf-8")
            source = path
        options = {"target": "y", **options}
        return prepare("csv", source=source, out=tmp_path / f"s{next(made)}", options=options)

    return make


def encoding_of(made: PreparedStore) -> TableEncoding:
    encoding = made.store.encoding
    assert isinstance(encoding, TableEncoding)
    return encoding


def table(**columns: Any) -> str:
    return pd.DataFrame(columns).to_csv(index=False)


RNG = np.random.default_rng(17)
X = RNG.normal(size=N_ROWS)
Y = (X > 0).astype(int)


def test_a_comma_at_the_end_of_each_line_moves_nothing(make: Prepare) -> None:
    plain = table(area=X, y=Y, agent=RNG.choice(["A", "B"], N_ROWS))
    head, *lines = plain.splitlines()
    with_commas = "\n".join([head, *(line + "," for line in lines)]) + "\n"
    first, second = make(plain), make(with_commas)
    assert first.store.digest == second.store.digest
    assert encoding_of(first) == encoding_of(second)


def test_numbers_with_one_mark_are_no_categories(make: Prepare) -> None:
    """1. The mark is named. 2. It may mean a missing value, and the row may be left out. 3. Each
    value may be a category after all."""
    hp = [f"{v:.1f}" for v in 50 + 100 * RNG.random(N_ROWS)]
    hp[36] = "?"
    cars = table(hp=hp, y=Y)
    for options, sentence in (
        (
            {},
            r"column 'hp' holds numbers, but row 37 of .*t.csv has '\?'; correct it, say missing=",
        ),
        (
            {"numeric": "hp"},
            r"'hp' of .*t.csv does not hold numbers: row 37 has '\?'; correct it, s",
        ),
        (
            {"missing": "?"},
            r"has 1 missing value, the first in row 37 \('\?'; missing= says which",
        ),
    ):
        with pytest.raises(DataError, match=sentence):
            make(cars, **options)
    without = make(cars, missing="?", incomplete="leave-out")
    assert without.assumed[0].startswith("1 of 300 rows of")
    manifest = without.store.manifest
    assert (manifest.rows + manifest.test_rows, manifest.columns) == (N_ROWS - 1, 2)
    assert make(cars, categorical="hp").store.manifest.columns == len(set(hp)) + 1


def test_a_mark_far_down_the_table_is_found_as_well(
    make: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first pieces hold numbers only, and codes of shops that look like them."""
    monkeypatch.setattr(text, "BLOCK_BYTES", 64)
    hp = [*map(str, range(N_ROWS - 1)), "none of them"]
    with pytest.raises(DataError, match=r"row 300 of .* has 'none of them'"):
        make(table(hp=hp, y=Y))
    shop = [*map(str, range(100)), *(f"K{i % 9}" for i in range(N_ROWS - 100))]
    encoding = encoding_of(make(table(shop=shop, y=Y)))
    assert encoding.categorical[0].values == tuple(sorted(set(shop)))


def test_dates_are_no_categories(make: Prepare) -> None:
    when = pd.date_range("2024-01-31", periods=N_ROWS).astype(str)
    with pytest.raises(
        DataError, match=r"'when' holds dates \(row 1 of .*: '2024-01-31'\); make n"
    ):
        make(table(when=when, y=Y))
    assert make(table(when=when, y=Y), categorical="when").store.manifest.columns == N_ROWS + 1


def test_codes_with_a_zero_in_front_are_texts_here_and_in_a_new_table(
    make: Prepare, tmp_path: Path
) -> None:
    """A new table without the code that shows it was read as one of numbers."""
    codes = ["02116", "01220", "94107", "K1A"]
    encoding = encoding_of(make(table(zip=[codes[i % 4] for i in range(N_ROWS)], y=Y)))
    new = tmp_path / "new.csv"
    new.write_text("zip\n02116\n01220\n2116\n")
    found = read_alike(encoding, new)
    assert found.strangers == {"zip": 1}
    assert [row[row < 4].tolist() for row in np.split(found.rows.indices, [2, 4])] == [[1], [0], []]


def test_grades_of_which_one_is_a_word(make: Prepare, tmp_path: Path) -> None:
    grades = ["1", "2", "3", "unknown"]
    encoding = encoding_of(make(table(grade=[grades[i % 4] for i in range(N_ROWS)], y=Y)))
    new = tmp_path / "new.csv"
    new.write_text("grade\n1\n2\n2.5\n")
    found = read_alike(encoding, new)
    assert found.strangers == {"grade": 1}
    np.testing.assert_array_equal(matrix_of(found.rows).toarray()[:2, :2], np.eye(2))


def test_ids_beyond_the_whole_numbers_of_a_float(make: Prepare, tmp_path: Path) -> None:
    ids = [2**53 + 2 * (i % 2) for i in range(N_ROWS)]
    new = tmp_path / "new.csv"
    new.write_text(f"shop\n{2**53}\n{2**53 + 1}\n{2**53 + 2}\n")
    for kind in ("csv", "parquet"):
        path = tmp_path / f"ids.{kind}"
        frame = pd.DataFrame({"shop": ids, "y": Y})
        frame.to_parquet(path) if kind == "parquet" else frame.to_csv(path, index=False)
        encoding = encoding_of(make(path, categorical="shop"))
        assert encoding.categorical[0].values == (2**53, 2**53 + 2)
        found = read_alike(encoding, new)
        assert found.strangers == {"shop": 1}
        np.testing.assert_array_equal(
            matrix_of(found.rows).toarray()[:, :2], [[1, 0], [0, 0], [0, 1]]
        )


def test_ids_that_nobody_called_categories_are_at_least_said(make: Prepare) -> None:
    ids = table(shop=[2**53 + 2 * (i % 2) for i in range(N_ROWS)], y=Y)
    assert [s for s in make(ids).assumed if "column 'shop' of" in s and "which are rounded" in s]
    assert not make(ids, numeric="shop").assumed


def test_a_column_of_names_is_said_to_teach_nothing(make: Prepare) -> None:
    """It becomes a column of the store for every name; the user may have had too little sleep."""
    names = [f"name {i // 2 if i < 100 else i}" for i in range(N_ROWS)]
    made = make(table(x=X, name=names, y=Y))
    (said,) = [s for s in made.assumed if "a text of its own" in s]
    assert "column 'name' of" in said
    assert "in 200 of 300 rows" in said
    assert not [
        s
        for asked in ({"categorical": "name", "numeric": "x"}, {"numeric": "x"})
        for s in make(table(x=X, name=names, y=Y), **asked).assumed
        if "a text of its own" in s
    ]
    pairs = [f"name {i % 200}" for i in range(N_ROWS)]
    made = make(table(x=X, name=pairs, y=Y))
    assert not [s for s in made.assumed if "a text of its own" in s]


def test_classes_that_are_ids(make: Prepare) -> None:
    """Two of them were one float, and one class."""
    y = [str(2**53 + i % 2) for i in range(N_ROWS)]
    assert make(table(x=X, y=y)).store.manifest.classes == (str(2**53), str(2**53 + 1))


@pytest.mark.parametrize("kind", ["classes", "two-classes"])
def test_classes_in_many_pieces(make: Prepare, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(text, "BLOCK_BYTES", 64)
    made = make(table(x=X, y=Y), labels=kind)
    assert made.store.manifest.classes == ("0", "1")
    assert made.store.manifest.target == kind.replace("-", " ")


def test_na_is_a_country_if_the_user_says_so(make: Prepare) -> None:
    countries = table(country=["NA", "ZA", "BW"] * 100, y=Y)
    with pytest.raises(DataError, match=r"has 100 missing values, the first in row 1 \('NA'; miss"):
        make(countries, categorical="country")
    encoding = encoding_of(make(countries, categorical="country", missing=""))
    assert encoding.categorical[0].values == ("BW", "NA", "ZA")
    assert encoding.form.missing == ("",)


def test_values_whose_squares_are_no_numbers(make: Prepare) -> None:
    made = make(table(large=X * 1e200, small=X * 1e-300, constant=[14.62] * N_ROWS, y=Y))
    rows = matrix_of(made.store.train).toarray()
    unit = X[split(N_ROWS)[0]]
    expected = (unit - unit.mean()) / unit.std()
    np.testing.assert_allclose(rows[:, 0], expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(rows[:, 1], expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(rows[:, 2], 0.0)

    def refuse(word: str) -> None:
        raise AssertionError(word)

    json.loads((made.path / ENCODING).read_text(), parse_constant=refuse)
    with pytest.raises(DataError, match=r"column 'y' of .* is 1e\+200 in row 8, and its square is"):
        make(table(x=X, y=[1e200 if i == 7 else 0.5 + i for i in range(N_ROWS)]))


def test_a_number_far_from_training_is_named(make: Prepare, tmp_path: Path) -> None:
    encoding = encoding_of(make(table(x=X * 1e-300, y=Y)))
    new = tmp_path / "new.csv"
    new.write_text("x\n0\n1e300\n")
    with pytest.raises(DataError, match=r"'x' of .* is 1e\+300 in row 2, which is too far from"):
        read_alike(encoding, new)


def test_a_decimal_comma_is_found(make: Prepare, tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": X, "n": np.arange(N_ROWS), "y": Y})
    plain = make(frame.to_csv(index=False))
    german = make(frame.to_csv(index=False, sep=";", decimal=","))
    assert german.store.digest == plain.store.digest
    assert [s.partition(" of ")[0] for s in german.assumed] == ["fields", "numbers"]
    new = tmp_path / "new.csv"
    frame.to_csv(new, index=False, sep=";", decimal=",")
    rows = read_alike(encoding_of(german), new).rows
    np.testing.assert_allclose(rows.labels[split(N_ROWS)[0]], german.store.train.labels)


@pytest.mark.parametrize("name", ["a", "y"])
def test_a_name_that_two_columns_have(make: Prepare, name: str) -> None:
    with pytest.raises(ValueError, match=f"has 2 columns named '{name}'; give each column that is"):
        make(f"a,{name},y\n1,2,0\n3,4,1\n")


# Parquet -----------------------------------------------------------------------------------------


def written(tmp_path: Path, **columns: Any) -> Path:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({**columns, "y": Y}), path)
    return path


def test_decimals_of_parquet_are_numbers(make: Prepare, tmp_path: Path) -> None:
    money = pa.array([Decimal(f"{x:.4f}") for x in X])
    encoding = encoding_of(make(written(tmp_path, money=money)))
    assert [c.name for c in encoding.numeric] == ["money"]


def test_texts_of_parquet_are_texts_also_if_all_are_numbers(make: Prepare, tmp_path: Path) -> None:
    path = written(tmp_path, code=[f"{i % 3}" for i in range(N_ROWS)])
    assert encoding_of(make(path)).categorical[0].values == ("0", "1", "2")
    assert encoding_of(make(path, numeric="code")).numeric[0].name == "code"


def test_types_with_room_for_missing_values_are_what_they_are(
    make: Prepare, tmp_path: Path
) -> None:
    frame = pd.DataFrame({"n": np.arange(N_ROWS) % 7, "b": Y == 1, "f": X, "y": Y})
    path = tmp_path / "t.parquet"
    frame.convert_dtypes().to_parquet(path)
    encoding = encoding_of(make(path))
    assert [c.name for c in encoding.numeric] == ["n", "f"]
    assert [(c.name, c.values) for c in encoding.categorical] == [("b", (False, True))]
    as_number = encoding_of(make(path, numeric="b"))
    train = split(N_ROWS)[0]
    assert as_number.numeric == (Numbers("b", Y[train].mean(), Y[train].std()),)


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        (
            pd.date_range("2024-01-01", periods=N_ROWS),
            r"'c' of .* holds dates or times \(timestamp",
        ),
        ([[1, 2]] * N_ROWS, r"'c' of .* holds lists or structures \(list"),
        ([{"a": 1}] * N_ROWS, r"'c' of .* holds lists or structures \(struct"),
        (
            [b"\x00"] * N_ROWS,
            r"'c' of .* holds bytes \(binary\), which are neither numbers nor cat",
        ),
        ([None] * N_ROWS, "'c' of .* has 300 missing values, the first in row 1; fill them in or"),
    ],
)
def test_columns_that_are_neither_numbers_nor_categories(
    make: Prepare, tmp_path: Path, column: Any, sentence: str
) -> None:
    path = written(tmp_path, c=pa.array(column), x=X)
    with pytest.raises(DataError, match=sentence):
        make(path)
    assert make(path, numeric="x").store.manifest.columns == 2


def test_a_folder_of_parquet_files_is_one_table(
    make: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its folders say is a column; files may have their columns in another order."""
    monkeypatch.setattr(parquet, "PIECE_ROWS", 32)
    frame = pd.DataFrame({"x": X, "town": RNG.choice(["Ulm", "Köln"], N_ROWS), "y": Y})
    frame["year"] = np.where(np.arange(N_ROWS) < 100, "2023", "2024")
    for year, part in frame.groupby("year"):
        folder = tmp_path / "all" / f"year={year}"
        folder.mkdir(parents=True)
        columns = ["y", "x", "town"] if year == "2024" else ["x", "town", "y"]
        part[columns].to_parquet(folder / "part.parquet")
    whole = tmp_path / "whole.parquet"
    frame.to_parquet(whole)
    from_folder, from_file = make(tmp_path / "all"), make(whole)
    assert_same_rows(from_folder.store.train, from_file.store.train)
    packed = tmp_path / "whole.parquet.gz"
    packed.write_bytes(gzip.compress(whole.read_bytes()))
    assert make(packed).store.digest == from_file.store.digest
    files = sorted((tmp_path / "all").rglob("*.parquet"))
    assert make(files, numeric="x").store.digest == make(whole, numeric="x").store.digest


def test_files_of_two_kinds_or_types_are_no_table(make: Prepare, tmp_path: Path) -> None:
    first, second = tmp_path / "1.parquet", tmp_path / "2.parquet"
    pd.DataFrame({"c": ["a", "b"], "y": [0, 1]}).to_parquet(first)
    pd.DataFrame({"c": [1, 2], "y": [0, 1]}).to_parquet(second)
    with pytest.raises(DataError, match=r"'c' of .*2.parquet is of type int64, and before it was"):
        make([first, second])
    text_file = tmp_path / "3.csv"
    text_file.write_text("c,y\n1,0\n")
    with pytest.raises(DataError, match=r"1.parquet is a Parquet file and .*3.csv a text file"):
        make([first, text_file])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds no file of a table"):
        make(tmp_path / "empty")


# More than fits into memory ----------------------------------------------------------------------


@pytest.mark.parametrize("most_listed", [1, 1 << 24])
def test_values_that_wait_on_disk_give_the_same_store(
    make: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_listed: int
) -> None:
    """Whether or not the order is listed, and however small buckets and blocks are."""
    from erasurehead.datasets.tables import arranged, order

    source = table(town=RNG.choice(["Ulm", "Köln", "Bonn"], N_ROWS), x=X, w=RNG.random(N_ROWS), y=Y)
    monkeypatch.setattr(order, "MOST_LISTED", most_listed)
    options = {"weight": "w", "offset": "x", "categorical": "town"}
    in_memory = make(source, **options).store
    monkeypatch.setattr(kept, "MOST_BYTES", 1000)
    monkeypatch.setattr(arranged, "BUCKET_ROWS", 16)
    monkeypatch.setattr(text, "BLOCK_BYTES", 200)
    on_disk = make(source, **options).store
    assert_same_rows(on_disk.train, in_memory.train)
    assert_same_rows(on_disk.test, in_memory.test)
    assert on_disk.digest == in_memory.digest
    assert not [p for p in tmp_path.iterdir() if p.name.startswith("tmp")]


def test_progress_is_told_in_rows(make: Prepare, tmp_path: Path) -> None:
    told: list[int] = []
    path = tmp_path / "t.csv"
    path.write_text(table(x=X, y=Y))
    prepare("csv", source=path, out=tmp_path / "s", options={"target": "y"}, progress=told.append)
    assert told[-1] == N_ROWS


def test_a_target_of_numbers_with_a_mark_is_not_taken_for_classes(make: Prepare) -> None:
    y = [*(f"{x:.3f}" for x in X[1:]), "?"]
    with pytest.raises(
        DataError, match=r"row 300 of .* has '\?'; .* say labels=classes if each val"
    ):
        make(table(x=X, y=y))
