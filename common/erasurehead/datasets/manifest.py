"""The manifest of a store: what its files are, and whether that can be true.

A manifest may come from anywhere, so everything a program does because of it (names of files to
read or write, sizes to map) is checked here against what a store can be.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

from erasurehead.datasets.older import OLD_TASKS, upgraded
from erasurehead.errors import DataError, reason_of
from erasurehead.rows import Target

FORMAT_VERSION = 4
MANIFEST = "manifest.json"
ARRAYS = ("indptr", "indices", "values", "labels", "weights", "offsets")
PREFIXES = ("", "test_")
PER_ROW = ("weights", "offsets")
"""Arrays of a number a row that a store need not have, but has for both parts or for none."""

ENCODING = "encoding.json"
"""File of a store whose source's other rows can be encoded alike (`encodings`)."""

COLUMN_SQUARES = "column_squares"
"""An array that may be there: the sum of squares of each column's entries in the training rows. It
follows from them, so it is no part of the content; older stores are without it, and those with more
columns than entries (`MOST_COLUMNS`)."""

MOST_COLUMNS = 1 << 20
"""Stores of at most so many columns have the array in any case."""

MEANING = "columns"
"""The note that holds a digest of what columns stand for, where that depends on the source."""

ROW_SHAPE = "shape"
"""The note that holds the shape of the arrays that rows were, as ``28x28``, if they were any."""

COLUMNS_OF_INT32 = 2**31
"""Below this many columns, column numbers are stored in 4 bytes."""


@dataclass(frozen=True)
class ArrayEntry:
    """What the manifest says of one array file."""

    dtype: str
    shape: tuple[int, ...]
    file_bytes: int
    sha256: str


@dataclass(frozen=True)
class FileEntry:
    """What the manifest says of a file that is no array."""

    file_bytes: int
    sha256: str


@dataclass(frozen=True)
class Provenance:
    """Where a store came from; rows are equal where all but `source` and `notes` are.

    Attributes
    ----------
    source: the source's name, for a person.
    source_sha256: of its uncompressed bytes.
    encoding: name and version of the encoding.
    options: those the rows depend on.
    notes: what encoding found out, such as how labels were mapped.
    """

    source: str
    source_sha256: str
    encoding: str
    options: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """The store's ``manifest.json``.

    `target` is what labels are; `classes`, what they are called in the order of their labels, where
    they are classes; `encoding`, the entry of ``encoding.json`` if there is one. A manifest of an
    older format is read as if it had been written today.
    """

    format_version: int
    name: str
    target: Target
    classes: tuple[str, ...]
    rows: int
    columns: int
    nnz: int
    test_rows: int
    test_nnz: int
    values_are_ones: bool
    arrays: Mapping[str, ArrayEntry]
    digest: str
    encoding: FileEntry | None
    provenance: Provenance

    @property
    def meaning(self) -> str:
        """A digest of what the columns stand for; empty where only their number says it."""
        return self.provenance.notes.get(MEANING, "")

    @property
    def row_shape(self) -> str:
        """The shape of the arrays that rows were, as ``28x28``; empty where they were none."""
        return self.provenance.notes.get(ROW_SHAPE, "")

    def to_json(self) -> str:
        """Return the text of ``manifest.json``."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def parse_manifest(text: bytes, location: object) -> Manifest:
    """Read a manifest and check it against itself; `location` names the store in messages.

    Raises
    ------
    DataError: not a manifest, of another format version, or one that no store can have.
    """
    try:
        raw = json.loads(text)
        version = raw["format_version"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _damaged(location, "it is no JSON object with a format_version") from None
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise DataError(
            f"store {location} has format version {version}, this program reads 1 to"
            f" {FORMAT_VERSION}; prepare it again with this version"
        )
    try:
        manifest = _manifest(raw if version == FORMAT_VERSION else upgraded(raw))
    except ValueError as error:
        raise _damaged(location, str(error)) from None
    expected = expected_arrays(manifest)
    found = {name: (e.dtype, e.shape) for name, e in manifest.arrays.items()}
    if COLUMN_SQUARES in found:
        expected[COLUMN_SQUARES] = ("<f8", (manifest.columns,))
    if found != expected:
        wrong = min(n for n in found.keys() | expected.keys() if found.get(n) != expected.get(n))
        raise _damaged(
            location,
            f"array {wrong} is {_described(found.get(wrong))}, expected"
            f" {_described(expected.get(wrong))}",
        )
    if manifest.digest != content_digest(manifest.target, manifest.columns, manifest.arrays):
        raise _damaged(location, "its digest is not that of its arrays")
    return manifest


def read_manifest(path: Path) -> Manifest:
    """Read and check the manifest of the store at `path`.

    Raises
    ------
    DataError: none there, unreadable, or as `parse_manifest`.
    """
    try:
        text = (path / MANIFEST).read_bytes()
    except OSError as error:
        raise DataError(
            f"{path} is not a store ({MANIFEST}: {reason_of(error)}); make one with"
            " `erasurehead prepare`"
        ) from None
    return parse_manifest(text, path)


def expected_arrays(manifest: Manifest) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return dtype and shape of the arrays that must be there for the manifest's numbers."""
    indices = "<i4" if manifest.columns < COLUMNS_OF_INT32 else "<i8"
    expected: dict[str, tuple[str, tuple[int, ...]]] = {}
    sizes = ((manifest.rows, manifest.nnz), (manifest.test_rows, manifest.test_nnz))
    for prefix, (rows, nnz) in zip(PREFIXES, sizes, strict=True):
        expected[f"{prefix}indptr"] = ("<i8", (rows + 1,))
        expected[f"{prefix}indices"] = (indices, (nnz,))
        if not manifest.values_are_ones:
            expected[f"{prefix}values"] = ("<f8", (nnz,))
        expected[f"{prefix}labels"] = ("<f8", (rows,))
    for name in PER_ROW:
        if any(prefix + name in manifest.arrays for prefix in PREFIXES):
            for prefix, (rows, _) in zip(PREFIXES, sizes, strict=True):
                expected[f"{prefix}{name}"] = ("<f8", (rows,))
    return expected


def content_digest(target: Target, columns: int, arrays: Mapping[str, ArrayEntry]) -> str:
    """Return a SHA-256 over the content: the arrays and what their numbers mean.

    Equal content has the same digest in every version of the format, so that runs, caches and
    workers with a store of an older version know it again.
    """
    content = {
        name: [e.dtype, e.shape, e.sha256]
        for name, e in sorted(arrays.items())
        if name != COLUMN_SQUARES
    }
    text = json.dumps([1, OLD_TASKS.get(target, target), columns, content])
    return hashlib.sha256(text.encode()).hexdigest()


def _damaged(location: object, reason: str) -> DataError:
    return DataError(
        f"{MANIFEST} of the store {location} is damaged: {reason}; prepare the store again"
    )


def _described(entry: tuple[str, tuple[int, ...]] | None) -> str:
    return "absent" if entry is None else f"{entry[0]} of shape {entry[1]}"


def _manifest(raw: object) -> Manifest:
    keys = _object(raw, Manifest.__dataclass_fields__, "the manifest")
    for key in ("name", "digest"):
        _require(isinstance(keys[key], str), f"{key} is no text")
    for key in ("rows", "columns", "nnz", "test_rows", "test_nnz"):
        _require(type(keys[key]) is int and keys[key] >= 0, f"{key} is no count")
    _require(type(keys["values_are_ones"]) is bool, "values_are_ones is neither true nor false")
    _require(keys["target"] in get_args(Target), f"target {keys['target']} is unknown")
    _require(isinstance(keys["arrays"], dict), "arrays is no object")
    _require(
        isinstance(keys["classes"], list) and all(isinstance(c, str) for c in keys["classes"]),
        "classes is no list of texts",
    )
    arrays = {name: _entry(name, entry) for name, entry in keys["arrays"].items()}
    source = _object(keys["provenance"], Provenance.__dataclass_fields__, "provenance")
    for key in ("source", "source_sha256", "encoding"):
        _require(isinstance(source[key], str), f"{key} is no text")
    for key in ("options", "notes"):
        _require(isinstance(source[key], dict), f"{key} is no object")
        _require(all(isinstance(v, str) for v in source[key].values()), f"{key} is no text")
    read = {
        "arrays": arrays,
        "classes": tuple(keys["classes"]),
        "encoding": None if keys["encoding"] is None else _file(keys["encoding"]),
        "provenance": Provenance(**source),
    }
    return Manifest(**{**keys, **read})


def _file(raw: object) -> FileEntry:
    keys = _object(raw, FileEntry.__dataclass_fields__, "encoding")
    _require(isinstance(keys["sha256"], str), "sha256 of encoding is no text")
    _require(type(keys["file_bytes"]) is int, "file_bytes of encoding is no count")
    return FileEntry(**keys)


def _entry(name: str, raw: object) -> ArrayEntry:
    keys = _object(raw, ArrayEntry.__dataclass_fields__, f"array {name}")
    shape = keys["shape"]
    _require(
        isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape),
        f"the shape of {name} is no list of counts",
    )
    for key in ("dtype", "sha256"):
        _require(isinstance(keys[key], str), f"{key} of {name} is no text")
    _require(type(keys["file_bytes"]) is int, f"file_bytes of {name} is no count")
    return ArrayEntry(**{**keys, "shape": tuple(shape)})


def _object(raw: object, expected: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return a JSON object that has exactly the expected keys."""
    if not isinstance(raw, dict):
        raise ValueError(f"{what} is no object")  # noqa: TRY004 (a value of the file, not a type)
    if raw.keys() != expected.keys():
        key = min(raw.keys() ^ expected.keys())
        raise ValueError(f"{what} {'has an unknown' if key in raw else 'lacks the'} key {key}")
    return raw


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)
