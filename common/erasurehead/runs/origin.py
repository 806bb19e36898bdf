"""What a model was made from, as its file keeps it: other rows need nothing but the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from erasurehead.arrays import Array
from erasurehead.datasets.encodings import Encoding, encoding_text, parse_encoding
from erasurehead.datasets.store import Store
from erasurehead.errors import DataError
from erasurehead.rows import Target

ClassType = Literal["str", "int", "float", "bool"]
"""What the classes are to whoever handed them in; of a file's they are texts."""


@dataclass(frozen=True)
class Origin:
    """What training knew of its data.

    Attributes
    ----------
    labels: what they are (`erasurehead.rows.Target`).
    classes: what the classes are called, in the order of their labels; empty for numbers.
    encoding: how rows of the source's kind are encoded alike; None: nothing says it.
    column_names: what the data frame calls its columns that the rows were handed in as; empty: they
        have no names.
    class_type: what the classes' names stand for.
    """

    labels: str
    classes: tuple[str, ...] = ()
    encoding: Encoding | None = None
    column_names: tuple[str, ...] = ()
    class_type: ClassType = "str"

    @classmethod
    def of(
        cls, store: Store, column_names: tuple[str, ...] = (), class_type: ClassType = "str"
    ) -> Origin:
        """Return what a store knows, what its columns are called, and what its classes are.

        Raises
        ------
        DataError: the store is damaged.
        """
        manifest = store.manifest
        return cls(manifest.target, manifest.classes, store.encoding, column_names, class_type)

    def class_array(self) -> Array | None:
        """Return the classes as whoever handed them in has them, shape (classes,); None: numbers.

        Raises
        ------
        ValueError: they are not of their type.
        """
        if not self.classes:
            return None
        if self.class_type == "bool":
            return np.array([name == "True" for name in self.classes])
        return np.array(self.classes).astype(self.class_type)

    def arrays(self) -> dict[str, Any]:
        """Return what the model's file holds of it, by name; `read` is the way back."""
        text = "" if self.encoding is None else encoding_text(self.encoding)
        return {
            "labels": self.labels,
            "classes": np.array(self.classes, dtype=np.str_),
            "class_type": self.class_type,
            # As bytes, of which NumPy needs one a character, not four.
            "encoding": np.bytes_(text.encode()),
            "column_names": np.bytes_(json.dumps(self.column_names).encode()),
        }

    @classmethod
    def read(cls, held: Mapping[str, Any], location: object) -> Origin | None:
        """Return what a model's file holds; None: it is of a version that kept nothing.

        Raises
        ------
        DataError: it is damaged; `location` names the file.
        """
        if "encoding" not in held:
            return None
        text = bytes(held["encoding"])
        _check_classes(held, location)
        found = cls(
            str(held["labels"]),
            tuple(map(str, held["classes"])),
            parse_encoding(text, location) if text else None,
            _names(held.get("column_names", b"[]"), location),
            _class_type(str(held.get("class_type", "str")), location),
        )
        try:
            found.class_array()
        except ValueError:
            raise DataError(
                f"{location} is damaged: its 'classes' are not of the type {found.class_type}"
            ) from None
        return found


def _check_classes(held: Mapping[str, Any], location: object) -> None:
    labels, classes = held.get("labels"), held.get("classes")
    if labels not in get_args(Target):
        raise DataError(f"{location} is damaged: its 'labels' are none of {get_args(Target)}")
    # Made-up data and numbers have no names of classes.
    n = len(classes) if isinstance(classes, np.ndarray) and classes.ndim == 1 else 1
    if n and (labels == "numbers" or n == 1 or (labels == "two classes" and n != 2)):
        raise DataError(f"{location} is damaged: its 'classes' are not those of {labels}")


def _names(held: Any, location: object) -> tuple[str, ...]:
    try:
        names = json.loads(bytes(held))
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{location} is damaged: its 'column_names' are no list of texts")
    return tuple(names)


def _class_type(held: str, location: object) -> ClassType:
    for known in get_args(ClassType):
        if held == known:
            return known  # type: ignore[no-any-return]
    raise DataError(f"{location} is damaged: its 'class_type' is {held!r:.40}")
