"""What preparing decided, as text and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erasurehead.datasets.encodings import Encoding, encoding_text, parse_encoding
from erasurehead.datasets.encodings.svmlight import SvmlightEncoding
from erasurehead.datasets.encodings.table import Categories, Numbers, TableEncoding, TextForm
from erasurehead.datasets.manifest import MANIFEST
from erasurehead.datasets.store import Store
from erasurehead.errors import DataError

TABLE = TableEncoding(
    target="sold",
    target_type="text",
    labels="two classes",
    classes=("no", "ja, später"),
    categorical=(
        Categories("town", "text", ("1", "Köln")),
        Categories("id", "integer", (1, 2**63 - 1)),
        Categories("garden", "boolean", (False, True)),
    ),
    numeric=(Numbers("area", 1e200, 0.0), Numbers("floor", -0.0, 5e-324)),
    weight="w",
    offset=None,
    form=TextForm(";", ",", ("", "?")),
)
SVMLIGHT = SvmlightEncoding(first_column=0, features=7, labels="classes", classes=("1", "5", "9"))


@pytest.mark.parametrize("encoding", [TABLE, SVMLIGHT])
def test_an_encoding_is_read_back_to_the_last_bit(encoding: Encoding) -> None:
    read = parse_encoding(encoding_text(encoding), "s")
    assert read == encoding
    assert encoding_text(read) == encoding_text(encoding)
    assert read.meaning == encoding.meaning


@given(
    st.lists(
        st.one_of(
            st.text(st.characters(codec="utf-8")),
            st.booleans(),
            st.integers(-(2**63), 2**63 - 1),
            st.floats(allow_nan=False, allow_infinity=False),
        )
    )
)
def test_values_keep_their_kinds(values: list[str | bool | int | float]) -> None:
    encoding = TableEncoding(
        "y", "number", "numbers", (), (Categories("x", "text", tuple(values)),), ()
    )
    read = parse_encoding(encoding_text(encoding), "s")
    assert isinstance(read, TableEncoding)
    assert [repr(v) for v in read.categorical[0].values] == [repr(v) for v in values]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Invalid JSON"),
        ("[]", "should be an object"),
        ('{"kind": "graph"}', "does not match any of the expected tags"),
        ('{"kind": "table"}', "table.target: Field required"),
        (encoding_text(SVMLIGHT).replace('"first_column": 0', '"first_column": 2'), "Input should"),
        (encoding_text(SVMLIGHT).replace('"features": 7', '"features": "7"'), "valid integer"),
        (encoding_text(SVMLIGHT).replace('"features"', '"more": 1, "features"'), "svmlight.more: "),
        (encoding_text(TABLE).replace("1e+200", "Infinity"), "numeric.0.mean: .*finite number"),
    ],
)
def test_what_is_no_encoding(text: str, reason: str) -> None:
    with pytest.raises(DataError, match=f"the encoding of s is damaged .*{reason}") as refused:
        parse_encoding(text, "s")
    assert "\n" not in str(refused.value)


def test_columns_of_stores_before_version_4_are_read(small_store: Store) -> None:
    """The values themselves say how they are compared, for the file did not."""
    path = small_store.path
    raw = json.loads((path / MANIFEST).read_text())
    del raw["classes"], raw["encoding"]
    (path / MANIFEST).write_text(json.dumps({**raw, "format_version": 3}))
    assert Store.open(path).encoding is None
    old = {
        "target": "sold",
        "classes": ["no", "yes"],
        "categorical": {"a": ["x", "1"], "b": [1, 2], "c": [False, True], "d": [1, 2.5]},
        "numeric": {"area": [80.0, 20.0]},
    }
    (path / "columns.json").write_text(json.dumps(old))
    encoding = Store.open(path).encoding
    assert isinstance(encoding, TableEncoding)
    assert [c.type for c in encoding.categorical] == ["text", "integer", "boolean", "number"]
    assert encoding.numeric == (Numbers("area", 80.0, 20.0),)
    assert (encoding.classes, encoding.target_type) == (("no", "yes"), "text")
    (path / "columns.json").write_text('{"target": "sold"}')
    with pytest.raises(DataError, match=r"columns.json is damaged .*remove the store and prepare"):
        _ = Store.open(path).encoding


@pytest.mark.parametrize(
    ("names", "value_type"),
    [(["0", "1"], "number"), (["False", "True"], "boolean"), (["no", "yes"], "text")],
)
def test_classes_of_stores_before_version_4_are_compared_as_what_they_are(
    small_store: Store, names: list[str], value_type: str
) -> None:
    path = small_store.path
    raw = json.loads((path / MANIFEST).read_text())
    del raw["classes"], raw["encoding"]
    (path / MANIFEST).write_text(json.dumps({**raw, "format_version": 3}))
    old = {"target": "y", "classes": names, "categorical": {}, "numeric": {}}
    Path(path / "columns.json").write_text(json.dumps(old))
    encoding = Store.open(path).encoding
    assert isinstance(encoding, TableEncoding)
    assert encoding.target_type == value_type
