from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from erasurehead.datasets.manifest import MANIFEST, parse_manifest, read_manifest
from erasurehead.datasets.store import Store
from erasurehead.errors import DataError

Json = dict[str, Any]


def edited(store: Store, edit: Callable[[Json], object]) -> bytes:
    raw = json.loads((store.path / MANIFEST).read_text())
    edit(raw)
    return json.dumps(raw).encode()


def test_the_text_is_read_back(small_store: Store) -> None:
    assert parse_manifest(small_store.manifest.to_json().encode(), "s") == small_store.manifest


def test_no_store_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is not a store \(manifest.json: No such file or dir"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("version", [0, 5, "1", None])
def test_another_format_version(small_store: Store, version: object) -> None:
    text = edited(small_store, lambda raw: raw.update(format_version=version))
    sentence = f"has format version {version}, this program reads 1 to 4;"
    with pytest.raises(DataError, match=sentence):
        parse_manifest(text, small_store.path)


def test_another_format_version_is_told_even_if_all_else_differs() -> None:
    with pytest.raises(DataError, match="has format version 7"):
        parse_manifest(b'{"format_version": 7, "rows_in_parts": [1, 2]}', "s")


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda raw: raw.pop("rows"), "the manifest lacks the key rows"),
        (lambda raw: raw.update(row=1), "the manifest has an unknown key row"),
        (lambda raw: raw.update(rows=-1), "rows is no count"),
        (lambda raw: raw.update(rows=True), "rows is no count"),
        (lambda raw: raw.update(rows=8), "array indptr is <i8 of shape (10,), expected <i8"),
        (lambda raw: raw.update(target="ranking"), "target ranking is unknown"),
        (lambda raw: raw.update(target=[]), "target [] is unknown"),
        (lambda raw: raw.update(name=3), "name is no text"),
        (lambda raw: raw.update(columns=7), "array column_squares is <f8 of shape (6,), expected"),
        (
            lambda raw: raw.update(columns=2**31) or raw["arrays"].pop("column_squares"),
            "array indices is <i4",
        ),
        (lambda raw: raw.update(values_are_ones=False), "array test_values is absent, expected"),
        (lambda raw: raw.update(values_are_ones=1), "values_are_ones is neither true nor false"),
        (lambda raw: raw.update(arrays=[]), "arrays is no object"),
        (lambda raw: raw["arrays"].update(labels=3), "array labels is no object"),
        (lambda raw: raw["arrays"].pop("labels"), "array labels is absent, expected <f8"),
        (lambda raw: raw["arrays"]["labels"].update(shape=9), "the shape of labels is no list"),
        (lambda raw: raw["arrays"]["labels"].update(dtype="|O"), "array labels is |O of shape"),
        (lambda raw: raw["arrays"]["labels"].update(dtype=8), "dtype of labels is no text"),
        (lambda raw: raw["arrays"]["labels"].update(file_bytes=""), "file_bytes of labels is no"),
        (lambda raw: raw["arrays"]["labels"].update(sha256="0" * 64), "its digest is not that of"),
        (lambda raw: raw.update(digest="../../elsewhere"), "its digest is not that of its arrays"),
        (
            lambda raw: raw["arrays"].update({"../evil": raw["arrays"]["labels"]}),
            "array ../evil is <f8 of shape (9,), expected absent",
        ),
        (lambda raw: raw.update(classes="no"), "classes is no list of texts"),
        (lambda raw: raw.update(classes=[1, 2]), "classes is no list of texts"),
        (lambda raw: raw.update(encoding=3), "encoding is no object"),
        (lambda raw: raw.update(encoding={"sha256": 1, "file_bytes": 1}), "sha256 of encoding is"),
        (
            lambda raw: raw["arrays"].update(weights=raw["arrays"]["labels"]),
            "array test_weights is absent, expected <f8 of shape (3,)",
        ),
        (lambda raw: raw["provenance"].pop("source"), "provenance lacks the key source"),
        (lambda raw: raw["provenance"].update(source=1), "source is no text"),
        (lambda raw: raw["provenance"].update(options=1), "options is no object"),
        (lambda raw: raw["provenance"].update(notes={"a": 1}), "notes is no text"),
    ],
)
def test_a_manifest_that_no_store_can_have(
    small_store: Store, edit: Callable[[Json], object], reason: str
) -> None:
    with pytest.raises(DataError) as refused:
        parse_manifest(edited(small_store, edit), "s")
    sentence = str(refused.value)
    assert sentence.startswith("manifest.json of the store s is damaged: " + reason)
    assert sentence.endswith("; prepare the store again")


@pytest.mark.parametrize(
    "text", [b"", b"\xff\xfe{", b"[]", b"null", b"7", b'"a"', b"{}", b"{", b"[" * 100_000]
)
def test_no_manifest_at_all(text: bytes) -> None:
    with pytest.raises(DataError, match="it is no JSON object with a format_version"):
        parse_manifest(text, "s")


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        ({"shape": [7]}, "array column_squares is <f8 of shape (7,), expected <f8 of shape (6,)"),
        ({"dtype": "<f4"}, "array column_squares is <f4 of shape (6,), expected <f8 of"),
    ],
)
def test_column_squares_that_no_store_can_have(small_store: Store, edit: Json, reason: str) -> None:
    text = edited(small_store, lambda raw: raw["arrays"]["column_squares"].update(edit))
    with pytest.raises(DataError, match=re.escape(reason)):
        parse_manifest(text, "s")


def as_version_3(raw: Json) -> None:
    """Say what version 3 said: two classes by their names, in notes."""
    raw["format_version"] = 3
    raw["provenance"]["notes"] = {"-1": "no", "+1": "yes", "columns": "0f"}
    del raw["classes"], raw["encoding"]


def test_a_manifest_of_version_3_has_its_classes_in_notes(small_store: Store) -> None:
    read = parse_manifest(edited(small_store, as_version_3), "s")
    assert read.classes == ("no", "yes")
    assert (read.encoding, read.meaning) == (None, "0f")
    assert read.digest == small_store.digest
    assert parse_manifest(read.to_json().encode(), "s") == read


def as_version_2(raw: Json) -> None:
    """Say what version 2 said."""
    as_version_3(raw)
    raw["format_version"] = 2
    del raw["arrays"]["column_squares"]


def test_a_manifest_of_version_2_lacks_column_squares_and_has_the_same_digest(
    small_store: Store,
) -> None:
    read = parse_manifest(edited(small_store, as_version_2), "s")
    assert "column_squares" not in read.arrays
    assert read.digest == small_store.digest
    assert parse_manifest(read.to_json().encode(), "s") == read


def as_version_1(raw: Json) -> None:
    """Say what version 1 said: labels by the loss that it took for them."""
    as_version_2(raw)
    raw["format_version"] = 1
    raw["task"] = {"two classes": "logistic", "numbers": "least-squares"}[raw.pop("target")]
    raw["provenance"]["options"] = {"target": "sold", "task": "logistic"}


def test_a_manifest_of_version_1_says_the_same_in_todays_words(small_store: Store) -> None:
    read = parse_manifest(edited(small_store, as_version_1), "s")
    assert read.target == "two classes"
    assert read.provenance.options == {"target": "sold", "labels": "two-classes"}
    assert read.digest == small_store.digest
    assert parse_manifest(read.to_json().encode(), "s") == read


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda raw: raw.update(task="ranking"), "target ranking is unknown"),
        (lambda raw: raw.update(task=[]), "target [] is unknown"),
        (lambda raw: raw.pop("task"), "the manifest lacks the key target"),
        (lambda raw: raw.update(target="numbers"), "the manifest has an unknown key task"),
        (lambda raw: raw.update(task="least-squares"), "its digest is not that of its arrays"),
        (lambda raw: raw["provenance"].update(options={"task": []}), "options is no text"),
    ],
)
def test_a_manifest_of_version_1_that_no_store_can_have(
    small_store: Store, edit: Callable[[Json], object], reason: str
) -> None:
    def both(raw: Json) -> None:
        as_version_1(raw)
        edit(raw)

    with pytest.raises(DataError, match=re.escape(f"is damaged: {reason}")):
        parse_manifest(edited(small_store, both), "s")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_cut_manifest_is_refused(small_store: Store, data: st.DataObject) -> None:
    text = (small_store.path / MANIFEST).read_bytes().rstrip()
    with pytest.raises(DataError):
        parse_manifest(text[: data.draw(st.integers(0, len(text) - 1))], "s")
